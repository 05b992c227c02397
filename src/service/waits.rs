//! Waiting for an elevation to move.
//!
//! Promises: who waits is woken when the very elevation moves, and by nothing else; an elevation
//! that nobody waits for costs nothing; waits are bounded, for each caller and in all.
//! Refuses: to lose a move between a look and a wait: whoever holds a [`Wait`] hears of every move
//! since he began it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::id::ElevationId;
use crate::service::{Call, Service, ServiceError};
use crate::time::Seconds;

/// Who waits for what, in one service.
#[derive(Default)]
pub(crate) struct Waits {
    line: Arc<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    total: usize,
    by_caller: HashMap<String, usize>,
    /// One sender for each elevation that somebody waits for.
    moves: HashMap<ElevationId, watch::Sender<()>>,
}

/// One caller who waits for one elevation; counts until it is dropped.
pub struct Wait {
    line: Arc<Mutex<Line>>,
    caller: String,
    id: ElevationId,
    moves: watch::Receiver<()>,
}

impl Service {
    /// Begins to wait for an elevation to move.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] when the caller or all together wait for too much already.
    pub fn begin_wait(&self, call: &Call, id: ElevationId) -> Result<Wait, ServiceError> {
        let caller = call.caller.to_string();
        let mut line = lock(&self.waits.line);
        let own = line.by_caller.get(&caller).copied().unwrap_or(0);
        if WAITS_MAX <= line.total || WAITS_PER_CALLER_MAX <= own {
            return Err(ServiceError::TooMany {
                code: "too_many_waits",
                wait: ASK_AGAIN,
            });
        }
        line.total += 1;
        line.by_caller.insert(caller.clone(), own + 1);
        let moves = line
            .moves
            .entry(id)
            .or_insert_with(|| watch::Sender::new(()));
        let moves = moves.subscribe();
        Ok(Wait {
            line: Arc::clone(&self.waits.line),
            caller,
            id,
            moves,
        })
    }

    /// Wakes who waits for this elevation.
    pub(crate) fn wake(&self, id: ElevationId) {
        if let Some(moves) = lock(&self.waits.line).moves.get(&id) {
            moves.send_replace(());
        }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.waits.line).total
    }
}

impl Wait {
    /// Ends when the elevation may have moved since this was last called, or since the wait began.
    pub async fn moved(&mut self) {
        // The sender lives as long as somebody waits.
        let _ = self.moves.changed().await;
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut line = lock(&self.line);
        line.total = line.total.saturating_sub(1);
        match line.by_caller.get_mut(&self.caller) {
            Some(count) if 1 < *count => *count -= 1,
            Some(_) | None => {
                line.by_caller.remove(&self.caller);
            }
        }
        // This one is still subscribed.
        let last = line
            .moves
            .get(&self.id)
            .is_some_and(|moves| moves.receiver_count() <= 1);
        if last {
            line.moves.remove(&self.id);
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wait").field(&self.id).finish()
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    // A poisoned lock still counts right: nothing between its changes can panic.
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most waits of one caller: as many as he may have open elevations, for two agents.
const WAITS_PER_CALLER_MAX: usize = 200;
/// The most waits in all; each holds a stream and a task.
const WAITS_MAX: usize = 8_192;
const ASK_AGAIN: Seconds = Seconds::new(5);

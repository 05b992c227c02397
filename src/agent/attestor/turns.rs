//! Turns at work that may hang in a file system or a directory of users that somebody else serves.
//!
//! Promises: few turns at once, and fewer for callers of one user: whoever makes the work hang
//! holds up himself. A turn goes with the work and is given back at its end, not when nobody waits
//! for it any more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns at one kind of work.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    of_uid_max: usize,
    /// Of users who have or wait for a turn; the lock is never held across an await.
    of_uid: Mutex<HashMap<u32, Arc<Semaphore>>>,
}

/// One turn.
#[derive(Debug)]
pub(super) struct Turn {
    _of_uid: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) fn new(at_once_max: usize, of_uid_max: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(at_once_max)),
            of_uid_max,
            of_uid: Mutex::default(),
        }
    }

    /// Waits for a turn of this user; none is given when the process ends.
    pub(super) async fn take(&self, uid: u32) -> Option<Turn> {
        let own = self.line_of(uid);
        let of_uid = own.acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.all).acquire_owned().await.ok()?;
        Some(Turn {
            _of_uid: of_uid,
            _of_all: of_all,
        })
    }

    fn line_of(&self, uid: u32) -> Arc<Semaphore> {
        let mut lines = self.of_uid.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES_MAX {
            // A turn and a wait hold their line; what only this table holds is at rest.
            lines.retain(|_, line| Arc::strong_count(line) > 1);
        }
        let line = lines
            .entry(uid)
            .or_insert_with(|| Arc::new(Semaphore::new(self.of_uid_max)));
        Arc::clone(line)
    }
}

/// How many lines stand in the table before those at rest are taken out.
const LINES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn who_hangs_holds_up_himself() {
        let turns = Turns::new(3, 2);
        let first = turns.take(7).await.unwrap();
        let _second = turns.take(7).await.unwrap();
        let mut third = Box::pin(turns.take(7));
        assert!(third.as_mut().now_or_never().is_none());
        let other = turns.take(8).await.unwrap();
        drop(first);
        assert!(third.now_or_never().is_some());
        drop(other);
    }

    #[tokio::test]
    async fn the_table_of_lines_does_not_grow() {
        let turns = Turns::new(1, 1);
        for uid in 0..10_000 {
            drop(turns.take(uid).await);
        }
        assert!(turns.of_uid.lock().unwrap().len() <= LINES_MAX);
    }
}

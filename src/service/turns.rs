//! What one caller may have under way at once of what is dear.
//!
//! Promises: lists and searches of one caller wait for each other, so that he never takes all the
//! connections that they are read over; batches and watches are few for each caller and in all, and
//! who has no room for his batch hears so before its bytes are read. Who has nothing under way
//! costs nothing.
//! Refuses: to hold up what ends elevations: that asks for no turn.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::attestation::Caller;
use crate::service::{Call, Service, ServiceError};
use crate::time::Seconds;

/// So many turns for each caller.
#[derive(Debug)]
pub(crate) struct Turns {
    each: usize,
    callers: Arc<Mutex<Callers>>,
}

type Callers = HashMap<String, Arc<Semaphore>>;

/// One turn; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    callers: Arc<Mutex<Callers>>,
    caller: String,
    own: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

/// So many seats for each caller and in all, of one kind of thing.
#[derive(Debug)]
pub(crate) struct Seats {
    turns: Turns,
    all: Arc<Semaphore>,
    count: usize,
    /// What a caller hears who has too many.
    code: &'static str,
}

/// A seat for a batch or a watch; it is free again when this is dropped.
#[derive(Debug)]
pub struct Seat {
    _turn: Turn,
    _of_all: OwnedSemaphorePermit,
}

impl Service {
    /// A seat for one batch of the caller.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] when his own are too many, [`ServiceError::Crowded`] when all are.
    pub fn begin_batch(&self, call: &Call) -> Result<Seat, ServiceError> {
        self.batches.take(&call.caller)
    }

    /// A turn of the caller to have a list or a page read.
    pub(crate) async fn turn_to_search(&self, call: &Call) -> Turn {
        self.searches.next(&call.caller).await
    }
}

impl Turns {
    /// At most `each` at once of one caller.
    pub(crate) fn new(each: usize) -> Self {
        Self {
            each,
            callers: Arc::default(),
        }
    }

    /// The turns of lists and searches.
    pub(crate) fn of_searches() -> Self {
        Self::new(SEARCHES_PER_CALLER_MAX)
    }

    /// A turn now; none when the caller has as many as he may.
    fn now(&self, caller: &Caller) -> Option<Turn> {
        let mut turn = self.line_up(caller);
        turn.permit = Some(Arc::clone(&turn.own).try_acquire_owned().ok()?);
        Some(turn)
    }

    /// A turn once one of the caller's own is over.
    async fn next(&self, caller: &Caller) -> Turn {
        let mut turn = self.line_up(caller);
        // Nobody ever closes it.
        turn.permit = Arc::clone(&turn.own).acquire_owned().await.ok();
        turn
    }

    fn line_up(&self, caller: &Caller) -> Turn {
        let subject = caller.subject().map(ToString::to_string);
        let caller = subject.unwrap_or_else(|| caller.to_string());
        let own = lock(&self.callers)
            .entry(caller.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.each)))
            .clone();
        Turn {
            callers: Arc::clone(&self.callers),
            caller,
            own,
            permit: None,
        }
    }
}

impl Seats {
    /// The seats of batches.
    pub(crate) fn of_batches() -> Self {
        Self::new("too_many_batches", BATCHES_PER_CALLER_MAX, BATCHES_MAX)
    }

    /// The seats of watches.
    pub(crate) fn of_watches() -> Self {
        Self::new("too_many_watches", WATCHES_PER_CALLER_MAX, WATCHES_MAX)
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.count.saturating_sub(self.all.available_permits())
    }

    /// One for the caller, now.
    pub(crate) fn take(&self, caller: &Caller) -> Result<Seat, ServiceError> {
        let turn = self.turns.now(caller).ok_or(ServiceError::TooMany {
            code: self.code,
            wait: ASK_AGAIN,
        })?;
        let of_all = Arc::clone(&self.all).try_acquire_owned();
        let of_all = of_all.map_err(|_| ServiceError::Crowded { wait: ASK_AGAIN })?;
        Ok(Seat {
            _turn: turn,
            _of_all: of_all,
        })
    }

    fn new(code: &'static str, each: usize, all: usize) -> Self {
        Self {
            turns: Turns::new(each),
            all: Arc::new(Semaphore::new(all)),
            count: all,
            code,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut callers = lock(&self.callers);
        // The table's and this one, which may be the last; others are made under the lock.
        if Arc::strong_count(&self.own) <= 2 {
            callers.remove(&self.caller);
        }
    }
}

fn lock(callers: &Mutex<Callers>) -> MutexGuard<'_, Callers> {
    // Nothing between the changes of a table can panic.
    callers.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The most lists and searches of one caller that are read at once.
const SEARCHES_PER_CALLER_MAX: usize = 2;
/// The most batches of one caller at once.
const BATCHES_PER_CALLER_MAX: usize = 4;
/// The most batches at once in all; each may be 1 MiB.
const BATCHES_MAX: usize = 32;
/// The most watches of one caller at once: the one of an agent, and those that it left behind when
/// its connection broke, until their end is noticed.
const WATCHES_PER_CALLER_MAX: usize = 4;
/// The most watches at once in all; each holds a stream.
const WATCHES_MAX: usize = 8_192;
const ASK_AGAIN: Seconds = Seconds::new(1);

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Poll;

    use super::*;
    use crate::id::OperatorId;
    use crate::id::entropy::Entropy;

    #[tokio::test]
    async fn a_caller_waits_for_himself_and_nobody_else_does() {
        let entropy = Entropy::seeded(1);
        let [one, other] = [0; 2].map(|_| Caller::Operator(OperatorId::random(&entropy)));
        let turns = Turns::new(2);
        let first = turns.next(&one).await;
        let second = turns.now(&one).unwrap();
        assert!(turns.now(&one).is_none());
        let mut third = pin!(turns.next(&one));
        assert!(matches!(futures_util::poll!(third.as_mut()), Poll::Pending));
        let another = turns.next(&other).await;
        drop(first);
        let third = third.await;
        assert!(turns.now(&one).is_none());
        drop((second, third, another));
        assert!(lock(&turns.callers).is_empty());
    }
}

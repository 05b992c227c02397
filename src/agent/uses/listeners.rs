//! Whose proxies tell this agent of every request, and since when without a gap.
//!
//! Promises: a subject counts only while at least one of his proxies sends its access log, and from
//! the moment at which the newest of them began or one ended: a log that broke may have lost lines,
//! and its proxy may go on without. Where lines of his were dropped here, all of his begin anew.
//! Refuses: to give a word for a proxy that does not send its log; whether it should is the
//! operator's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::identity::Subject;
use crate::time::{Clock, Timestamp};

/// All access logs that are open.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// Owned by the streams and the reporter; nothing is awaited while it is locked.
    open: Mutex<BTreeMap<u64, (Subject, Timestamp)>>,
    drawn: Mutex<u64>,
}

/// One access log that is open; dropped, it is closed.
pub(crate) struct Listening {
    listeners: Arc<Listeners>,
    clock: Arc<dyn Clock>,
    id: u64,
}

impl Listeners {
    /// The access log of a proxy of `subject`, from now on.
    pub(crate) fn listen(self: &Arc<Self>, subject: Subject, clock: Arc<dyn Clock>) -> Listening {
        let id = {
            let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
            *drawn = drawn.saturating_add(1);
            *drawn
        };
        self.lock().insert(id, (subject, clock.now()));
        Listening {
            listeners: Arc::clone(self),
            clock,
            id,
        }
    }

    /// Every subject whose proxies tell of all requests, and since when.
    pub(crate) fn since(&self) -> BTreeMap<Subject, Timestamp> {
        let mut since: BTreeMap<Subject, Timestamp> = BTreeMap::new();
        for (subject, began) in self.lock().values() {
            let newest = since.entry(subject.clone()).or_insert(*began);
            *newest = (*newest).max(*began);
        }
        since
    }

    /// Says that lines of this subject's proxies were lost up to `now`.
    pub(crate) fn lost(&self, of: &Subject, now: Timestamp) {
        for (subject, began) in self.lock().values_mut() {
            if subject == of {
                *began = now;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (Subject, Timestamp)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let now = self.clock.now();
        let mut open = self.listeners.lock();
        let Some((of, _)) = open.remove(&self.id) else {
            return;
        };
        // Nobody tells whether the proxy ended or only its log.
        for (subject, began) in open.values_mut() {
            if *subject == of {
                *began = now.max(*began);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ManualClock;

    #[test]
    fn a_word_goes_back_to_the_newest_log_and_begins_anew_after_a_loss() {
        let at = |s| Timestamp::from_unix_s(s).unwrap();
        let web: Subject = "spiffe://td/web".parse().unwrap();
        let api: Subject = "spiffe://td/api".parse().unwrap();
        let listeners = Arc::new(Listeners::default());
        let clock = Arc::new(ManualClock::new(at(10)));
        let listen = |subject: &Subject| listeners.listen(subject.clone(), clock.clone());
        let (first, other) = (listen(&web), listen(&api));
        clock.set_wall(at(20));
        let second = listen(&web);
        let both =
            |web_since| BTreeMap::from([(web.clone(), at(web_since)), (api.clone(), at(10))]);
        assert_eq!(listeners.since(), both(20));
        clock.set_wall(at(25));
        drop(second);
        assert_eq!(
            listeners.since(),
            both(25),
            "the log that is left vouches from then on"
        );
        drop(other);
        let db = "spiffe://td/db".parse().unwrap();
        listeners.lost(&db, at(28));
        assert_eq!(listeners.since(), [(web.clone(), at(25))].into());
        listeners.lost(&web, at(30));
        assert_eq!(listeners.since(), [(web, at(30))].into());
        drop(first);
        assert!(listeners.since().is_empty());
    }
}

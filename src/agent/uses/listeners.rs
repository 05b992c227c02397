//! Whose proxies tell this agent of every request, and since when without a gap.
//!
//! Promises: a subject counts only while at least one of his proxies sends its access log, and from
//! the moment at which the newest of them began: a log that broke and began anew may have lost
//! lines in between. Where lines of his were dropped here, all of his begin anew.
//! Refuses: to give a word for a proxy that does not send its log; whether it should is the
//! operator's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::identity::Subject;
use crate::time::Timestamp;

/// All access logs that are open.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    /// Owned by the streams and the reporter; nothing is awaited while it is locked.
    open: Mutex<BTreeMap<u64, (Subject, Timestamp)>>,
    drawn: Mutex<u64>,
}

/// One access log that is open; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct Listening {
    listeners: Arc<Listeners>,
    id: u64,
}

impl Listeners {
    /// The access log of a proxy of `subject`, from `now` on.
    pub(crate) fn listen(self: &Arc<Self>, subject: Subject, now: Timestamp) -> Listening {
        let id = {
            let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
            *drawn = drawn.saturating_add(1);
            *drawn
        };
        self.lock().insert(id, (subject, now));
        Listening {
            listeners: Arc::clone(self),
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

impl Drop for Listening {
    fn drop(&mut self) {
        self.listeners.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_goes_back_to_the_newest_log_and_begins_anew_after_a_loss() {
        let at = |s| Timestamp::from_unix_s(s).unwrap();
        let web: Subject = "spiffe://td/web".parse().unwrap();
        let listeners = Arc::new(Listeners::default());
        let first = listeners.listen(web.clone(), at(10));
        let second = listeners.listen(web.clone(), at(20));
        assert_eq!(listeners.since(), [(web.clone(), at(20))].into());
        drop(second);
        assert_eq!(listeners.since(), [(web.clone(), at(10))].into());
        let db = "spiffe://td/db".parse().unwrap();
        listeners.lost(&db, at(25));
        assert_eq!(listeners.since(), [(web.clone(), at(10))].into());
        listeners.lost(&web, at(30));
        assert_eq!(listeners.since(), [(web, at(30))].into());
        drop(first);
        assert!(listeners.since().is_empty());
    }
}

//! How fast elevations of one subject may be asked for, and waited for, here; and how fast one user
//! may ask for the status.
//!
//! Promises: a server lets an agent ask so much for all of its workloads; one subject's loop leaves
//! the rest to the others. What is remembered is bounded by [`SUBJECTS_MAX`].
//! Refuses: nothing for long: one more is allowed every [`ASK_EVERY_MS`], [`WAIT_EVERY_MS`] or
//! [`STATUS_EVERY_MS`].

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::identity::Subject;
use crate::time::Clock;

/// The pace of everybody.
pub(crate) struct Pace<K = Subject> {
    every_ms: i64,
    /// Until when each has used up its share, by the boot clock; held for a few
    /// instructions.
    used_until_ms: Mutex<BTreeMap<K, i64>>,
}

impl Pace<u32> {
    /// Of asking for the status, each user by himself.
    pub(crate) const fn of_status() -> Self {
        Self::every(STATUS_EVERY_MS)
    }
}

impl Pace {
    /// Of asking for elevations.
    pub(crate) const fn of_asking() -> Self {
        Self::every(ASK_EVERY_MS)
    }

    /// Of waiting for what becomes of them.
    pub(crate) const fn of_waiting() -> Self {
        Self::every(WAIT_EVERY_MS)
    }
}

impl<K: Clone + Ord> Pace<K> {
    const fn every(every_ms: i64) -> Self {
        Self {
            every_ms,
            used_until_ms: Mutex::new(BTreeMap::new()),
        }
    }

    /// Uses up one ask of a subject, or a user.
    ///
    /// # Errors
    /// After how many seconds there is one again.
    pub(crate) fn ask(&self, subject: &K, clock: &dyn Clock) -> Result<(), u32> {
        let now_ms = clock.read().boot_ms;
        let used = self.used_until_ms.lock();
        let mut used = used.unwrap_or_else(PoisonError::into_inner);
        let until_ms = used.get(subject).copied().unwrap_or(now_ms).max(now_ms);
        let at_once_ms = self.every_ms.saturating_mul(AT_ONCE);
        let next_ms = until_ms.saturating_add(self.every_ms);
        let over_ms = next_ms.saturating_sub(now_ms.saturating_add(at_once_ms));
        if 0 < over_ms {
            let wait_s = over_ms.div_euclid(1_000).saturating_add(1);
            return Err(u32::try_from(wait_s).unwrap_or(u32::MAX));
        }
        if SUBJECTS_MAX <= used.len() {
            used.retain(|_, until_ms| now_ms < *until_ms);
        }
        if used.len() < SUBJECTS_MAX || used.contains_key(subject) {
            used.insert(subject.clone(), next_ms);
        }
        Ok(())
    }
}

const ASK_EVERY_MS: i64 = 6_000;
/// Several may wait for one elevation, each for as long as a wait lasts.
const WAIT_EVERY_MS: i64 = 1_000;
/// A screen that is drawn anew all the time, and a few beside it.
const STATUS_EVERY_MS: i64 = 200;
/// So many in a row.
const AT_ONCE: i64 = 10;
/// More than one host has; beyond it the server's own bounds hold alone.
const SUBJECTS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ManualClock, Seconds, Timestamp};

    #[test]
    fn ten_in_a_row_then_one_at_a_time_and_no_other_subject_notices() {
        let clock = ManualClock::new(Timestamp::from_unix_s(1_000).unwrap());
        let (a, b) = (
            "spiffe://td/a".parse().unwrap(),
            "spiffe://td/b".parse().unwrap(),
        );
        let pace = Pace::of_asking();
        for _ in 0..10 {
            assert_eq!(pace.ask(&a, &clock), Ok(()));
        }
        assert_eq!(pace.ask(&a, &clock), Err(7));
        assert_eq!(pace.ask(&b, &clock), Ok(()));
        clock.advance(Seconds::new(7));
        assert_eq!(pace.ask(&a, &clock), Ok(()));
        assert!(pace.ask(&a, &clock).is_err());
    }
}

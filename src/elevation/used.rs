//! What access logs show of an elevation's use.
//!
//! Promises: a use moves `first` back and `last` on, inside the time since activation, and adds to
//! `count`; it moves no clock. Silence alone ends nothing here: who knows that somebody would have
//! told of a use makes the move ([`Move::FallIdle`](crate::elevation::Move::FallIdle)).
//! Refuses: to see a use of what is not active.

use crate::elevation::{Elevation, State};
use crate::time::Timestamp;

/// Uses, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// When the first began.
    pub first: Timestamp,
    /// When the last ended.
    pub last: Timestamp,
    /// How many; one that was reported twice counts twice.
    pub count: u64,
}

impl Used {
    /// Both, taken together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            first: self.first.min(more.first),
            last: self.last.max(more.last),
            count: self.count.saturating_add(more.count),
        }
    }
}

impl Elevation {
    /// The elevation after uses that were told at `now`; none where it is not active. A moment that
    /// has not come counts as `now`, one before the activation as the activation: clocks differ.
    #[must_use]
    pub fn seen_used(self, seen: Used, now: Timestamp) -> Option<Self> {
        let mut state = self.state;
        let State::Active {
            activated_at, used, ..
        } = &mut state
        else {
            return None;
        };
        let within = |moment: Timestamp| moment.min(now).max(*activated_at);
        let seen = Used {
            first: within(seen.first),
            last: within(seen.last),
            count: seen.count,
        };
        *used = Some(used.map_or(seen, |used| used.and(seen)));
        Some(Self {
            version: self.version.saturating_add(1),
            state,
            ..self
        })
    }

    /// What access logs show of its use.
    #[must_use]
    pub const fn used(&self) -> Option<Used> {
        match self.state {
            State::Active { used, .. } | State::Ended { used, .. } => used,
            State::Approved { .. }
            | State::Cancelled { .. }
            | State::Denied { .. }
            | State::Lapsed { .. }
            | State::Pending { .. } => None,
        }
    }

    /// Since when nothing is known of its use: the later of activation and last use; none while it
    /// is not active.
    #[must_use]
    pub fn idle_since(&self) -> Option<Timestamp> {
        match self.state {
            State::Active {
                activated_at, used, ..
            } => Some(used.map_or(activated_at, |used| used.last)),
            State::Approved { .. }
            | State::Cancelled { .. }
            | State::Denied { .. }
            | State::Ended { .. }
            | State::Lapsed { .. }
            | State::Pending { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elevation::{End, Instances, Move, Request, Requester};
    use crate::id::{EventNumber, Instance};
    use crate::time::Seconds;

    fn at(unix_s: i64) -> Timestamp {
        Timestamp::from_unix_s(unix_s).unwrap()
    }

    fn seen(first: i64, last: i64, count: u64) -> Used {
        Used {
            first: at(first),
            last: at(last),
            count,
        }
    }

    fn approved() -> Elevation {
        let request = Request {
            subject: "spiffe://td.example/web".parse().unwrap(),
            scope: "db.read".parse().unwrap(),
            duration: Seconds::new(600),
            not_before: None,
            instances: Instances::All,
            reason: None,
            ticket: None,
            asked_by: Requester("workload:spiffe://td.example/web".into()),
            asked_at: at(1_000),
            extends: None,
            on_demand: false,
            break_glass: false,
        };
        let id = "el-00000000000000000000000000000001".parse().unwrap();
        Elevation::approved(id, request)
    }

    /// Activated at second 1,100, over at 1,700.
    fn active() -> Elevation {
        let (instance, event) = (Instance::from_bytes([1; 32]), EventNumber::new(5).unwrap());
        approved().minted(instance, at(1_100), event).unwrap()
    }

    #[test]
    fn a_use_moves_the_idle_time_and_no_clock() {
        let fresh = active();
        assert_eq!((fresh.used(), fresh.idle_since()), (None, Some(at(1_100))));
        let used = fresh
            .clone()
            .seen_used(seen(1_200, 1_260, 3), at(1_300))
            .unwrap();
        assert_eq!(used.used(), Some(seen(1_200, 1_260, 3)));
        assert_eq!(used.idle_since(), Some(at(1_260)));
        assert_eq!(used.runs_out_at(), fresh.runs_out_at());
        assert!(fresh.version < used.version);
        let more = used.seen_used(seen(1_150, 1_210, 1), at(1_310)).unwrap();
        assert_eq!(more.used(), Some(seen(1_150, 1_260, 4)), "told late");
    }

    #[test]
    fn moments_stay_between_activation_and_now() {
        let used = active().seen_used(seen(900, 9_000, 1), at(1_300)).unwrap();
        assert_eq!(used.used(), Some(seen(1_100, 1_300, 1)));
        let early = active().seen_used(seen(900, 950, 1), at(1_300)).unwrap();
        assert_eq!(early.idle_since(), Some(at(1_100)), "no earlier than ever");
        let count = seen(1_200, 1_200, u64::MAX);
        let many = active().seen_used(count, at(1_300)).unwrap();
        assert_eq!(
            many.seen_used(count, at(1_300)).unwrap().used(),
            Some(count)
        );
    }

    #[test]
    fn a_renewal_keeps_what_was_seen_and_the_end_too() {
        let used = active()
            .seen_used(seen(1_200, 1_260, 3), at(1_300))
            .unwrap();
        let event = EventNumber::new(9).unwrap();
        for holder in [[1; 32], [2; 32]] {
            let instance = Instance::from_bytes(holder);
            let renewed = used.clone().minted(instance, at(1_400), event).unwrap();
            assert_eq!(renewed.used(), used.used());
        }
        for (step, how) in [
            (Move::FallIdle, End::Unused),
            (Move::Revoke, End::Revoked),
            (Move::RunOut, End::Expired),
        ] {
            let over = used.clone().moved(step, at(1_500)).unwrap();
            let expected = State::Ended {
                at: at(1_500),
                how,
                used: used.used(),
            };
            assert_eq!(over.state, expected);
            assert_eq!(over.idle_since(), None);
        }
    }

    #[test]
    fn only_what_is_active_is_used() {
        let told = seen(1_200, 1_200, 1);
        assert!(approved().seen_used(told, at(1_300)).is_none());
        let over = active().moved(Move::Withdraw, at(1_250)).unwrap();
        assert!(over.seen_used(told, at(1_300)).is_none());
    }
}

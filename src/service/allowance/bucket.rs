//! Buckets that refill with time, one for each key.
//!
//! The generic cell rate algorithm: a bucket is the one moment at which it is full again. A take
//! moves that moment away; where it would lie further off than the whole burst takes to refill,
//! the bucket is empty.
//!
//! Promises: no more than `burst` at once and one each `every_us` after that; a clock that stands
//! still refills nothing; memory is bounded.
//! Refuses: to forget who is empty: where there is no room, newcomers share one bucket.

use std::collections::HashMap;
use std::hash::Hash;

use crate::time::Seconds;

/// How fast a bucket refills, and how much it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Between two drops, in microseconds.
    pub(crate) every_us: i64,
    /// How many drops it holds.
    pub(crate) burst: i64,
}

/// One bucket for each key.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    keys_max: usize,
    /// When each bucket is full again, by the clock from boot; absent buckets are full.
    full_at_us: HashMap<K, i64>,
    /// The bucket of those for whom there is no room.
    shared_full_at_us: i64,
    looked_over_us: i64,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    pub(crate) fn new(rate: Rate, keys_max: usize) -> Self {
        Self {
            rate,
            keys_max,
            full_at_us: HashMap::new(),
            shared_full_at_us: 0,
            looked_over_us: 0,
        }
    }

    /// Takes one drop at `boot_ms`; when the bucket is empty, tells how long until the next.
    pub(crate) fn take(&mut self, key: &K, boot_ms: i64) -> Result<(), Seconds> {
        self.take_many(key, boot_ms, 1)
    }

    /// Takes all of so many drops, or none.
    pub(crate) fn take_many(&mut self, key: &K, boot_ms: i64, drops: i64) -> Result<(), Seconds> {
        let now_us = boot_ms.saturating_mul(US_PER_MS);
        let known = self.full_at_us.contains_key(key);
        if !known && self.keys_max <= self.full_at_us.len() {
            self.look_over(now_us);
        }
        let rate = self.rate;
        if known || self.full_at_us.len() < self.keys_max {
            let full_at = self.full_at_us.entry(key.clone()).or_insert(now_us);
            drop_from(full_at, rate, now_us, drops)
        } else {
            drop_from(&mut self.shared_full_at_us, rate, now_us, drops)
        }
    }

    /// Whether a bucket holds a drop, which stays in it.
    pub(crate) fn look(&self, key: &K, boot_ms: i64) -> Result<(), Seconds> {
        let now_us = boot_ms.saturating_mul(US_PER_MS);
        let room = self.full_at_us.len() < self.keys_max;
        let unknown = if room { now_us } else { self.shared_full_at_us };
        let mut full_at = self.full_at_us.get(key).copied().unwrap_or(unknown);
        drop_from(&mut full_at, self.rate, now_us, 1)
    }

    /// Forgets who is full again; seldom, so that a crowd cannot make each request pay for it.
    fn look_over(&mut self, now_us: i64) {
        if now_us.saturating_sub(self.looked_over_us) < LOOK_OVER_EVERY_US
            && self.looked_over_us != 0
        {
            return;
        }
        self.looked_over_us = now_us;
        self.full_at_us.retain(|_, full_at| now_us < *full_at);
    }
}

fn drop_from(full_at_us: &mut i64, rate: Rate, now_us: i64, drops: i64) -> Result<(), Seconds> {
    let taken_us = rate.every_us.saturating_mul(drops);
    let after = (*full_at_us).max(now_us).saturating_add(taken_us);
    let latest = now_us.saturating_add(rate.every_us.saturating_mul(rate.burst));
    if after <= latest {
        *full_at_us = after;
        return Ok(());
    }
    let wait_us = after.saturating_sub(latest);
    let wait_s = wait_us.saturating_add(US_PER_S - 1) / US_PER_S;
    Err(Seconds::new(u32::try_from(wait_s).unwrap_or(u32::MAX)))
}

const US_PER_MS: i64 = 1_000;
const US_PER_S: i64 = 1_000_000;
/// Between two looks for buckets that are full again.
const LOOK_OVER_EVERY_US: i64 = US_PER_S;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, proptest};

    use super::*;

    const RATE: Rate = Rate {
        every_us: 2_000_000,
        burst: 3,
    };

    #[test]
    fn a_bucket_holds_its_burst_and_refills_one_by_one() {
        let mut buckets = Buckets::new(RATE, 9);
        for _ in 0..3 {
            assert!(buckets.take(&"a", 5_000).is_ok());
        }
        assert_eq!(buckets.take(&"a", 5_000), Err(Seconds::new(2)));
        assert_eq!(buckets.take(&"a", 6_500), Err(Seconds::new(1)));
        assert!(buckets.take(&"b", 6_500).is_ok(), "another has his own");
        assert!(buckets.take(&"a", 7_000).is_ok());
        assert!(buckets.take(&"a", 7_000).is_err());
    }

    #[test]
    fn where_there_is_no_room_the_empty_stay_empty() {
        let mut buckets = Buckets::new(RATE, 2);
        for key in [1, 1, 1, 2, 2, 2] {
            assert!(buckets.take(&key, 1_000).is_ok());
        }
        let strangers = (3..100).filter(|key| buckets.take(key, 1_000).is_ok());
        assert_eq!(strangers.count(), 3, "they share one bucket");
        assert!(buckets.take(&1, 1_000).is_err());
        assert_eq!(buckets.full_at_us.len(), 2);
        assert!(
            buckets.take(&3, 60_000).is_ok(),
            "the others are full again"
        );
        assert_eq!(buckets.full_at_us.len(), 1);
    }

    proptest! {
        #[test]
        fn no_window_lets_more_through_than_burst_and_rate(
            steps in proptest::collection::vec(0..4_000_i64, 1..80),
        ) {
            let mut buckets = Buckets::new(RATE, 1);
            let (mut now_ms, mut let_through) = (0, Vec::new());
            for step in steps {
                now_ms += step;
                if buckets.take(&(), now_ms).is_ok() {
                    let_through.push(now_ms);
                }
            }
            for (at, first) in let_through.iter().enumerate() {
                for (upto, last) in let_through.iter().enumerate().skip(at) {
                    let count = i64::try_from(upto - at).unwrap() + 1;
                    let refilled = (last - first) * US_PER_MS / RATE.every_us;
                    prop_assert!(count <= RATE.burst + refilled);
                }
            }
        }
    }
}

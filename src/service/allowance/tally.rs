//! What was refused and not recorded one by one, counted by party and reason.
//!
//! Promises: every count is there until it is drained; memory is bounded, because reasons are from
//! closed lists and parties beyond the bound are counted together.
//! Refuses: to drop anything.

use std::collections::{BTreeMap, HashMap};

use crate::audit::Value;
use crate::service::allowance::Party;
use crate::time::Timestamp;

/// The counts since the last round.
#[derive(Debug)]
pub(super) struct Tally {
    parties_max: usize,
    /// Who stands for those for whom there is no room.
    others: Party,
    parties: HashMap<Party, Counts>,
}

/// The counts of one party.
#[derive(Debug)]
pub(super) struct Counts {
    from: Timestamp,
    until: Timestamp,
    by_code: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(super) fn new(parties_max: usize, others: Party) -> Self {
        Self {
            parties_max,
            others,
            parties: HashMap::new(),
        }
    }

    /// Counts one refusal.
    pub(super) fn count(&mut self, party: &Party, code: &'static str, now: Timestamp) {
        let one = Counts {
            from: now,
            until: now,
            by_code: BTreeMap::from([(code, 1)]),
        };
        self.add(party.clone(), one);
    }

    /// Adds counts, of one refusal or of a round that could not be recorded.
    pub(super) fn add(&mut self, party: Party, counts: Counts) {
        let known = self.parties.contains_key(&party);
        let party = if known || self.parties.len() < self.parties_max {
            party
        } else {
            self.others.clone()
        };
        match self.parties.get_mut(&party) {
            Some(before) => before.merge(counts),
            None => {
                self.parties.insert(party, counts);
            }
        }
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self) -> Vec<(Party, Counts)> {
        self.parties.drain().collect()
    }
}

impl Counts {
    /// The moment of the first.
    pub(super) const fn from(&self) -> Timestamp {
        self.from
    }

    /// The moment of the last.
    pub(super) const fn until(&self) -> Timestamp {
        self.until
    }

    /// How many in all.
    pub(super) fn count(&self) -> u64 {
        self.by_code.values().copied().fold(0, u64::saturating_add)
    }

    /// How many for each reason, as an event carries it.
    pub(super) fn by_code(&self) -> BTreeMap<String, Value> {
        let texts = self.by_code.iter();
        texts
            .map(|(code, count)| ((*code).to_owned(), Value::from(*count)))
            .collect()
    }

    fn merge(&mut self, other: Self) {
        self.from = self.from.min(other.from);
        self.until = self.until.max(other.until);
        for (code, count) in other.by_code {
            let sum = self.by_code.entry(code).or_insert(0);
            *sum = sum.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn every_refusal_is_counted_though_parties_have_no_end(
            callers in proptest::collection::vec(0..40_u8, 0..200),
        ) {
            let at = |unix_s| Timestamp::from_unix_s(unix_s).unwrap();
            let mut tally = Tally::new(8, Party::OtherCallers);
            for (moment, caller) in (1..).zip(&callers) {
                tally.count(&Party::Caller(caller.to_string()), "code", at(moment));
            }
            // A round that fails is added again.
            for (party, counts) in tally.drain() {
                tally.add(party, counts);
            }
            let drained = tally.drain();
            prop_assert!(drained.len() <= 9);
            let count: u64 = drained.iter().map(|(_, counts)| counts.count()).sum();
            prop_assert_eq!(count, u64::try_from(callers.len()).unwrap());
            prop_assert!(drained.iter().all(|(_, counts)| counts.from() <= counts.until()));
        }
    }
}

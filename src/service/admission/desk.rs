//! The line before the walks, without time and tasks.
//!
//! Promises: places and line never exceed their bounds; the next is always the one whose end is
//! nearest among those who hold less than their share; where the line is full, the one whose end
//! is furthest leaves it.
//! Refuses: to keep a place free while somebody may have it.

use std::collections::{BTreeMap, HashMap};

use crate::time::Timestamp;

/// How many may be where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Served at once.
    pub(super) places: usize,
    /// Of those, for one caller.
    pub(super) share: usize,
    /// In line.
    pub(super) line: usize,
    /// Of those, for one caller.
    pub(super) part: usize,
}

/// Who is served, and who waits.
pub(super) struct Desk<T> {
    bounds: Bounds,
    served: usize,
    by_caller: HashMap<String, usize>,
    line: BTreeMap<Number, (String, T)>,
    in_line: HashMap<String, usize>,
    last: u64,
}

/// A place in line: by end, and by arrival where two end together.
pub(super) type Number = (Timestamp, u64);

/// What came of asking for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entered {
    /// There is one.
    Served,
    /// He stands in line, or stood there and was the one to leave.
    Waits(Number),
}

impl Bounds {
    /// What a server of any size uses: one group commit full of walks, three quarters of them for
    /// one caller, and a line of some seconds.
    pub(super) const STANDARD: Self = Self {
        places: PLACES_MAX,
        share: SHARE_MAX,
        line: LINE_MAX,
        part: PART_MAX,
    };
}

impl<T> Desk<T> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            served: 0,
            by_caller: HashMap::new(),
            line: BTreeMap::new(),
            in_line: HashMap::new(),
            last: 0,
        }
    }

    pub(super) const fn served(&self) -> usize {
        self.served
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    /// Serves a caller or puts him in line; `turn` is dropped when he must leave it.
    pub(super) fn enter(&mut self, caller: &str, end: Timestamp, turn: T) -> Entered {
        // Whoever waits although a place is free waits for his own share.
        if self.served < self.bounds.places && self.is_within_share(caller) {
            self.serve(caller);
            return Entered::Served;
        }
        self.last = self.last.wrapping_add(1);
        let number = (end, self.last);
        // His part of the line is full: `turn` is dropped, and he hears it.
        if self.bounds.part <= self.in_line.get(caller).copied().unwrap_or(0) {
            return Entered::Waits(number);
        }
        *self.in_line.entry(caller.to_owned()).or_default() += 1;
        self.line.insert(number, (caller.to_owned(), turn));
        if self.bounds.line < self.line.len()
            && let Some(last) = self.line.last_key_value().map(|(number, _)| *number)
        {
            self.step_out(last);
        }
        Entered::Waits(number)
    }

    /// Frees a caller's place; gives it to the next, if there is one who may have it.
    pub(super) fn leave(&mut self, caller: &str) -> Option<(String, T)> {
        self.served = self.served.saturating_sub(1);
        match self.by_caller.get_mut(caller) {
            Some(count) if 1 < *count => *count -= 1,
            Some(_) | None => {
                self.by_caller.remove(caller);
            }
        }
        let mut fitting = self
            .line
            .iter()
            .filter(|(_, (one, _))| self.is_within_share(one));
        let number = fitting.next().map(|(number, _)| *number)?;
        let (next, turn) = self.step_out(number)?;
        self.serve(&next);
        Some((next, turn))
    }

    /// Takes somebody out of the line, if he still stands there.
    pub(super) fn withdraw(&mut self, number: Number) {
        self.step_out(number);
    }

    fn step_out(&mut self, number: Number) -> Option<(String, T)> {
        let (caller, turn) = self.line.remove(&number)?;
        match self.in_line.get_mut(&caller) {
            Some(count) if 1 < *count => *count -= 1,
            Some(_) | None => {
                self.in_line.remove(&caller);
            }
        }
        Some((caller, turn))
    }

    fn serve(&mut self, caller: &str) {
        self.served = self.served.saturating_add(1);
        match self.by_caller.get_mut(caller) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                self.by_caller.insert(caller.to_owned(), 1);
            }
        }
    }

    fn is_within_share(&self, caller: &str) -> bool {
        self.by_caller.get(caller).copied().unwrap_or(0) < self.bounds.share
    }
}

/// The most in line of one caller: an eighth of it.
const PART_MAX: usize = 512;
/// The most walks under way at once: as many as share one commit.
const PLACES_MAX: usize = 512;
/// The most of those that one caller holds.
const SHARE_MAX: usize = 384;
/// The most that wait.
const LINE_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Just;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Enter(u8, i64),
        Leave(u8),
        Withdraw(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..4_u8, 0..50_i64).prop_map(|(caller, end)| Step::Enter(caller, end)),
            any::<u8>().prop_map(Step::Leave),
            any::<u8>().prop_map(Step::Withdraw),
            Just(Step::Leave(0)),
        ];
        proptest::collection::vec(step, 0..120)
    }

    const BOUNDS: Bounds = Bounds {
        places: 4,
        share: 3,
        line: 6,
        part: 4,
    };

    proptest! {
        /// Against the plainest reading of the rule: a list that is searched whole.
        #[test]
        fn the_next_is_whoever_ends_first_within_his_share(steps in steps()) {
            let mut desk = Desk::new(BOUNDS);
            let mut served: Vec<String> = Vec::new();
            let mut line: Vec<(Number, String)> = Vec::new();
            for step in steps {
                let held = |who: &str, served: &[String]| {
                    served.iter().filter(|one| *one == who).count()
                };
                match step {
                    Step::Enter(caller, end) => {
                        let caller = caller.to_string();
                        let end = Timestamp::from_unix_s(end).unwrap();
                        let fits = served.len() < 4 && held(&caller, &served) < 3;
                        match desk.enter(&caller, end, ()) {
                            Entered::Served => {
                                prop_assert!(fits);
                                served.push(caller);
                            }
                            Entered::Waits(number) => {
                                prop_assert!(!fits);
                                if line.iter().filter(|(_, one)| *one == caller).count() < 4 {
                                    line.push((number, caller));
                                    line.sort();
                                    line.truncate(6);
                                }
                            }
                        }
                    }
                    Step::Leave(at) if !served.is_empty() => {
                        let caller = served.remove(usize::from(at) % served.len());
                        let next = desk.leave(&caller);
                        let wanted = line.iter().position(|(_, one)| held(one, &served) < 3);
                        let wanted = wanted.map(|at| line.remove(at).1);
                        served.extend(wanted.clone());
                        prop_assert_eq!(next.map(|(caller, ())| caller), wanted);
                    }
                    Step::Withdraw(at) if !line.is_empty() => {
                        let (number, _) = line.remove(usize::from(at) % line.len());
                        desk.withdraw(number);
                    }
                    Step::Leave(_) | Step::Withdraw(_) => {}
                }
                prop_assert_eq!((desk.served(), desk.waiting()), (served.len(), line.len()));
                let idle = served.len() < 4
                    && line.iter().any(|(_, one)| held(one, &served) < 3);
                prop_assert!(!idle, "a place is free and somebody may have it");
            }
        }
    }
}

//! Which agents' reports cover which servers, and from when to when.
//!
//! Promises: bounded, and in memory alone: after a start nothing is covered until somebody says so,
//! which only delays an end. The newest word of an agent about a server is the one that counts.
//! Refuses: to forget somebody's word while it is fresh, for the sake of somebody else's.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::identity::Subject;
use crate::time::{Seconds, Timestamp};

/// From when to when, both by the word of who reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

/// What everybody's reports cover.
#[derive(Default)]
pub(crate) struct Covers(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// By server, then by agent.
    spans: HashMap<Subject, BTreeMap<Subject, Span>>,
    /// Of all servers together.
    total: usize,
}

impl Span {
    /// What is within both.
    pub(crate) fn both(self, other: Self) -> Self {
        Self {
            since: self.since.max(other.since),
            until: self.until.min(other.until),
        }
    }
}

impl Covers {
    /// Keeps what an agent says of servers, unless it has said something newer.
    pub(crate) fn keep(&self, agent: &Subject, servers: Vec<Subject>, span: Span, now: Timestamp) {
        let mut known = self.known();
        for server in servers {
            let of_server = known.spans.get_mut(&server);
            if let Some(before) = of_server.and_then(|agents| agents.get_mut(agent)) {
                if before.until <= span.until {
                    *before = span;
                }
                continue;
            }
            if COVERS_MAX <= known.total {
                known.forget_old(now);
            }
            if known.total < COVERS_MAX {
                known.total += 1;
                let agents = known.spans.entry(server).or_default();
                agents.insert(agent.clone(), span);
            }
        }
    }

    /// What is covered at a server, by agent.
    pub(crate) fn of(&self, server: &Subject) -> BTreeMap<Subject, Span> {
        self.known().spans.get(server).cloned().unwrap_or_default()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing between its changes can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn forget_old(&mut self, now: Timestamp) {
        self.spans.retain(|_, agents| {
            agents.retain(|_, span| now < span.until.plus(FORGOTTEN_AFTER));
            !agents.is_empty()
        });
        self.total = self.spans.values().map(BTreeMap::len).sum();
    }
}

impl fmt::Debug for Covers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Covers").finish_non_exhaustive()
    }
}

/// The most covers, each of one agent at one server.
const COVERS_MAX: usize = 65_536;
/// Where there is no room left, a cover that ended so long ago makes some.
const FORGOTTEN_AFTER: Seconds = Seconds::new(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(number: usize) -> Subject {
        format!("spiffe://td.example/{number}").parse().unwrap()
    }

    fn at(unix_s: i64) -> Timestamp {
        Timestamp::from_unix_s(unix_s).unwrap()
    }

    fn span(since: i64, until: i64) -> Span {
        Span {
            since: at(since),
            until: at(until),
        }
    }

    #[test]
    fn the_newest_word_counts_and_both_are_what_is_within_both() {
        let covers = Covers::default();
        let keep = |agent, told| covers.keep(&subject(agent), vec![subject(0)], told, at(100));
        keep(1, span(10, 50));
        // One that was on its way for longer.
        keep(1, span(10, 40));
        keep(2, span(30, 60));
        let of = covers.of(&subject(0));
        assert_eq!(of.get(&subject(1)), Some(&span(10, 50)));
        assert_eq!(of[&subject(1)].both(of[&subject(2)]), span(30, 50));
        // It lost something, and began anew.
        keep(1, span(70, 80));
        assert_eq!(covers.of(&subject(0))[&subject(1)], span(70, 80));
        assert!(covers.of(&subject(9)).is_empty());
    }

    #[test]
    fn there_is_room_for_so_many_and_the_fresh_ones_stay() {
        let covers = Covers::default();
        let (agent, other) = (subject(1), subject(2));
        let servers = (10..10 + COVERS_MAX).map(subject).collect();
        covers.keep(&agent, servers, span(1, 100), at(100));
        covers.keep(&other, vec![subject(10)], span(1, 100), at(101));
        assert_eq!(covers.of(&subject(10)).len(), 1, "no room");
        let later = at(100).plus(FORGOTTEN_AFTER);
        covers.keep(&other, vec![subject(10)], span(1, later.unix_s()), later);
        let of = covers.of(&subject(10));
        assert_eq!(of.keys().collect::<Vec<_>>(), [&other]);
        assert_eq!(covers.known().total, 1);
    }
}

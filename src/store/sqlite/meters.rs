//! What the writing thread measures: how long commits take, and how many acts share one.
//!
//! Promises: [`crate::metric`]; a measure costs far less than the commit that it measures.
//! Refuses: to know what the acts are.

use crate::metric::table::{
    STORE_COMMIT_ACTS, STORE_COMMIT_SECONDS, STORE_COMMITS_FAILED, STORE_WAITING_ACTS,
};
use crate::metric::{Counter, Gauge, Histogram, One, Sheet};
use crate::time::Stopwatch;

/// The instruments of one writer; a clone measures into the same.
#[derive(Clone, Debug)]
pub struct Meters {
    seconds: One<Histogram>,
    acts: One<Histogram>,
    failed: One<Counter>,
    waiting: One<Gauge>,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            seconds: STORE_COMMIT_SECONDS.seconds(),
            acts: STORE_COMMIT_ACTS.sizes(),
            failed: STORE_COMMITS_FAILED.counter(),
            waiting: STORE_WAITING_ACTS.gauge(),
        }
    }
}

impl Meters {
    /// Puts all of it on a sheet.
    pub fn show_metrics(&self, sheet: &mut Sheet) {
        self.seconds.on(sheet);
        self.acts.on(sheet);
        self.failed.on(sheet);
        self.waiting.on(sheet);
    }

    /// A commit of `acts` begins while `waiting` others stand in line.
    pub(super) fn commit(&self, acts: usize, waiting: usize) -> Stopwatch {
        self.acts.observe(count(acts));
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        Stopwatch::start()
    }

    /// The commit has ended.
    pub(super) fn committed(&self, begun: Stopwatch, durable: bool) {
        self.seconds.observe(begun.seconds());
        if !durable {
            self.failed.add();
        }
    }
}

/// Exact for what one commit holds.
fn count(acts: usize) -> f64 {
    f64::from(u32::try_from(acts).unwrap_or(u32::MAX))
}

//! Log lines that callers cause, each kind not oftener than every so many seconds.
//!
//! Promises: nobody fills the log by failing again and again; what was kept back is counted, and
//! the next line of its kind says how many.
//! Refuses: to let one kind keep back another.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::time::Clock;

/// The lines of one place in the code, by kind.
#[derive(Debug, Default)]
pub(crate) struct Rarely {
    /// Held for a few instructions; as many kinds as the code names.
    lines: Mutex<BTreeMap<&'static str, Line>>,
}

#[derive(Debug, Default)]
struct Line {
    not_before_boot_ms: i64,
    kept_back: u64,
}

impl Rarely {
    /// How many lines of this kind were kept back since the last one, where the next one is due.
    pub(crate) fn due(&self, kind: &'static str, clock: &dyn Clock) -> Option<u64> {
        let now = clock.read().boot_ms;
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(kind).or_default();
        if now < line.not_before_boot_ms {
            line.kept_back = line.kept_back.saturating_add(1);
            return None;
        }
        line.not_before_boot_ms = now.saturating_add(LOG_EVERY_MS);
        Some(std::mem::take(&mut line.kept_back))
    }
}

const LOG_EVERY_MS: i64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ManualClock, Seconds, Timestamp};

    #[test]
    fn each_kind_has_a_line_now_and_then() {
        let clock = ManualClock::new(Timestamp::from_unix_s(1_000).unwrap());
        let rarely = Rarely::default();
        assert_eq!(rarely.due("a", &clock), Some(0));
        for _ in 0..1_000 {
            assert_eq!(rarely.due("a", &clock), None);
        }
        assert_eq!(rarely.due("b", &clock), Some(0));
        clock.advance(Seconds::new(10));
        assert_eq!(rarely.due("a", &clock), Some(1_000));
        assert_eq!(rarely.due("b", &clock), Some(0));
    }
}

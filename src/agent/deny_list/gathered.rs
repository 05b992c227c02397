//! Denials on their way: many come at once, and are told on together.
//!
//! Promises: none waits longer than [`GATHER`], whatever else comes meanwhile: a holder who gives
//! back what is his all the time holds up no revocation.
//! Refuses: to grow beyond [`DENIED_MAX`]; who asks whether it is due is told so then.

use std::time::Duration;

use crate::agent::deny_list::{DENIED_MAX, Denied};

/// Denials that were not told on yet.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    denials: Vec<([u8; 32], Denied)>,
    /// When the first of them came, in running milliseconds.
    since_ms: i64,
}

impl Gathered {
    /// Takes one in.
    pub(crate) fn push(&mut self, digest: [u8; 32], denied: Denied, now_ms: i64) {
        if self.denials.is_empty() {
            self.since_ms = now_ms;
        }
        self.denials.push((digest, denied));
    }

    /// How long until they are due; none where there are none.
    pub(crate) fn due_in(&self, now_ms: i64) -> Option<Duration> {
        if self.denials.is_empty() {
            return None;
        }
        if DENIED_MAX <= self.denials.len() {
            return Some(Duration::ZERO);
        }
        let waited_ms = now_ms.saturating_sub(self.since_ms).max(0);
        Some(GATHER.saturating_sub(Duration::from_millis(waited_ms.unsigned_abs())))
    }

    /// Whether they are due.
    pub(crate) fn is_due(&self, now_ms: i64) -> bool {
        self.due_in(now_ms) == Some(Duration::ZERO)
    }

    /// All of them; none are left.
    pub(crate) fn take(&mut self) -> Vec<([u8; 32], Denied)> {
        std::mem::take(&mut self.denials)
    }
}

/// How long denials are gathered.
const GATHER: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_trickle_holds_nothing_up() {
        let denied = Denied {
            revoked: true,
            until: Timestamp::EPOCH,
        };
        let mut gathered = Gathered::default();
        assert_eq!(gathered.due_in(0), None);
        for (now_ms, due_ms) in [(100, 20), (105, 15), (115, 5), (119, 1)] {
            gathered.push([0; 32], denied, now_ms);
            assert_eq!(gathered.due_in(now_ms), Some(Duration::from_millis(due_ms)));
            assert!(!gathered.is_due(now_ms));
        }
        assert!(gathered.is_due(120) && gathered.is_due(500));
        assert_eq!(gathered.take().len(), 4);
        assert!(!gathered.is_due(500));
        (0..DENIED_MAX).for_each(|_| gathered.push([0; 32], denied, 600));
        assert!(gathered.is_due(600), "as many as there is room for");
    }
}

//! When to ask again, and how to wait for it.
//!
//! Promises: the point of renewal lies between 45 and 55 % of the life, drawn once for each
//! certificate, so that a fleet that started together does not renew together; waiting follows the
//! wall clock, also over a sleep of the machine; SIGTERM and Ctrl-C end a wait at once.
//! Refuses: to wait longer between two attempts than [`PAUSE_LONGEST`].

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::time::{Clock, Seconds, Timestamp};

/// When to ask for the successor of a certificate.
pub(crate) fn renewal_point(asked: Timestamp, not_after: Timestamp, chance: u16) -> Timestamp {
    let life_ms = not_after.unix_ms().saturating_sub(asked.unix_ms()).max(0);
    let drawn = i64::from(chance) * RENEWAL_SPREAD_PERMILLE / i64::from(u16::MAX);
    let after_ms = life_ms / 1_000 * (RENEWAL_EARLIEST_PERMILLE + drawn);
    Timestamp::from_unix_ms(asked.unix_ms().saturating_add(after_ms)).unwrap_or(not_after)
}

/// How long to pause after this many failures in a row: half to all of a span that doubles.
pub(crate) fn pause_after(failures: u32, chance: u16) -> Seconds {
    let span = 1_u32 << failures.min(PAUSE_DOUBLINGS);
    let span_ms = span.min(PAUSE_LONGEST.count()).saturating_mul(1_000);
    let half = u64::from(span_ms / 2);
    let ms = half.saturating_add(half.saturating_mul(u64::from(chance)) / u64::from(u16::MAX));
    let s = u32::try_from(ms.div_ceil(1_000)).unwrap_or(PAUSE_LONGEST.count());
    Seconds::new(s)
}

/// Waits until the clock shows `at`.
pub(crate) async fn until(clock: &dyn Clock, at: Timestamp) {
    loop {
        let left_ms = at.unix_ms().saturating_sub(clock.now().unix_ms());
        let Ok(left_ms @ 1..) = u64::try_from(left_ms) else {
            return;
        };
        // A timer counts while the machine runs; the wall clock is looked at again and again.
        tokio::time::sleep(Duration::from_millis(left_ms).min(GLANCE_EVERY)).await;
    }
}

/// The wish of a person or of the system that this process ends.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    /// From now on the signals do not end the process by themselves.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Returns when the end is wished for.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

const RENEWAL_EARLIEST_PERMILLE: i64 = 450;
const RENEWAL_SPREAD_PERMILLE: i64 = 100;
const PAUSE_LONGEST: Seconds = Seconds::new(30);
const PAUSE_DOUBLINGS: u32 = 5;
const GLANCE_EVERY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::*;

    proptest! {
        #[test]
        fn renewal_lies_between_45_and_55_percent(
            asked_ms in 0..4_000_000_000_000_i64,
            life_s in 5..86_400_i64,
            chance in any::<u16>(),
        ) {
            let asked = Timestamp::from_unix_ms(asked_ms).unwrap();
            let not_after = Timestamp::from_unix_ms(asked_ms + life_s * 1_000).unwrap();
            let renew = renewal_point(asked, not_after, chance);
            let after_ms = renew.unix_ms() - asked_ms;
            prop_assert!(life_s * 450 <= after_ms && after_ms <= life_s * 550);
        }

        #[test]
        fn pauses_grow_to_their_bound(failures in 1..1_000_u32, chance in any::<u16>()) {
            let pause = pause_after(failures, chance);
            prop_assert!(Seconds::new(1) <= pause && pause <= PAUSE_LONGEST);
            prop_assert!(pause <= pause_after(failures + 5, u16::MAX));
        }
    }

    #[test]
    fn what_has_ended_is_renewed_at_once() {
        let asked = Timestamp::from_unix_s(100).unwrap();
        let ended = Timestamp::from_unix_s(90).unwrap();
        assert_eq!(renewal_point(asked, ended, 7), asked);
    }

    #[tokio::test]
    async fn a_time_that_has_come_is_not_waited_for() {
        let now = Timestamp::from_unix_s(100).unwrap();
        until(&crate::time::ManualClock::new(now), now).await;
    }
}

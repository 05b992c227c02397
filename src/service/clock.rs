//! Whether the server's clock can be trusted to end rights on time.
//!
//! Promises: minting stops, loudly, when the wall clock moved otherwise than the clock that
//! counts from boot, at once or in small steps, or stands before the last event (assurance K1).
//! The clock from boot counts a suspend (`CLOCK_BOOTTIME`), so a machine that slept is in no doubt.
//! The way out is an operator's recorded word.
//! Refuses: to guess which of two clocks is right.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use crate::audit::EventKind;
use crate::policy::OperateVerb;
use crate::service::{Call, Service, ServiceError};
use crate::time::{Clock, Reading, Timestamp};

/// A clock that is watched for jumps.
pub struct ClockWatch {
    clock: Arc<dyn Clock>,
    /// Touched under the lock only; no await happens while it is held.
    state: Mutex<State>,
}

struct State {
    /// Both clocks when they were last believed: small steps add up against it.
    believed: Reading,
    doubt: Option<String>,
}

impl ClockWatch {
    /// Watches `clock`; `last_event` is the latest time in the ledger.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, last_event: Option<Timestamp>) -> Self {
        let believed = clock.read();
        let wall = believed.wall;
        let doubt = last_event.filter(|event| wall.unix_ms() + JUMP_MS_MAX < event.unix_ms());
        let doubt =
            doubt.map(|event| format!("the clock shows {wall}, before the last event at {event}"));
        if let Some(why) = &doubt {
            tracing::error!(why, "clock in doubt; minting stops");
        }
        Self {
            clock,
            state: Mutex::new(State { believed, doubt }),
        }
    }

    /// Now, if the clock can be trusted.
    ///
    /// # Errors
    /// [`ServiceError::ClockInDoubt`] until an operator accepts the clock.
    pub fn sure(&self) -> Result<Timestamp, ServiceError> {
        let (now, doubt) = self.look();
        doubt.map_or(Ok(now), |why| Err(ServiceError::ClockInDoubt(why)))
    }

    /// Now, trusted or not.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.look().0
    }

    /// Why the clock is in doubt, if it is.
    #[must_use]
    pub fn doubt(&self) -> Option<String> {
        self.look().1
    }

    /// Milliseconds since the machine started, for what may not jump.
    #[must_use]
    pub fn boot_ms(&self) -> i64 {
        self.clock.read().boot_ms
    }

    fn look(&self) -> (Timestamp, Option<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.read();
        let believed = state.believed;
        let wall_ms = now.wall.unix_ms().saturating_sub(believed.wall.unix_ms());
        let boot_ms = now.boot_ms.saturating_sub(believed.boot_ms);
        let jump_ms = wall_ms.saturating_sub(boot_ms);
        if JUMP_MS_MAX < jump_ms.abs() && state.doubt.is_none() {
            let why = format!(
                "the clock moved by {wall_ms} ms while {boot_ms} ms went by, to {}",
                now.wall
            );
            tracing::error!(why, "clock in doubt; minting stops");
            state.doubt = Some(why);
        }
        (now.wall, state.doubt.clone())
    }

    /// Believes a reading that an operator has accepted; one that jumped since is in doubt again.
    fn accept(&self, reading: Reading) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.believed = reading;
        state.doubt = None;
    }
}

impl Service {
    /// An operator's word that the clock is right after all.
    ///
    /// # Errors
    /// When policy refuses, or the word cannot be recorded.
    pub async fn accept_clock(&self, call: &Call, reason: &str) -> Result<(), ServiceError> {
        self.operate(call, OperateVerb::AcceptClock).await?;
        let reason = self.reason(reason)?;
        let was = self.clock.doubt().unwrap_or_default();
        let accepted = self.clock.clock.read();
        let event = call
            .event(EventKind::ClockAccepted, accepted.wall)
            .and("doubt", was)
            .and("reason", reason.commitment.to_string());
        self.store.append_with(event, reason).await?;
        self.clock.accept(accepted);
        Ok(())
    }
}

impl fmt::Debug for ClockWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClockWatch")
            .field("doubt", &self.doubt())
            .finish_non_exhaustive()
    }
}

/// How far the two clocks may part from where they were last believed, in milliseconds: a leap
/// second and what a time server steps at a start, and no more. What it slews moves both.
const JUMP_MS_MAX: i64 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ManualClock, Seconds};

    fn at(unix_s: i64) -> Timestamp {
        Timestamp::from_unix_s(unix_s).unwrap()
    }

    #[test]
    fn a_clock_that_is_set_is_in_doubt_until_accepted() {
        let manual = Arc::new(ManualClock::new(at(1_000)));
        let watch = ClockWatch::new(manual.clone(), None);
        manual.advance(Seconds::new(86_400));
        assert!(watch.sure().is_ok(), "time that passes is no jump");
        manual.set_wall(at(50));
        assert!(watch.sure().is_err());
        manual.advance(Seconds::new(1));
        assert!(watch.sure().is_err(), "doubt does not wear off");
        watch.accept(watch.clock.read());
        assert!(watch.sure().is_ok());
    }

    #[test]
    fn small_steps_add_up() {
        let manual = Arc::new(ManualClock::new(at(100_000)));
        let watch = ClockWatch::new(manual.clone(), None);
        let mut steps = 0;
        while watch.sure().is_ok() {
            manual.advance(Seconds::new(3_600));
            manual.set_wall(manual.now().minus(Seconds::new(1)));
            steps += 1;
        }
        assert_eq!(steps, 6, "five seconds are forgiven, not more");
        watch.accept(watch.clock.read());
        assert!(watch.sure().is_ok());
    }

    #[test]
    fn a_machine_that_slept_is_in_no_doubt() {
        let manual = Arc::new(ManualClock::new(at(1_000)));
        let watch = ClockWatch::new(manual.clone(), None);
        // Both clocks count the sleep; the one that does not is not asked.
        manual.advance(Seconds::new(8 * 3_600));
        assert!(watch.sure().is_ok());
    }

    #[test]
    fn a_clock_before_the_last_event_is_in_doubt() {
        let manual = Arc::new(ManualClock::new(at(1_000)));
        assert!(
            ClockWatch::new(manual.clone(), Some(at(1_004)))
                .sure()
                .is_ok()
        );
        assert!(ClockWatch::new(manual, Some(at(1_006))).sure().is_err());
    }
}

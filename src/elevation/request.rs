//! What was asked for, fixed from the moment it was asked.
//!
//! Promises: immutable after it is opened (assurance P-5); every field is bounded; the reason is
//! kept as a commitment, its text elsewhere, so that it can be erased.
//! Refuses: durations below a minute's floor or above what the scope allows (policy's guardrail
//! repeats it), and starts too far ahead.

use std::fmt;
use std::str::FromStr;

use crate::id::{ElevationId, Instance};
use crate::identity::Subject;
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};

/// One request for one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// For whom.
    pub subject: Subject,
    /// For what.
    pub scope: Scope,
    /// For how long, from activation or from the scheduled start.
    pub duration: Seconds,
    /// The scheduled start.
    pub not_before: Option<Timestamp>,
    /// Which running holders it serves.
    pub instances: Instances,
    /// SHA-256 commitment to the reason; the text is kept apart.
    pub reason: Option<[u8; 32]>,
    /// The ticket it belongs to.
    pub ticket: Option<Ticket>,
    /// Who asked.
    pub asked_by: Requester,
    /// When.
    pub asked_at: Timestamp,
    /// The elevation that this one goes on from.
    pub extends: Option<ElevationId>,
    /// Asked by a proxy at the moment of use.
    pub on_demand: bool,
    /// Asked as an emergency.
    pub break_glass: bool,
}

/// Which of the subject's instances an elevation serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instances {
    /// Any of them.
    All,
    /// The first so many that mint.
    Count(u16),
    /// The one that asked.
    One(Instance),
}

/// Who asked for an elevation, as the ledger names him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester(pub String);

/// The id of a ticket in another system, such as `OPS-1234`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket(String);

/// Why a request is refused before policy is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Below the floor.
    #[error("duration `{0}` is shorter than `{DURATION_MIN}`")]
    DurationTooShort(Seconds),
    /// A number of instances that serves nobody.
    #[error("instances must be `one`, `all` or a number from 1 to 65535")]
    Instances,
    /// A start in the past or too far ahead.
    #[error("not_before must lie between now and {SCHEDULE_AHEAD_MAX} ahead")]
    NotBefore,
    /// An empty or oversized reason.
    #[error("reason must have 1 to {REASON_BYTES_MAX} bytes without control characters")]
    Reason,
    /// Not a ticket id.
    #[error("ticket must have 1 to {TICKET_BYTES_MAX} of `A-Z a-z 0-9 - _ # / .`")]
    Ticket,
}

impl Request {
    /// Whether the times asked for make sense at `asked_at`.
    ///
    /// # Errors
    /// [`RequestError::DurationTooShort`], [`RequestError::NotBefore`] or
    /// [`RequestError::Instances`].
    pub fn check(&self, duration_min: Seconds) -> Result<(), RequestError> {
        if self.duration < duration_min {
            return Err(RequestError::DurationTooShort(self.duration));
        }
        let latest = self.asked_at.plus(SCHEDULE_AHEAD_MAX);
        if self
            .not_before
            .is_some_and(|start| start < self.asked_at || latest < start)
        {
            return Err(RequestError::NotBefore);
        }
        if self.instances == Instances::Count(0) {
            return Err(RequestError::Instances);
        }
        Ok(())
    }

    /// Whether the text may stand as a reason: bounded, and no control characters, so that no
    /// log or terminal is fooled by it (assurance P-9).
    ///
    /// # Errors
    /// [`RequestError::Reason`].
    pub fn check_reason(text: &str) -> Result<(), RequestError> {
        let legal =
            (1..=REASON_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if legal {
            Ok(())
        } else {
            Err(RequestError::Reason)
        }
    }
}

impl Ticket {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ticket {
    type Err = RequestError;

    fn from_str(text: &str) -> Result<Self, RequestError> {
        let legal = |byte| matches!(byte, b'-' | b'_' | b'#' | b'/' | b'.');
        if (1..=TICKET_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || legal(byte))
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(RequestError::Ticket)
        }
    }
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all instances"),
            Self::Count(count) => write!(f, "{count} instances"),
            Self::One(_) => f.write_str("one instance"),
        }
    }
}

/// The shortest elevation.
pub const DURATION_MIN: Seconds = Seconds::new(60);
/// How far ahead a start may be scheduled.
pub const SCHEDULE_AHEAD_MAX: Seconds = Seconds::new(30 * 86_400);
/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1_024;
/// The longest ticket id, in bytes.
pub const TICKET_BYTES_MAX: usize = 64;

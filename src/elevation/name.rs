//! The words for states and ends, on the wire and in the ledger.
//!
//! Promises: printing and parsing are one round trip.
//! Refuses: other words.

use std::fmt;
use std::str::FromStr;

/// Why an elevation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its time ran out.
    Expired,
    /// Somebody permitted took it back.
    Revoked,
    /// What it rested on is no longer so.
    SignalLost,
    /// It was approved and nobody activated it, or nobody used it.
    Unused,
    /// Its subject gave it back.
    Withdrawn,
}

/// The bare name of a state, for filters and messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateName {
    /// See [`crate::elevation::State::Active`].
    Active,
    /// See [`crate::elevation::State::Approved`].
    Approved,
    /// See [`crate::elevation::State::Cancelled`].
    Cancelled,
    /// See [`crate::elevation::State::Denied`].
    Denied,
    /// See [`crate::elevation::State::Ended`].
    Ended,
    /// See [`crate::elevation::State::Lapsed`].
    Lapsed,
    /// See [`crate::elevation::State::Pending`].
    Pending,
}

impl StateName {
    /// The word on the wire and in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Approved => "approved",
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Ended => "ended",
            Self::Lapsed => "lapsed",
            Self::Pending => "pending",
        }
    }

    /// Every state, alphabetical.
    pub const ALL: [Self; 7] = [
        Self::Active,
        Self::Approved,
        Self::Cancelled,
        Self::Denied,
        Self::Ended,
        Self::Lapsed,
        Self::Pending,
    ];
}

impl End {
    /// The word on the wire and in the ledger.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::SignalLost => "signal_lost",
            Self::Unused => "unused",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Every end, alphabetical.
    pub const ALL: [Self; 5] = [
        Self::Expired,
        Self::Revoked,
        Self::SignalLost,
        Self::Unused,
        Self::Withdrawn,
    ];
}

/// The text names no state or end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the word names no state of an elevation")]
pub struct UnknownState;

impl FromStr for StateName {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|name| name.as_str() == text)
            .ok_or(UnknownState)
    }
}

impl FromStr for End {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL
            .into_iter()
            .find(|end| end.as_str() == text)
            .ok_or(UnknownState)
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_print_and_parse_back() {
        assert!(
            StateName::ALL
                .iter()
                .all(|name| name.as_str().parse() == Ok(*name))
        );
        assert!(End::ALL.iter().all(|end| end.as_str().parse() == Ok(*end)));
        assert!("Active".parse::<StateName>().is_err());
    }
}

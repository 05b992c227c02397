//! The subject: the SPIFFE ID of a workload without any scope.
//!
//! Promises: no subject can look like an elevated name under any encoding, because `scope` as
//! the second-to-last segment and `_` in the last one are refused here, at the one door through
//! which registration entries and base certificates go (assurance S8).
//! Refuses: SPIFFE IDs without a path.

use std::fmt;
use std::str::FromStr;

use crate::identity::{SpiffeId, SpiffeIdError, TrustDomain};

/// A base identity; what a registration entry names and a base SVID carries.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(SpiffeId);

impl Subject {
    /// Its SPIFFE ID.
    #[must_use]
    pub const fn id(&self) -> &SpiffeId {
        &self.0
    }

    /// The trust domain it belongs to.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        self.0.trust_domain()
    }
}

impl TryFrom<SpiffeId> for Subject {
    type Error = SpiffeIdError;

    fn try_from(id: SpiffeId) -> Result<Self, SpiffeIdError> {
        let last = id
            .segments_from_last()
            .next()
            .ok_or(SpiffeIdError::NoPath)?;
        if last.contains(FOLD) {
            return Err(SpiffeIdError::ReservedFold);
        }
        if id.segments_from_last().nth(1) == Some(SCOPE_SEGMENT) {
            return Err(SpiffeIdError::ReservedScope);
        }
        Ok(Self(id))
    }
}

impl FromStr for Subject {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        text.parse::<SpiffeId>()?.try_into()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The path segment before a scope under the `path` encoding.
pub(crate) const SCOPE_SEGMENT: &str = "scope";
/// What joins base name and scope under the `folded` encoding.
pub(crate) const FOLD: char = '_';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_parts_are_refused_wherever_they_would_elevate() {
        for (text, code) in [
            ("spiffe://td", "no_path"),
            ("spiffe://td/ns/shop/sa/web/scope/db.read", "reserved_scope"),
            ("spiffe://td/scope/x", "reserved_scope"),
            ("spiffe://td/ns/shop/sa/web_db.read", "reserved_fold"),
            ("spiffe://td/_", "reserved_fold"),
        ] {
            assert_eq!(
                text.parse::<Subject>().expect_err(text).code(),
                code,
                "{text}"
            );
        }
        for text in [
            "spiffe://td/scope",
            "spiffe://td/a_b/c",
            "spiffe://td/scope/a/b",
        ] {
            assert!(text.parse::<Subject>().is_ok(), "{text}");
        }
    }
}

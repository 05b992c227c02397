//! The name of a scope.
//!
//! Promises: dot-separated RFC 1123 labels in lower case, at most 63 bytes in all, so that it is
//! a legal SPIFFE path segment, a legal DNS label sequence and a legal Envoy secret name at once.
//! Refuses: names that end in `-cacert`, which Istio appends to ask for a CA (facts/mesh.md 5.1).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A valid scope name, such as `db.read`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

/// Why a text is no scope name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// A character outside `a-z 0-9 . -`.
    #[error("scope character `{0}` is not one of `a-z 0-9 . -`")]
    Character(char),
    /// No text at all.
    #[error("scope is empty")]
    Empty,
    /// A dot part that is empty or begins or ends with `-`.
    #[error("scope part `{0}` is not an RFC 1123 label: begin and end it with `a-z 0-9`")]
    Label(String),
    /// Ends in `-cacert`.
    #[error("scope must not end in `-cacert`, which meshes append to ask for a CA")]
    ReservedEnd,
    /// More than 63 bytes.
    #[error("scope has {0} bytes, more than 63")]
    TooLong(usize),
}

impl Scope {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ScopeError {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Character(_) => "character",
            Self::Empty => "empty",
            Self::Label(_) => "label",
            Self::ReservedEnd => "reserved_end",
            Self::TooLong(_) => "too_long",
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Err(ScopeError::Empty);
        }
        if text.len() > SCOPE_BYTES_MAX {
            return Err(ScopeError::TooLong(text.len()));
        }
        let legal = |c: &char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '-');
        if let Some(character) = text.chars().find(|c| !legal(c)) {
            return Err(ScopeError::Character(character));
        }
        let bad = |part: &&str| part.is_empty() || part.starts_with('-') || part.ends_with('-');
        if let Some(part) = text.split('.').find(bad) {
            return Err(ScopeError::Label(part.to_owned()));
        }
        if text.ends_with(RESERVED_END) {
            return Err(ScopeError::ReservedEnd);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest scope name, in bytes: one DNS label's length, so that it fits every encoding.
pub const SCOPE_BYTES_MAX: usize = 63;
const RESERVED_END: &str = "-cacert";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_be_wrong_has_its_own_error() {
        let long = "a".repeat(64);
        for (text, code) in [
            ("", "empty"),
            (long.as_str(), "too_long"),
            ("DB.read", "character"),
            ("db_read", "character"),
            ("db/read", "character"),
            ("db read", "character"),
            ("db.*", "character"),
            ("db,read", "character"),
            ("db:read", "character"),
            ("db\u{0}", "character"),
            ("dв.read", "character"),
            ("db..read", "label"),
            (".db", "label"),
            ("db.", "label"),
            ("-db", "label"),
            ("db-.read", "label"),
            ("db-cacert", "reserved_end"),
        ] {
            assert_eq!(
                text.parse::<Scope>().expect_err(text).code(),
                code,
                "{text}"
            );
        }
    }

    #[test]
    fn legal_names_print_back() {
        for text in ["db.read", "a", "0", "cacert", "x-1.y-2.z", &"a".repeat(63)] {
            assert_eq!(text.parse::<Scope>().unwrap().as_str(), text);
        }
    }
}

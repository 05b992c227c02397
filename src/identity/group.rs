//! The name of a group of people: owners of entries and scopes, givers of approvals.
//!
//! Promises: `a-z 0-9 -`, begins and ends with a letter or digit, at most 63 bytes, so that it
//! is a Cedar tag and a TOML key without quoting.
//! Refuses: everything else; a provider's own group names are mapped before they come here.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A valid group name, such as `sre`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Arc<str>);

/// The text is no group name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no group name: use `a-z 0-9 -`, at most 63 bytes, no `-` at either end")]
pub struct GroupError(String);

impl Group {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Group {
    type Err = GroupError;

    fn from_str(text: &str) -> Result<Self, GroupError> {
        let legal = (1..=GROUP_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !text.starts_with('-')
            && !text.ends_with('-');
        if legal {
            Ok(Self(text.into()))
        } else {
            Err(GroupError(text.chars().take(GROUP_BYTES_MAX).collect()))
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest group name, in bytes.
pub const GROUP_BYTES_MAX: usize = 63;

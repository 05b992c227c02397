//! A selector: one attested property of a workload, `type:value` as SPIFFE implementations
//! write it, such as `unix:uid:1000`.
//!
//! Promises: printable ASCII without spaces, a type and a value, at most 256 bytes.
//! Refuses: control characters and anything a log or a terminal could mistake.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A valid selector.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector(Arc<str>);

/// The text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no selector: write `type:value` in printable ASCII, at most 256 bytes")]
pub struct SelectorError(String);

impl Selector {
    /// The whole selector.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        let whole = |(kind, value): (&str, &str)| !kind.is_empty() && !value.is_empty();
        let legal = text.len() <= SELECTOR_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && text.split_once(':').is_some_and(whole);
        if legal {
            Ok(Self(text.into()))
        } else {
            let shown = text
                .chars()
                .take(64)
                .flat_map(char::escape_default)
                .collect();
            Err(SelectorError(shown))
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The kinds of selectors that an agent shows: what stands before the value.
pub const SELECTOR_KINDS: [&str; 10] = [
    "unix:uid",
    "unix:gid",
    "unix:user",
    "unix:group",
    "unix:supplementary_gid",
    "unix:supplementary_group",
    "unix:path",
    "unix:sha256",
    "systemd:id",
    "container:id",
];
/// The longest selector, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 256;

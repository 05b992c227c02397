//! One field of a request, parsed into its type.
//!
//! Promises: a problem names the field and speaks in the words of the type.
//! Refuses: what the type refuses.

use std::error::Error;
use std::str::FromStr;

use crate::api::problem::{self, Problem};

/// The value of a field that must be there.
pub(crate) fn required<T: FromStr<Err: Error>>(name: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| problem::field(name, &error))
}

/// The value of a field that may be absent.
pub(crate) fn optional<T: FromStr<Err: Error>>(
    name: &str,
    text: Option<&str>,
) -> Result<Option<T>, Problem> {
    text.map(|text| required(name, text)).transpose()
}

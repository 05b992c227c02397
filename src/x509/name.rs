//! The distinguished names of protem's own certificates: one common name, or nothing.
//!
//! Written here with `x509-cert` and compared by the lint with what the builder wrote.

use std::str::FromStr;

use der::Encode;
use x509_cert::name::Name;

/// The DER of a name that is one common name, or of the empty name.
///
/// A text that cannot stand in a name gives no bytes, which equal no name.
#[must_use]
pub fn common_name_der(common_name: Option<&str>) -> Vec<u8> {
    let name = match common_name {
        None => Ok(Name::default()),
        Some(text) => Name::from_str(&format!("CN={text}")),
    };
    name.and_then(|name| name.to_der()).unwrap_or_default()
}

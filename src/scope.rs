//! Scopes, and how a scope is written into an SVID's name.
//!
//! Promises: a [`Scope`] that exists is a valid name; an [`SvidName`] prints to exactly one set
//! of SANs per encoding and parses back from it, one round trip (DESIGN section 6).
//! Refuses: two scopes in one certificate, wildcards, and every SAN set that protem itself would
//! not have written.

mod encoding;
mod name;

pub use crate::scope::encoding::{Encoding, Sans, SvidName, SvidNameError, UnknownEncoding};
pub use crate::scope::name::{SCOPE_BYTES_MAX, Scope, ScopeError};

//! Join tokens.
//!
//! Promises: the secret stands in the answer that makes the token, and nowhere else.
//! Refuses: nothing of its own.

pub(crate) mod list;
pub(crate) mod make;
pub(crate) mod remove;

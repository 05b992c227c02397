//! SVIDs.
//!
//! Promises: the two endpoints that mint: one, and many at once.
//! Refuses: nothing of its own.

pub(crate) mod batch;
pub(crate) mod mint;

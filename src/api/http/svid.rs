//! SVIDs.
//!
//! Promises: the one endpoint that mints.
//! Refuses: nothing of its own.

pub(crate) mod mint;

//! Policy, as the wire shows it.
//!
//! Promises: what is in force, its files, and what it would say.
//! Refuses: nothing of its own.

pub(crate) mod activate;
pub(crate) mod explain;
pub(crate) mod files;
pub(crate) mod read;

//! The shapes of the REST door, as JSON sees them.
//!
//! Promises: plain texts and numbers, nothing more: times are RFC 3339 in UTC with milliseconds,
//! spans are texts such as `5m`, SPIFFE IDs and ids are their printed form. A request refuses
//! unknown and double keys; an answer may gain keys, so a client passes over what it does not know.
//! Refuses: to mean anything. What a text stands for is decided where it is parsed, at the door;
//! domain types never appear here and never derive serde.

pub mod bundle;
pub mod elevation;
pub mod entry;
pub mod event;
pub mod minting;
pub mod page;
pub mod policy;
pub mod problem;
pub mod svid;
pub mod token;
mod unique;
pub mod uses;
pub mod verdict;

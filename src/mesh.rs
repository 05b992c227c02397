//! The mesh: what makes the end of a certificate true.
//!
//! Promises: pure: text in, findings out.
//! Refuses: a network, a clock, the server's own rooms.

pub mod lint;

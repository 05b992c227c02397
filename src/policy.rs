//! Stand-in until the policy room lands: only what the store needs.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "stand-in")]
mod facts;
mod need;
mod question;
mod source;

pub use crate::policy::facts::{
    ElevationFact, EntryFact, FactParts, FactVersion, Facts, MintingFact, PolicyFact, SignalFact,
};
pub use crate::policy::need::{Approvals, Need};
pub use crate::policy::question::{Ask, Principal};
pub use crate::policy::source::PolicyDigest;

//! Policy: who may hold which scope, for how long, under which conditions, with whose approval.
//!
//! | File | Holds |
//! |---|---|
//! | `source` | a bundle's files, bounded, with canonical bytes and digest |
//! | `bundle` | the compiled bundle, indexed by scope; `rule`, `check`, `fold`, `nesting`: how it is read |
//! | `catalogue` | `scopes.toml` |
//! | `question`, `facts` | what is asked, and what it rests on |
//! | `model` | both in Cedar's words |
//! | `judge` | one look; `decide`: the verdict; `outlook`: the supposition |
//! | `suite` | a bundle's own tests |
//!
//! Promises: a pure function of bundle, question, facts and moment; approvals are facts. Only
//! [`decide`] returns a [`Permit`], only from [`Facts`] that the store observed.
//! Refuses: IO, the clock, free text; a permit where anything is missing or fails.

mod bundle;
mod catalogue;
mod check;
mod decide;
mod facts;
mod fault;
mod fold;
mod judge;
mod model;
mod need;
mod nesting;
mod outlook;
mod question;
mod record;
mod rule;
mod source;
mod suite;
#[cfg(test)]
mod tests;

pub use crate::policy::bundle::{Bundle, built_in_digest, guardrails_text, schema_text};
pub use crate::policy::catalogue::{
    Catalogue, ELEVATION_LONGEST_MAX, SCOPES_MAX, SVID_LIFE_MAX, ScopeTerms,
};
pub use crate::policy::decide::{Denial, HORIZON_MAX, Permit, Verdict, decide};
pub use crate::policy::facts::{
    ElevationFact, EntryFact, FactParts, FactVersion, Facts, MintingFact, PolicyFact, SignalFact,
};
pub use crate::policy::fault::{BundleFaults, Fault, Place};
pub use crate::policy::judge::DenialReason;
pub use crate::policy::need::{Approvals, NEED_COUNT_MAX, Need, NeedError, WaitsFor, Way};
pub use crate::policy::outlook::{Forecast, Outlook, suppose};
pub use crate::policy::question::{
    Act, Action, Ask, ElevateAct, OperateVerb, Principal, RevokeAct, TICKET_BYTES_MAX, Ticket,
    TicketError,
};
pub use crate::policy::record::Record;
pub use crate::policy::rule::{POLICY_ID_BYTES_MAX, PolicyId, PolicyIdError};
pub use crate::policy::source::{
    BUNDLE_BYTES_MAX, BundleSource, FILE_BYTES_MAX, FILES_MAX, PolicyDigest, PolicyError,
};
pub use crate::policy::suite::{SUITE_TESTS_MAX, TestOutcome, run_tests};

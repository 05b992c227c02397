//! Stand-in until the policy room lands: only what the store needs.
pub use crate::policy::facts::{FactVersion, Facts};
mod facts;

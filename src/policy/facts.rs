//! Stand-in until the policy room lands.
use crate::id::{ElevationId, EntryId, PolicyVersion};
/// Stand-in.
#[derive(Debug)]
pub struct Facts;
/// The version of one fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactVersion {
    /// The activated policy.
    Policy(PolicyVersion),
    /// Whether minting is stopped.
    Minting(u64),
    /// A registration entry.
    Entry(EntryId, u64),
    /// An elevation.
    Elevation(ElevationId, u64),
}

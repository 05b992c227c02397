//! Facts: what protem knows that a verdict rests on, each with its version.
//!
//! Promises: [`Facts`] come from the store alone, read together in one moment; they cannot be
//! copied, kept as a template or read from a file, so a permit cannot rest on facts made up.
//! Whoever only supposes uses [`FactParts`] and gets an outlook, which opens nothing.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use cedar_policy::Entities;

use crate::id::{ElevationId, EntryId, PolicyVersion};
use crate::identity::{Group, Selector, Subject};
use crate::policy::need::Approvals;
use crate::policy::question::Principal;
use crate::policy::source::PolicyDigest;
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};

/// Facts that the store observed. One use: a verdict takes them.
#[derive(Debug)]
pub struct Facts {
    parts: FactParts,
}

/// What facts consist of; by itself it is a supposition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FactParts {
    /// The policy in force.
    pub policy: PolicyFact,
    /// Whether minting is stopped.
    pub minting: MintingFact,
    /// The registration entry of [`Ask::entry_subject`](crate::policy::Ask::entry_subject).
    pub entry: Option<Arc<EntryInView>>,
    /// The elevation that the question is about; none while it is only requested.
    pub elevation: Option<ElevationFact>,
    /// Every signal that some source told of.
    pub signals: Vec<SignalFact>,
}

/// The policy in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyFact {
    /// Its version.
    pub version: PolicyVersion,
    /// Its digest; a bundle with another digest decides nothing.
    pub digest: PolicyDigest,
}

/// The kill switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MintingFact {
    /// Whether nothing may be minted.
    pub stopped: bool,
    /// Rises with every change.
    pub version: u64,
}

/// A registration entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryFact {
    /// Which.
    pub id: EntryId,
    /// Rises with every change.
    pub version: u64,
    /// Whom it registers.
    pub subject: Subject,
    /// What is attested of it.
    pub selectors: Vec<Selector>,
    /// The group that answers for it.
    pub owner: Group,
    /// The groups it belongs to: `principal in Group::"..."`.
    pub groups: Vec<Group>,
    /// Workloads that may obtain SVIDs for it.
    pub deputies: Vec<Subject>,
    /// The longest life of its base SVID.
    pub life: Seconds,
}

/// A registration entry that is asked about again and again: its Cedar form is made once and kept
/// with it. Reads as the [`EntryFact`] that it was made from.
pub struct EntryInView {
    fact: EntryFact,
    cedar: OnceLock<Entities>,
}

/// An elevation as far as policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElevationFact {
    /// Which.
    pub id: ElevationId,
    /// Rises with every change.
    pub version: u64,
    /// Who would hold the scope.
    pub subject: Subject,
    /// The scope that people approve.
    pub scope: Scope,
    /// Distinct approvers so far, whose votes still count.
    pub approvals: Approvals,
    /// Who asked for it.
    pub requester: Principal,
}

/// A fact about the world with an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalFact {
    /// Its name, the tag in policies.
    pub name: String,
    /// Whether it is on.
    pub active: bool,
    /// Whether its source spoke recently enough to be believed.
    pub source_fresh: bool,
    /// When it ends, or its source's word grows stale.
    pub ends_at: Option<Timestamp>,
}

/// The version of one fact. The transaction that records what a permit allows refuses when any
/// has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FactVersion {
    /// The elevation at this version.
    Elevation(ElevationId, u64),
    /// The registration entry at this version.
    Entry(EntryId, u64),
    /// The kill switch at this version.
    Minting(u64),
    /// The policy in force.
    Policy(PolicyVersion),
}

impl Facts {
    /// Facts as they were observed together.
    ///
    /// Only the store calls this, inside one read of its tables: `tests/it/tidy.rs` refuses any
    /// other caller.
    #[must_use]
    pub const fn observed(parts: FactParts) -> Self {
        Self { parts }
    }

    /// What was observed.
    #[must_use]
    pub const fn parts(&self) -> &FactParts {
        &self.parts
    }
}

impl EntryInView {
    /// What Cedar is told of it, made when it is asked for first.
    pub(crate) fn in_cedar<E>(
        &self,
        make: impl FnOnce(&EntryFact) -> Result<Entities, E>,
    ) -> Result<Entities, E> {
        if let Some(made) = self.cedar.get() {
            return Ok(made.clone());
        }
        let made = make(&self.fact)?;
        Ok(self.cedar.get_or_init(|| made).clone())
    }
}

impl From<EntryFact> for EntryInView {
    fn from(fact: EntryFact) -> Self {
        Self {
            fact,
            cedar: OnceLock::new(),
        }
    }
}

impl From<EntryFact> for Arc<EntryInView> {
    fn from(fact: EntryFact) -> Self {
        Self::new(fact.into())
    }
}

impl Deref for EntryInView {
    type Target = EntryFact;

    fn deref(&self) -> &EntryFact {
        &self.fact
    }
}

impl PartialEq for EntryInView {
    fn eq(&self, other: &Self) -> bool {
        self.fact == other.fact
    }
}

impl Eq for EntryInView {}

impl fmt::Debug for EntryInView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fact.fmt(f)
    }
}

impl SignalFact {
    /// The signal as it will stand at a later moment, if nothing new is told. After its end it is
    /// stale: off for a permit, on for a forbid that is written as it must be.
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        self.ends_at.is_none_or(|end| at < end)
    }
}

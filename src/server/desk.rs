//! What is done at a desk without a running server: policy bundles and the store's file.
//!
//! Promises: the same code that a server runs checks, tests and explains a bundle; a backup is
//! verified before it is called one.
//! Refuses: to touch the store of a running server otherwise than by copying it.

use std::path::Path;

use crate::identity::{Group, Selector, Subject};
use crate::policy::{
    Act, Ask, Bundle, BundleFaults, ElevateAct, EntryFact, FactParts, MintingFact, Outlook,
    PolicyFact, Principal, TestOutcome, run_tests, suppose,
};
use crate::server::start::{STORE_FILE, StartError, read_bundle};
use crate::store::StoreError;
use crate::store::sqlite::{backup, restore};
use crate::time::{Seconds, Timestamp};

/// A question to a bundle that nobody has activated.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Who would hold the scope.
    pub subject: Subject,
    /// The groups he is supposed to be in.
    pub groups: Vec<Group>,
    /// The group that is supposed to answer for him.
    pub owner: Group,
    /// The selectors he is supposed to have.
    pub selectors: Vec<Selector>,
    /// What would be asked.
    pub act: ElevateAct,
    /// When.
    pub at: Timestamp,
}

/// Why the desk cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The bundle has faults.
    #[error("{0}")]
    Faults(BundleFaults),
    /// Files cannot be read.
    #[error(transparent)]
    Read(#[from] StartError),
    /// The store refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Compiles the bundle in a directory. Answers its digest, scopes and warnings.
///
/// # Errors
/// All its faults.
pub fn check_policy(directory: &Path) -> Result<(String, Vec<String>, Vec<String>), DeskError> {
    let bundle = compile(directory)?;
    let scopes = bundle
        .catalogue()
        .iter()
        .map(|terms| terms.scope.to_string())
        .collect();
    let warnings = bundle.warnings().map(ToString::to_string).collect();
    Ok((bundle.digest().to_string(), scopes, warnings))
}

/// Runs the tests of the bundle in a directory.
///
/// # Errors
/// All its faults.
pub fn test_policy(directory: &Path) -> Result<Vec<TestOutcome>, DeskError> {
    let source = read_bundle(directory)?;
    let bundle = Bundle::compile(&source).map_err(DeskError::Faults)?;
    Ok(run_tests(&bundle, &source))
}

/// What the bundle in a directory would say to a question.
///
/// # Errors
/// All its faults.
pub fn explain_policy(directory: &Path, asked: Explained) -> Result<Outlook, DeskError> {
    let bundle = compile(directory)?;
    let first = crate::id::PolicyVersion::FIRST;
    let parts = FactParts {
        policy: PolicyFact {
            version: first,
            digest: bundle.digest(),
        },
        minting: MintingFact {
            stopped: false,
            version: 0,
        },
        entry: Some(EntryFact {
            id: crate::id::EntryId::random(&crate::id::entropy::Entropy::seeded(0)),
            version: 1,
            subject: asked.subject.clone(),
            selectors: asked.selectors,
            owner: asked.owner,
            groups: asked.groups,
            deputies: Vec::new(),
            life: Seconds::new(3_600),
        }),
        elevation: None,
        signals: Vec::new(),
    };
    let horizon = asked.act.asked;
    let ask = Ask {
        principal: Principal::Workload {
            subject: asked.subject,
            elevated: false,
        },
        act: Act::Elevate(asked.act),
        source: None,
    };
    Ok(suppose(&bundle, &ask, &parts, asked.at, horizon))
}

/// Copies the store of a data directory while its server may be running.
///
/// # Errors
/// Why there is no backup; the target is not left half written.
pub fn backup_store(data: &Path, to: &Path) -> Result<(), DeskError> {
    Ok(backup(&data.join(STORE_FILE), to)?)
}

/// Puts a backup in place of a store that is not there.
///
/// # Errors
/// Why not; nothing is changed then.
pub fn restore_store(from: &Path, data: &Path) -> Result<(), DeskError> {
    Ok(restore(from, &data.join(STORE_FILE))?)
}

fn compile(directory: &Path) -> Result<Bundle, DeskError> {
    Bundle::compile(&read_bundle(directory)?).map_err(DeskError::Faults)
}

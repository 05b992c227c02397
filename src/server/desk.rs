//! What is done at a desk without a running server: policy bundles and the store's file.
//!
//! Promises: the same code that a server runs checks, tests and explains a bundle; a backup is
//! verified before it is called one.
//! Refuses: to touch the store of a running server otherwise than by copying it.

use std::path::Path;
use std::sync::Arc;

use crate::id::entropy::Entropy;
use crate::id::{ElevationId, EntryId, PolicyVersion};
use crate::identity::{Group, Subject};
use crate::policy::{
    Act, Ask, Bundle, BundleFaults, ElevateAct, ElevationFact, EntryFact, FactParts, MintingFact,
    PolicyFact, Principal, run_tests, suppose,
};
use crate::scope::Scope;
use crate::server::start::{STORE_FILE, StartError, read_bundle};
use crate::service::InForce;
use crate::store::StoreError;
use crate::store::sqlite::{backup, restore};
use crate::time::{Seconds, Timestamp};
use crate::wire::policy::ExplainRequest;
use crate::wire::verdict::OutlookAnswer;

/// What is made up about the subject of a question to a bundle that nobody has activated.
#[derive(Clone, Debug, Default)]
pub struct Supposed {
    /// The groups that he is in; the first one answers for him.
    pub groups: Vec<Group>,
    /// The approvals that were given.
    pub approvals: Vec<(Group, u32)>,
}

/// Why the desk cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The bundle has faults.
    #[error("{0}")]
    Faults(BundleFaults),
    /// A part of the question cannot be read.
    #[error("`{0}` cannot be read")]
    Field(
        &'static str,
        #[source] Box<dyn std::error::Error + Send + Sync>,
    ),
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

/// Runs the tests of the bundle in a directory. Answers each test's name with what is wrong.
///
/// # Errors
/// All its faults.
pub fn test_policy(directory: &Path) -> Result<Vec<(String, Option<String>)>, DeskError> {
    let source = read_bundle(directory)?;
    let bundle = Bundle::compile(&source).map_err(DeskError::Faults)?;
    let outcomes = run_tests(&bundle, &source).into_iter();
    Ok(outcomes
        .map(|one| (format!("{}: {}", one.file, one.name), one.failure))
        .collect())
}

/// What the bundle in a directory would say to a question.
///
/// # Errors
/// All its faults, or the part of the question that cannot be read.
pub fn explain_policy(
    directory: &Path,
    asked: &ExplainRequest,
    supposed: Supposed,
    now: Timestamp,
) -> Result<OutlookAnswer, DeskError> {
    let bundle = compile(directory)?;
    let subject: Subject = field("subject", asked.subject.parse())?;
    let scope: Scope = field("scope", asked.scope.parse())?;
    let longest = bundle
        .catalogue()
        .terms(&scope)
        .map(|terms| terms.elevation_longest);
    let act = ElevateAct {
        subject: subject.clone(),
        scope,
        asked: match &asked.duration {
            Some(text) => field("duration", text.parse())?,
            None => longest.unwrap_or_default(),
        },
        has_reason: asked.reason.is_some(),
        ticket: asked
            .ticket
            .as_deref()
            .map(|text| field("ticket", text.parse()))
            .transpose()?,
        scheduled: asked.at.is_some(),
        on_demand: asked.on_demand,
        break_glass: asked.break_glass,
    };
    let at = match &asked.at {
        Some(text) => field("at", text.parse())?,
        None => now,
    };
    let parts = facts(&bundle, &act, supposed)?;
    let horizon = act.asked;
    let principal = Principal::Workload {
        subject,
        elevated: false,
    };
    let ask = Ask {
        principal,
        act: Act::Elevate(act),
        source: None,
    };
    let outlook = suppose(&bundle, &ask, &parts, at, horizon);
    let policy = InForce {
        version: PolicyVersion::FIRST,
        bundle: Arc::new(bundle),
        author: String::new(),
        activated_at: now,
    };
    Ok(crate::api::http::outlook(&outlook, &policy, at))
}

fn facts(bundle: &Bundle, act: &ElevateAct, supposed: Supposed) -> Result<FactParts, DeskError> {
    let owner = match supposed.groups.first() {
        Some(group) => group.clone(),
        None => field("group", "nobody".parse())?,
    };
    let made_up = Entropy::seeded(0);
    let requester = Principal::Workload {
        subject: act.subject.clone(),
        elevated: false,
    };
    Ok(FactParts {
        policy: PolicyFact {
            version: PolicyVersion::FIRST,
            digest: bundle.digest(),
        },
        minting: MintingFact {
            stopped: false,
            version: 1,
        },
        entry: Some(
            EntryFact {
                id: EntryId::random(&made_up),
                version: 1,
                subject: act.subject.clone(),
                selectors: Vec::new(),
                owner,
                groups: supposed.groups,
                deputies: Vec::new(),
                life: Seconds::new(3_600),
            }
            .into(),
        ),
        elevation: Some(ElevationFact {
            id: ElevationId::random(&made_up),
            version: 1,
            subject: act.subject.clone(),
            scope: act.scope.clone(),
            approvals: supposed.approvals.into_iter().collect(),
            requester,
        }),
        signals: Vec::new(),
    })
}

fn field<T, E>(name: &'static str, read: Result<T, E>) -> Result<T, DeskError>
where
    E: std::error::Error + Send + Sync + 'static,
{
    read.map_err(|error| DeskError::Field(name, Box::new(error)))
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

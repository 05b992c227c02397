//! Why a walk did not do what was asked.
//!
//! Promises: one variant for each thing a caller can act upon; the door chooses the HTTP status.
//! Refuses: to carry secrets, or texts that were not written for the caller, except as sources.

use crate::attestation::{EntryTermsError, TokenError};
use crate::elevation::{MoveError, RequestError, WaitsFor};
use crate::id::{ElevationId, PolicyVersion};
use crate::pki::{FinishError, PlanError, SetupError};
use crate::policy::{BundleFaults, PolicyError};
use crate::store::StoreError;
use crate::time::Seconds;
use crate::x509::CsrError;

/// Policy said no, and why, in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// A stable word for programs.
    pub code: &'static str,
    /// For people.
    pub text: String,
    /// The determining policies.
    pub policies: Vec<String>,
    /// The digest of the bundle that decided.
    pub digest: String,
    /// The version of the bundle that decided.
    pub version: PolicyVersion,
    /// What people could approve to turn it.
    pub waits_for: Vec<WaitsFor>,
    /// The elevation that the refusal is recorded as.
    pub elevation: Option<ElevationId>,
}

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The policy bundle has faults.
    #[error("the policy bundle has faults")]
    Bundle(#[source] BundleFaults),
    /// Facts kept changing while the request was decided.
    #[error("the facts kept changing while this was decided; ask again")]
    Busy,
    /// The server's clock cannot be trusted.
    #[error("nothing is minted: {0}; an operator can run `protem clock accept`")]
    ClockInDoubt(String),
    /// The request for a certificate is wrong.
    #[error("the certificate signing request is refused")]
    Csr(#[from] CsrError),
    /// More ask at once than can be served, and others' certificates end earlier.
    #[error("more ask at once than can be served; ask again in {} s", wait.count())]
    Crowded {
        /// How long to wait first.
        wait: Seconds,
    },
    /// What the entry says is out of bounds.
    #[error("the registration entry is refused")]
    Entry(#[from] EntryTermsError),
    /// The certificate could not be finished.
    #[error("the certificate could not be finished")]
    Finish(#[from] FinishError),
    /// A token that an issuer signed, or did not.
    #[error(transparent)]
    IssuerToken(#[from] TokenError),
    /// The keys of a token's issuer cannot be read, or not for too long.
    #[error("the keys of the token's issuer are not known at the moment")]
    KeysAway,
    /// A text that is out of bounds.
    #[error("{0}")]
    Field(&'static str),
    /// The elevation does not allow it.
    #[error("the elevation does not allow it")]
    Move(#[from] MoveError),
    /// A rule that stands above policy says no.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// The entry of an agent is gone: by this word alone it gives up what it holds.
    #[error("this agent has no registration entry any more; an operator must put one")]
    Unregistered,
    /// There is no open elevation to mint from.
    #[error("there is no open elevation for this scope; open one first (`protem elevate`)")]
    NoElevation,
    /// No policy was ever activated.
    #[error("no policy is in force; an operator must run `protem policy activate`")]
    NoPolicy,
    /// There is no such thing, or the caller may not know of it.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The certificate could not be planned.
    #[error("the certificate cannot be planned")]
    Plan(#[from] PlanError),
    /// The policy bundle is malformed.
    #[error("the policy bundle is refused")]
    Policy(#[from] PolicyError),
    /// Policy, or a rule that stands above it, says no.
    #[error("{}", .0.text)]
    Refused(Box<Refusal>),
    /// What was asked about an elevation makes no sense.
    #[error("the elevation request is refused")]
    Request(#[from] RequestError),
    /// An issuer could not be renewed.
    #[error("an issuer cannot be renewed")]
    Setup(#[from] SetupError),
    /// The store refused or cannot record.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The join token is wrong, spent or expired.
    #[error("the join token is wrong, spent or expired; ask an operator for a new one")]
    Token,
    /// The caller asked, was refused or waits too often.
    #[error("refused (`{code}`), and too often before; ask again in {} s", wait.count())]
    TooMany {
        /// Why this request is refused, or what there was too much of.
        code: &'static str,
        /// How long to wait first.
        wait: Seconds,
    },
}

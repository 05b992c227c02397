//! What the verbs of the store take.
//!
//! Promises: plain values; every act carries the event that records it.
//! Refuses: to check meaning. The rooms above made these values from valid ones.

use crate::attestation::SecretDigest;
use crate::audit::{Commitment, Event, EventKind};
use crate::elevation::{Elevation, StateName, Used};
use crate::id::{ElevationId, EventNumber, Instance, OperatorId, TokenId};
use crate::identity::Subject;
use crate::policy::FactVersion;
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};

/// A certificate that is about to be signed.
#[derive(Debug)]
pub struct Intent {
    /// `svid.intent` or `authority.intent`. The store adds `tbs_sha256`.
    pub event: Event,
    /// The serial number's bytes, big-endian; unique for ever.
    pub serial: Vec<u8>,
    /// The exact to-be-signed bytes.
    pub tbs: Vec<u8>,
    /// Where eight bytes of `tbs` must become the index of this event in the log, big-endian.
    pub index_at: Option<usize>,
    /// The version of every fact that the permit was decided on.
    pub guards: Vec<FactVersion>,
    /// The elevation that is minted from.
    pub mint: Option<Mint>,
    /// The join token that is spent.
    pub spend: Option<TokenId>,
    /// Makes a repeated request find the first one's certificate.
    pub retry: Option<RetryKey>,
}

/// One mint from an elevation.
#[derive(Clone, Copy, Debug)]
pub struct Mint {
    /// From which.
    pub elevation: ElevationId,
    /// For which running holder.
    pub instance: Instance,
    /// When it was decided.
    pub at: Timestamp,
}

/// What tells a repeated request from a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryKey {
    /// Who asks; keys of different callers never meet.
    pub caller: String,
    /// The caller's idempotency key.
    pub key: String,
    /// SHA-256 of the request; the same key with another request is refused.
    pub request: [u8; 32],
}

/// How an intent came out.
#[derive(Debug)]
pub struct Outcome {
    /// Of which intent.
    pub intent: EventNumber,
    /// `svid.issued`, `svid.failed`, or the same of the authority's own.
    pub event: Event,
    /// The signed certificate, DER; none when it failed.
    pub certificate: Option<Vec<u8>>,
}

/// An elevation that is being opened.
#[derive(Debug)]
pub struct NewElevation {
    /// In the state that policy gave it.
    pub elevation: Elevation,
    /// Says so.
    pub event: Event,
    /// The version of every fact that the verdict was decided on.
    pub guards: Vec<FactVersion>,
    /// The text behind the reason's commitment.
    pub reason: Option<Reason>,
    /// Makes a repeated request find the first one's elevation.
    pub retry: Option<RetryKey>,
    /// The most open (pending, approved or active) elevations that the subject may have,
    /// this one included.
    pub open_max: u32,
}

/// An elevation after a move.
#[derive(Debug)]
pub struct ElevationChange {
    /// The version that the move was made on.
    pub from_version: u64,
    /// The elevation afterwards.
    pub after: Elevation,
    /// Says so.
    pub event: Event,
    /// The text behind a commitment in the event.
    pub reason: Option<Reason>,
}

/// What one reporter tells of uses.
#[derive(Debug)]
pub struct NewUses {
    /// `elevation.used`, at the moment of the report, caused by its reporter. The store adds
    /// elevation, subject, scope, `first_used_at`, `last_used_at` and `uses`, and records it for
    /// each elevation of which it recorded none in the last [`USE_TOLD_EVERY`].
    pub event: Event,
    /// Of whom, for what, and when; each pair once.
    pub uses: Vec<(Subject, Scope, Used)>,
}

/// A free text that an event only commits to. It can be erased; the commitment stays.
#[derive(Debug)]
pub struct Reason {
    /// What stands in the event.
    pub commitment: Commitment,
    /// Makes the commitment unguessable.
    pub salt: [u8; 16],
    /// The text.
    pub text: String,
}

/// A join token that is being made.
#[derive(Debug)]
pub struct NewToken {
    /// Its id.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub digest: SecretDigest,
    /// Whom it lets in.
    pub subject: Subject,
    /// From this moment on it opens nothing.
    pub expires_at: Timestamp,
    /// `token.created`.
    pub event: Event,
}

/// An operator credential that is being made.
#[derive(Debug)]
pub struct NewOperator {
    /// Its id.
    pub id: OperatorId,
    /// SHA-256 of its secret.
    pub digest: SecretDigest,
    /// `operator.created`.
    pub event: Event,
}

/// A policy bundle that is being activated.
#[derive(Debug)]
pub struct ActivatePolicy {
    /// The bundle's canonical bytes.
    pub content: Vec<u8>,
    /// SHA-256 of the content.
    pub digest: [u8; 32],
    /// Who activates it.
    pub author: String,
    /// `policy.activated`. The store adds `version`.
    pub event: Event,
}

/// Which elevations are wanted; all that is none matches everything.
#[derive(Clone, Debug, Default)]
pub struct ElevationFilter {
    /// Of this subject.
    pub subject: Option<Subject>,
    /// For this scope.
    pub scope: Option<Scope>,
    /// In this state.
    pub state: Option<StateName>,
    /// Bound to this instance.
    pub instance: Option<Instance>,
    /// Pending, approved or active only.
    pub open_only: bool,
}

/// Which events are wanted; all that is none matches everything. Texts match exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this kind.
    pub kind: Option<EventKind>,
    /// Caused by this caller.
    pub caller: Option<String>,
    /// About this subject.
    pub subject: Option<String>,
    /// About this scope.
    pub scope: Option<String>,
    /// Of the certificate with this serial, lower-case hex.
    pub serial: Option<String>,
    /// Of the certificate with this SHA-256, lower-case hex.
    pub fingerprint: Option<String>,
    /// Of this elevation.
    pub elevation: Option<String>,
    /// Decided by the policy with this digest.
    pub policy: Option<String>,
    /// With this outcome.
    pub outcome: Option<String>,
    /// At or after this moment.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

impl Reason {
    /// The same text again, for an act that may have to be decided anew.
    pub(crate) fn copied(&self) -> Self {
        Self {
            commitment: self.commitment,
            salt: self.salt,
            text: self.text.clone(),
        }
    }
}

/// The same event, which also tells what is known of an elevation's use.
pub(crate) fn with_use(event: Event, used: Used) -> Event {
    event
        .and("first_used_at", used.first.rfc3339())
        .and("last_used_at", used.last.rfc3339())
        .and("uses", used.count)
}

/// The least time between two events that tell of one elevation's use. What is reported meanwhile
/// is durable, and stands in the next one or in the event of the end.
pub const USE_TOLD_EVERY: Seconds = Seconds::new(30);

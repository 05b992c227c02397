//! What the verbs of the store answer.
//!
//! Promises: domain values read back whole; damaged rows are errors, never guesses.
//! Refuses: to be made anywhere else for anything that opens the mint.

use std::sync::Arc;

use crate::attestation::{Entry, SecretDigest};
use crate::audit::SealedEvent;
use crate::elevation::Elevation;
use crate::id::{EventNumber, OperatorId, PolicyVersion, TokenId};
use crate::identity::Subject;
use crate::policy::Facts;
use crate::time::Timestamp;

/// All that a decision rests on, as it stood at one moment.
#[derive(Debug)]
pub struct Standing {
    /// For policy.
    pub facts: Facts,
    /// The subject's registration entry.
    pub entry: Option<Arc<Entry>>,
    /// The elevation asked for.
    pub elevation: Option<Elevation>,
}

/// An intent that is durable.
#[derive(Debug)]
pub struct Intended {
    /// The intent's event, sealed. When `repeated`, that of the first request.
    pub event: SealedEvent,
    /// The bytes to sign, log index included.
    pub tbs: Vec<u8>,
    /// An earlier request with the same retry key stands here; nothing new was recorded.
    pub repeated: bool,
}

/// A certificate that was issued.
#[derive(Clone, Debug)]
pub struct CertificateRow {
    /// Its intent.
    pub intent: EventNumber,
    /// Its outcome.
    pub issued: EventNumber,
    /// The certificate.
    pub der: Vec<u8>,
}

/// An elevation that was opened, now or by an earlier request with the same retry key.
#[derive(Clone, Debug)]
pub struct Opened {
    /// As it stands.
    pub row: ElevationRow,
    /// An earlier request opened it.
    pub repeated: bool,
}

/// An elevation with what is kept beside it.
#[derive(Clone, Debug)]
pub struct ElevationRow {
    /// As it stands.
    pub elevation: Elevation,
    /// The event that opened it, verdict included.
    pub opened: SealedEvent,
    /// The reason's text, unless erased.
    pub reason: Option<String>,
}

/// A join token.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub digest: SecretDigest,
    /// Whom it lets in.
    pub subject: Subject,
    /// From this moment on it opens nothing.
    pub expires_at: Timestamp,
    /// The event that made it.
    pub created: EventNumber,
    /// The intent that spent it.
    pub spent: Option<EventNumber>,
}

/// An operator credential.
#[derive(Clone, Debug)]
pub struct OperatorRow {
    /// Its id.
    pub id: OperatorId,
    /// SHA-256 of its secret.
    pub digest: SecretDigest,
}

/// The policy that decides.
#[derive(Clone, Debug)]
pub struct ActivePolicy {
    /// Its version.
    pub version: PolicyVersion,
    /// The bundle's canonical bytes.
    pub content: Vec<u8>,
    /// Who activated it.
    pub author: String,
    /// When.
    pub activated_at: Timestamp,
}

/// Whether minting is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minting {
    /// Nothing is minted.
    pub stopped: bool,
    /// Since when it is so; none when it was never stopped.
    pub since: Option<Timestamp>,
    /// Rises with each change.
    pub version: u64,
}

/// The newest event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerHead {
    /// Its number, which is also how many there are.
    pub number: EventNumber,
    /// The latest time that any event bears.
    pub at: Timestamp,
}

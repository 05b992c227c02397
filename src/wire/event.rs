//! Events of the ledger, as an auditor asks for them.
//!
//! Promises: every filter narrows; `bytes` is the exact canonical text that the ledger holds.
//! Refuses: to hide an end: an NDJSON stream closes with a [`Trailer`], and a stream without one
//! was cut.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its place in the ledger; 1 is the first, without gaps.
    pub number: u64,
    /// When it was recorded.
    pub at: String,
    /// What happened.
    pub kind: String,
    /// Who made it happen.
    pub caller: String,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// For which scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Of which elevation, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevation: Option<String>,
    /// The serial number of the certificate, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// SHA-256 of the certificate's DER, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The version of the policy that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_version: Option<u64>,
    /// SHA-256 of the policy that decided, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_digest: Option<String>,
    /// The end of the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<String>,
    /// The event in one line, for people.
    pub text: String,
}

/// One event with the bytes that the ledger holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventDetail {
    /// The event.
    #[serde(flatten)]
    pub event: EventView,
    /// The exact canonical text of the event.
    pub bytes: String,
}

/// Which events `GET /v1/events` lists; every filter given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// About this subject, as a SPIFFE ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// About this scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// About the certificate of this serial number, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// About the certificate of this SHA-256, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// About this elevation, by id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elevation: Option<String>,
    /// By this caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// Decided by the policy of this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// With this outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Recorded at or after this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Recorded before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// After the event of this number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Rows a page, or a stream, holds at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// The last line of an NDJSON stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Trailer {
    /// How the stream ended.
    pub trailer: StreamEnd,
}

/// How an NDJSON stream ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StreamEnd {
    /// How many events came before this line.
    pub events: u64,
    /// What to send as `cursor` to go on; absent when nothing was left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

//! What an agent tells of the access logs of the servers at its host.
//!
//! Promises: a line names an elevated identity as the log shows it, or by its two parts.
//! Refuses: to say which elevation was used: a certificate's names do not tell.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of `POST /v1/uses`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsesRequest {
    /// At most 1,000 lines.
    #[serde(default)]
    #[schema(max_items = 1000)]
    pub uses: Vec<UseLine>,
    /// What the reporter gives its word for; absent: these uses were, and there may be others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cover: Option<CoverRequest>,
}

/// Uses of one elevated identity, taken together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UseLine {
    /// The server whose access log shows them, by subject: one that the scope opens.
    #[schema(example = "spiffe://example.org/ns/data/sa/db")]
    pub server: String,
    /// The URI SAN of the peer's certificate, where the scope stands in it. Either this, or
    /// `subject` and `scope`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "spiffe://example.org/ns/shop/sa/web/scope/db.read")]
    pub spiffe_id: Option<String>,
    /// Who holds the scope, as a SPIFFE ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "spiffe://example.org/ns/shop/sa/web")]
    pub subject: Option<String>,
    /// The scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "db.read")]
    pub scope: Option<String>,
    /// When the first of them began.
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    pub first: String,
    /// When the last of them ended.
    #[schema(example = "2026-01-31T12:00:08.000Z")]
    pub last: String,
    /// How many.
    #[schema(minimum = 1)]
    pub count: u32,
}

/// The word of an agent that it told of every use at some servers, from one moment to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CoverRequest {
    /// The servers whose access logs it is sent, by subject; 1 to 1,000.
    #[schema(min_items = 1, max_items = 1000)]
    pub servers: Vec<String>,
    /// Since this moment no line of these logs was lost: when the agent began to listen, or again
    /// after it lost some.
    #[schema(example = "2026-01-31T08:00:00.000Z")]
    pub since: String,
    /// Every use before this moment is in this report, or in one that was answered before.
    #[schema(example = "2026-01-31T12:00:10.000Z")]
    pub until: String,
}

/// The answer of `POST /v1/uses`: how many lines were what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsesView {
    /// Uses of active elevations.
    pub noted: u32,
    /// Uses at servers that the scope does not open, or that are not the reporter's; nothing was
    /// made of them.
    pub not_served: u32,
    /// Uses of what is no active elevation here, such as a base SVID, or one that is over.
    pub unknown: u32,
    /// Servers of the cover that the reporter is an agent of; the others do not count.
    pub covered: u32,
}

//! One join token: the first proof of a workload that has no SVID yet.
//!
//! Promises: the secret is in one answer and never again.
//! Refuses: to print the secret: [`TokenIssued`] has no Clone and a Debug without it.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of `POST /v1/tokens`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// For whom, as a SPIFFE ID; an entry must let a token obtain it.
    #[schema(example = "spiffe://example.org/ns/shop/sa/web")]
    pub subject: String,
    /// How long it may wait to be redeemed; 10 minutes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "10m")]
    pub ttl: Option<String>,
}

/// The answer of `POST /v1/tokens`: the only place where the secret stands.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct TokenIssued {
    /// Its id, which is no secret.
    #[schema(example = "jt-00112233445566778899aabbccddeeff")]
    pub id: String,
    /// What to send as `Authorization: Bearer`; shown once.
    pub token: String,
    /// For whom.
    pub subject: String,
    /// Until when it may be redeemed.
    pub expires_at: String,
}

/// A join token without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// For whom.
    pub subject: String,
    /// The number of the event that made it, which tells when and by whom.
    pub event: u64,
    /// Until when it may be redeemed.
    pub expires_at: String,
    /// Whether it was redeemed.
    pub spent: bool,
}

impl fmt::Debug for TokenIssued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssued")
            .field("id", &self.id)
            .field("subject", &self.subject)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

//! One registration entry: who may obtain which base SVID.
//!
//! Promises: an entry is named by its subject: putting it twice changes it, never doubles it.
//! Refuses: to leave open who may obtain it: `obtained_by` must be said.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of `PUT /v1/entries`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EntryRequest {
    /// Whom the SVID names, as a SPIFFE ID.
    #[schema(example = "spiffe://example.org/ns/shop/sa/web")]
    pub subject: String,
    /// What a workload must show on its host, each as `<type>:<value>`; all must hold.
    #[serde(default)]
    #[schema(example = json!(["unix:uid:1000"]))]
    pub selectors: Vec<String>,
    /// Who may obtain the SVID: `token`, `x509` (who proves the subject with an X.509-SVID of
    /// another authority), the URL of a token issuer, the SPIFFE ID of an agent, or `foreign`
    /// where a foreign trust domain gives the base identity.
    #[schema(example = json!(["token"]))]
    pub obtained_by: Vec<String>,
    /// The group that answers for the workload.
    #[schema(example = "shop")]
    pub owner: String,
    /// The groups that policy sees the subject in.
    #[serde(default)]
    pub groups: Vec<String>,
    /// How long a base SVID lives; at most `24h`.
    #[schema(example = "1h")]
    pub life: String,
    /// A word for the workload that tells this SVID from its others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The trust domains whose bundles the workload is given beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["partner.example"]))]
    pub federates_with: Vec<String>,
}

/// A registration entry as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryView {
    /// Its id.
    #[schema(example = "en-00112233445566778899aabbccddeeff")]
    pub id: String,
    /// Whom the SVID names.
    pub subject: String,
    /// What a workload must show on its host; all must hold.
    pub selectors: Vec<String>,
    /// Who may obtain the SVID: `token`, `x509` (who proves the subject with an X.509-SVID of
    /// another authority), the URL of a token issuer, the SPIFFE ID of an agent, or `foreign`
    /// where a foreign trust domain gives the base identity.
    pub obtained_by: Vec<String>,
    /// The group that answers for the workload.
    pub owner: String,
    /// The groups that policy sees the subject in.
    pub groups: Vec<String>,
    /// How long a base SVID lives, such as `1h`.
    pub life: String,
    /// A word for the workload that tells this SVID from its others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The trust domains whose bundles the workload is given beside its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub federates_with: Vec<String>,
    /// How often it was put; 1 is the first time.
    pub version: u64,
}

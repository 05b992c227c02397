//! The policy bundle over the wire, and questions that are only supposed.
//!
//! Promises: what is read back is byte for byte what was activated.
//! Refuses: a file named twice in one upload.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::unique;

/// The body of `POST /v1/policy`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRequest {
    /// The files of the bundle, path to text; at most 1 MiB in all.
    #[serde(deserialize_with = "unique::keys")]
    pub files: BTreeMap<String, String>,
}

/// The answer of `POST /v1/policy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyActivated {
    /// The version that is active now.
    pub version: u64,
    /// SHA-256 of the bundle, in hex.
    pub digest: String,
    /// What is legal but looks wrong.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The active policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyView {
    /// Its version; 1 is the first.
    pub version: u64,
    /// SHA-256 of the bundle, in hex.
    pub digest: String,
    /// Who activated it.
    pub author: String,
    /// When it was activated.
    pub activated_at: String,
    /// The scopes that it knows, by name.
    pub scopes: Vec<ScopeView>,
}

/// One scope of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScopeView {
    /// Its name.
    #[schema(example = "db.read")]
    pub name: String,
    /// What it opens, for people.
    pub description: String,
    /// The group that answers for it.
    pub owner: String,
    /// The servers that it opens.
    #[serde(default)]
    pub servers: Vec<String>,
    /// How it is written into the SAN: `path`, `folded` or `dns`.
    pub encoding: String,
    /// The longest life of one elevated SVID, such as `5m`.
    pub svid_life: String,
    /// The longest elevation, such as `30m`.
    pub elevation_longest: String,
    /// An elevation that nobody uses for so long ends, such as `10m`; absent: silence ends nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_longest: Option<String>,
    /// Whether a proxy may open an elevation for it.
    pub on_demand: bool,
}

/// The answer of `GET /v1/policy/files`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyFiles {
    /// The version that is active.
    pub version: u64,
    /// SHA-256 of the bundle, in hex.
    pub digest: String,
    /// The files of the bundle, path to text.
    pub files: BTreeMap<String, String>,
}

/// The body of `POST /v1/policy/explain`: a question that opens nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// Who would ask, as a SPIFFE ID.
    #[schema(example = "spiffe://example.org/ns/shop/sa/web")]
    pub subject: String,
    /// For which scope.
    #[schema(example = "db.read")]
    pub scope: String,
    /// For how long; the scope's longest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "10m")]
    pub duration: Option<String>,
    /// With which reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With which ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Whether a proxy would ask.
    #[serde(default)]
    pub on_demand: bool,
    /// Whether it would be asked under the break-glass policies.
    #[serde(default)]
    pub break_glass: bool,
    /// When it would be asked; now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

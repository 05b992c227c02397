//! What policy answered, or would answer.
//!
//! Promises: names every policy that decided and the bundle it stood in, so that the answer can be
//! re-derived later.
//! Refuses: a verdict without a digest.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What policy answered to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerdictView {
    /// `permit`, `pending` (only approvals are missing) or `deny`.
    pub decision: String,
    /// The policies that decided, by id; empty when none matched, which is a denial.
    pub policies: Vec<String>,
    /// SHA-256 of the policy bundle, in hex.
    pub digest: String,
    /// The version of the policy bundle; 1 is the first.
    pub version: u64,
    /// Why not, in the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One way to a permit: whose approvals are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteView {
    /// Approvals that would permit, each as `<group>:<count>`.
    pub route: Vec<String>,
    /// Approvals that lift what forbids, each as `<group>:<count>`.
    #[serde(default)]
    pub needs: Vec<String>,
}

/// What policy would answer; it opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutlookView {
    /// The answer, were the question asked in earnest.
    pub verdict: VerdictView,
    /// Whose approvals would permit; any one route suffices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<RouteView>,
    /// How long it would stay permitted, such as `10m`; only on a permit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// What would change the answer, each by itself, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// The answer to a question that was only supposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutlookAnswer {
    /// What would happen.
    pub outlook: OutlookView,
}

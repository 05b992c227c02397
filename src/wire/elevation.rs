//! One elevation: one request for one scope by one subject, and all that becomes of it.
//!
//! Promises: four clocks are four fields; a clock that has no meaning in a state is absent.
//! Refuses: to carry a decision that policy did not take: `verdict` is always policy's own.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::wire::verdict::{RouteView, VerdictView};

/// The body of `POST /v1/elevations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ElevationRequest {
    /// The scope to hold.
    #[schema(example = "db.read")]
    pub scope: String,
    /// Why, in words for people; policy never reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ticket that asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "OPS-1234")]
    pub ticket: Option<String>,
    /// How long from the first mint; the scope's longest when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "10m")]
    pub duration: Option<String>,
    /// The earliest start of a scheduled elevation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "2026-01-31T12:00:00.000Z")]
    pub not_before: Option<String>,
    /// How many of the subject's instances may use it; one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
    /// Only tell what would happen.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// The elevation that this one continues, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Asked by a proxy that met the need, not by a person or program that planned it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub on_demand: bool,
    /// Asked under the break-glass policies.
    #[serde(default, skip_serializing_if = "is_false")]
    pub break_glass: bool,
    /// For whom, as a SPIFFE ID; the caller itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "spiffe://example.org/ns/shop/sa/web")]
    pub subject: Option<String>,
    /// Which of the running holders that the calling agent attests asks: 1 to 128 printable ASCII
    /// characters; only for agents that the subject's entry names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "host")]
    pub holder: Option<String>,
}

/// How many of the subject's instances an elevation is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "`instances` is `\"one\"`, `\"all\"` or a number"
)]
pub enum Instances {
    /// This many, at least 1.
    Count(u32),
    /// `one` (the asking instance) or `all`.
    Word(String),
}

/// An elevation as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ElevationView {
    /// Its id.
    #[schema(example = "el-00112233445566778899aabbccddeeff")]
    pub id: String,
    /// `pending`, `approved`, `active`, `ended`, `denied`, `cancelled` or `lapsed`.
    pub state: String,
    /// How it ended: `expired`, `revoked`, `unused`, `signal_lost` or `withdrawn`; only on `ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Who is to hold the scope.
    pub subject: String,
    /// The scope.
    pub scope: String,
    /// How long from the first mint, such as `10m`.
    pub duration: String,
    /// Why, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The ticket that asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// How many instances may use it.
    pub instances: Instances,
    /// The instances that use it.
    #[serde(default)]
    pub bound: Vec<String>,
    /// When it was asked for.
    pub requested_at: String,
    /// Who asked.
    pub requested_by: String,
    /// Until when people may decide; only while `pending`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decide_by: Option<String>,
    /// The earliest start; only when scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// Until when the first mint must come; only while `approved`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activate_by: Option<String>,
    /// When the first SVID was minted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<String>,
    /// When the right ends; fixed by the first mint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<String>,
    /// When access logs show its first use; absent: they show none, or nobody reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_used_at: Option<String>,
    /// When they show its last use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// Whose approvals it waits for; any one route suffices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<RouteView>,
    /// What policy answered last.
    pub verdict: VerdictView,
}

/// Which elevations `GET /v1/elevations` lists; every filter given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ElevationQuery {
    /// Of this subject, as a SPIFFE ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// For this scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Rows a page holds at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// How long, and for what, `GET /v1/elevations/{id}/wait` waits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// The longest wait, such as `30s`; at most `60s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// The state that the caller knows; answered as soon as it is another one. The present state
    /// when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

/// The body of `POST /v1/elevations/{id}/cancel`: an empty object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {}

/// The body of every act that must say why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    /// Why, in words for people; not empty.
    pub reason: String,
}

/// The body of `POST /v1/revocations`: exactly one of `subject`, `scope`, `instance`, `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    /// Every elevation of this subject, as a SPIFFE ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Every elevation for this scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Every elevation bound to this instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Every elevation there is; also stops minting until it is released.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Why, in words for people; not empty.
    pub reason: String,
}

/// The answer of `POST /v1/revocations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationView {
    /// How many elevations ended by it.
    pub revoked: u64,
    /// Whether minting stands still now.
    pub minting_stopped: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field by reference"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

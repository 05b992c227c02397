//! Whether protem mints, and whether it trusts its own clock.
//!
//! Promises: says why it stands still, in words for people.
//! Refuses: nothing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer of `GET /v1/minting`, `POST /v1/minting/release` and `POST /v1/clock/accept`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MintingView {
    /// Whether minting was stopped by hand.
    pub stopped: bool,
    /// Since when; only while stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The server's clock.
    pub clock: ClockView,
}

/// The server's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClockView {
    /// Whether it is in doubt; nothing is minted while it is.
    pub in_doubt: bool,
    /// Why; only while in doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

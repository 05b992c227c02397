//! The trust bundle: the roots that a verifier needs.
//!
//! Promises: the shape of the SPIFFE Trust Domain and Bundle standard, section 4: a JWK set with
//! `spiffe_sequence` and `spiffe_refresh_hint`.
//! Refuses: JWT keys; protem mints none.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The answer of `GET /v1/bundle` as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BundleView {
    /// One key for each root.
    pub keys: Vec<BundleKey>,
    /// Rises with every change of the bundle.
    pub spiffe_sequence: u64,
    /// How often to ask again, in seconds.
    pub spiffe_refresh_hint: u64,
}

/// One root as a JSON Web Key (RFC 7517).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BundleKey {
    /// Always `x509-svid`.
    #[serde(rename = "use")]
    pub usage: String,
    /// Key type: `EC`, `RSA` or `OKP`.
    pub kty: String,
    /// The curve of an EC or OKP key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// Of an EC or OKP key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Of an EC key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Modulus of an RSA key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Exponent of an RSA key, in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Exactly one certificate, DER in base64.
    pub x5c: Vec<String>,
}

/// How `GET /v1/bundle` is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct BundleQuery {
    /// `jwks` (default) or `pem`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

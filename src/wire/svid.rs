//! One SVID, asked for and given.
//!
//! Promises: the request gives a public key and proof that its private half is held, nothing else;
//! whatever other names a CSR carries come back in `ignored`.
//! Refuses: private keys. There is no field for one.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::wire::problem::ProblemView;

/// The body of `POST /v1/svids`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SvidRequest {
    /// PKCS#10 certificate signing request: PEM, or DER in base64; at most 8 KiB of DER.
    pub csr: String,
    /// The scope to hold; absent for a base SVID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "db.read")]
    pub scope: Option<String>,
    /// The elevation to mint under; absent where the subject has one open elevation for the scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevation: Option<String>,
    /// Whom the SVID names, as a SPIFFE ID; only for callers that may obtain for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "spiffe://example.org/ns/shop/sa/web")]
    pub subject: Option<String>,
    /// The longest life wanted; the right may be shorter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "5m")]
    pub ttl: Option<String>,
    /// Which of the running holders that the calling agent attests it is for: 1 to 128 printable
    /// ASCII characters; only for agents that the subject's entry names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "host")]
    pub holder: Option<String>,
}

/// The question beside a raw CSR body; means what it means in [`SvidRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SvidQuery {
    /// The scope to hold; only beside a raw CSR body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The elevation to mint under; only beside a raw CSR body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elevation: Option<String>,
    /// Whom the SVID names; only beside a raw CSR body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The longest life wanted, such as `5m`; only beside a raw CSR body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// For which running holder at the calling agent; only beside a raw CSR body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

/// The answer of `POST /v1/svids`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SvidView {
    /// The URI SAN, scope included where the encoding writes it there.
    pub spiffe_id: String,
    /// The subject, scope aside.
    pub subject: String,
    /// The one scope that it carries; absent on a base SVID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The elevation that it was minted under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevation: Option<String>,
    /// The serial number, in hex.
    pub serial: String,
    /// SHA-256 of the leaf's DER, in hex.
    pub fingerprint: String,
    /// First moment of validity; stands 30 s in the past for validators whose clock is behind.
    pub not_before: String,
    /// Last moment of validity.
    pub not_after: String,
    /// Certificates in PEM, leaf first, without the root.
    pub chain: String,
    /// The number of the event that recorded the certificate before it was signed.
    pub event: u64,
    /// What the CSR carried besides its key, and was passed over.
    #[serde(default)]
    #[schema(example = json!(["subject", "subject_alt_name"]))]
    pub ignored: Vec<String>,
}

/// The body of `POST /v1/svids/batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SvidBatchRequest {
    /// 1 to 500 requests, each as for `POST /v1/svids`.
    #[schema(min_items = 1, max_items = 500)]
    pub items: Vec<SvidRequest>,
}

/// The answer of `POST /v1/svids/batch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SvidBatchView {
    /// One answer for each request, in their order.
    pub items: Vec<SvidBatchAnswer>,
}

/// What came of one request of a batch: exactly one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SvidBatchAnswer {
    /// What was minted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub svid: Option<SvidView>,
    /// Why nothing was minted, as the request alone would have been told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemView>,
}

/// The most requests of one batch.
pub const BATCH_ITEMS_MAX: usize = 500;

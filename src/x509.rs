//! X.509: keys, certificate requests and certificates, read strictly and checked with other code
//! than the code that makes them.
//!
//! Promises: what comes out of a parser here is valid (DER without slack, keys of the allow-list on
//! their curve, names without control bytes), every way to be wrong has its own error, and no input
//! makes this room panic or work longer than its bounds allow.
//!
//! Refuses to know what a name means: SPIFFE IDs and scopes are plain strings here. It builds no
//! certificate (that is `pki`), it only puts a finished one together and takes it apart.

mod canonical;
mod certificate;
mod chain;
mod csr;
mod evidence;
mod fingerprint;
mod keys;
mod lint;
mod name;
mod pem;
mod private_key;
mod request;
mod signature;
mod signed;
mod tbs;

pub use crate::x509::certificate::{CERTIFICATE_BYTES_MAX, Certificate, CertificateError};
pub use crate::x509::chain::{
    CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX, ChainError, check_issuer_chain, read_chain,
    read_chain_der, write_chain,
};
pub use crate::x509::csr::{CSR_BYTES_MAX, CsrError, CsrRules, IgnoredRequest, VerifiedCsr};
pub use crate::x509::evidence::{
    ACTIVATION_INDEX_BYTES, EVIDENCE_ARCS, Evidence, EvidenceError, activation_index_offset,
};
pub use crate::x509::fingerprint::{Fingerprint, FingerprintError};
pub use crate::x509::keys::{KEY_ID_BYTES, KeyError, KeyKind, KeyKindError, PublicKey};
pub use crate::x509::lint::{Expected, FRAME_BYTES_MAX, Finding, Role, lint};
pub use crate::x509::name::common_name_der;
pub use crate::x509::pem::PemError;
pub(crate) use crate::x509::pem::write_pem;
pub use crate::x509::private_key::{PrivateKey, PrivateKeyError};
pub use crate::x509::request::write_request;
pub use crate::x509::signature::{Signature, SignatureAlgorithm};
pub use crate::x509::tbs::{
    AltNames, BasicConstraints, DistinguishedName, ExtendedKeyUse, ExtensionId, KeyUse,
    NameConstraints, NameForm, Subtree, Tbs,
};

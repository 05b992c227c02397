//! Which client certificates are callers: those that this authority itself minted.
//!
//! Promises: path, time and purpose are checked by webpki; then the leaf must bear the signature
//! of one of this authority's own base or elevated issuers. With an issuer that an operator
//! brought, others may sign below the same anchor, and a name alone must not make them callers.
//! Refuses: everything that webpki refuses, and every leaf that was signed elsewhere.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::service::Service;
use crate::x509::Certificate;

/// A verifier that asks webpki first and the authority after it.
pub(crate) struct OwnLeaves {
    /// Checks path, time and purpose.
    pub(crate) webpki: Arc<dyn ClientCertVerifier>,
    /// Knows the authority's issuers of today.
    pub(crate) service: Arc<Service>,
}

impl ClientCertVerifier for OwnLeaves {
    fn offer_client_auth(&self) -> bool {
        self.webpki.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.webpki.verify_client_cert(leaf, intermediates, now)?;
        let own =
            Certificate::parse(leaf).is_ok_and(|leaf| self.service.authority().has_signed(&leaf));
        if own {
            Ok(verified)
        } else {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

impl fmt::Debug for OwnLeaves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnLeaves")
    }
}

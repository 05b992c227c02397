//! Which client certificates are callers: those that this authority minted, and those of trust
//! domains whose bundle is configured.
//!
//! Promises: path, time and purpose are checked by webpki. A leaf of the own trust domain must then
//! bear the signature of one of this authority's own base or elevated issuers: with an issuer that
//! an operator brought, others may sign below the same anchor, and a name alone must not make them
//! callers. Any other leaf is verified under the bundle of the very trust domain that it names, and
//! no other (assurance S6, M16).
//! Refuses: everything that webpki refuses, and of strangers also: other than one URI SAN, no
//! client authentication said, keys that sign certificates, names with parts of a scope.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::identity::{SpiffeId, Subject};
use crate::server::bundles::Bundles;
use crate::service::Service;
use crate::x509::{Certificate, ExtendedKeyUse, KeyUse};

/// A verifier that asks webpki first and the authority after it, or the bundle of a stranger.
pub(crate) struct Peers {
    /// Checks path, time and purpose of own leaves.
    pub(crate) webpki: Arc<dyn ClientCertVerifier>,
    /// Knows the authority's issuers of today.
    pub(crate) service: Arc<Service>,
    /// Verify what others signed.
    pub(crate) bundles: Arc<Bundles>,
}

impl Peers {
    fn verify_own(
        &self,
        leaf: &CertificateDer<'_>,
        read: &Certificate,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.webpki.verify_client_cert(leaf, intermediates, now)?;
        if self.service.authority().has_signed(read) {
            Ok(verified)
        } else {
            Err(unknown_issuer())
        }
    }
}

impl ClientCertVerifier for Peers {
    fn offer_client_auth(&self) -> bool {
        self.webpki.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    /// None where there are bundles: they change, and a client that is told some roots keeps an
    /// SVID to itself that is under another one.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        if self.bundles.is_empty() {
            self.webpki.root_hint_subjects()
        } else {
            &[]
        }
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bad = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
        let read = Certificate::parse(leaf).map_err(bad)?;
        let stranger = stranger(&read);
        let bundle = |id: &SpiffeId| self.bundles.verifier(id.trust_domain());
        let own = self.service.authority().trust_domain();
        let ours = |key_id: &[u8]| self.service.authority().issues_under(key_id);
        match stranger.as_ref().and_then(|id| Some((id, bundle(id)?))) {
            None => self.verify_own(leaf, &read, intermediates, now),
            Some((id, bundle)) if id.trust_domain() == own => self
                .verify_own(leaf, &read, intermediates, now)
                .or_else(|error| {
                    // Who names an issuer of ours is ours, or nobody: the caller is told from the
                    // mesh's by that name.
                    if read.tbs().authority_key_id.as_deref().is_some_and(ours) {
                        return Err(error);
                    }
                    bundle.verify_client_cert(leaf, intermediates, now)
                }),
            Some((_, bundle)) => bundle.verify_client_cert(leaf, intermediates, now),
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

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Peers")
    }
}

/// The base identity that a leaf names, where it has the form of a base SVID (X509-SVID 4, 5), so
/// that a bundle may be asked about it.
fn stranger(leaf: &Certificate) -> Option<SpiffeId> {
    let tbs = leaf.tbs();
    let [uri] = tbs.alt_names.as_ref()?.uris.as_slice() else {
        return None;
    };
    let uses = tbs.key_usage.as_ref()?;
    let signs = [KeyUse::KeyCertSign, KeyUse::CrlSign];
    let purposes = tbs.extended_key_usage.as_ref()?;
    let good = uses.contains(&KeyUse::DigitalSignature)
        && !uses.iter().any(|one| signs.contains(one))
        && purposes.contains(&ExtendedKeyUse::ClientAuth);
    let subject = uri.parse::<Subject>().ok().filter(|_| good)?;
    Some(subject.id().clone())
}

const fn unknown_issuer() -> Error {
    Error::InvalidCertificate(CertificateError::UnknownIssuer)
}

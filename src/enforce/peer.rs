//! Whom a verified certificate names.
//!
//! Promises: exactly one URI SAN, which is a SPIFFE ID (SPIFFE X509-SVID 2); the scope is read from
//! it as protem writes it.
//! Refuses: to say anything of a certificate that did not verify: only the handshake makes one.

use crate::identity::{SpiffeId, SpiffeIdError};
use crate::scope::{Scope, SvidName, SvidNameError};
use crate::time::Timestamp;
use crate::x509::{Certificate, CertificateError};

/// The peer of a connection, an extension of every request on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The whole URI SAN: what rules match.
    pub id: SpiffeId,
    /// What it means: a base SVID, or a subject with a scope.
    pub name: SvidName,
    /// The certificate's serial number, lower-case hexadecimal, for logs.
    pub serial: String,
    /// The last second of the certificate.
    pub not_after: Timestamp,
}

/// Why a certificate that verified names nobody.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It is not in strict DER.
    #[error("the peer's certificate cannot be read")]
    Certificate(#[from] CertificateError),
    /// It has no URI SAN, or several.
    #[error("the peer's certificate has {0} URI names: an X.509-SVID has one")]
    Count(usize),
    /// Its URI SAN is no SPIFFE ID.
    #[error("the peer's URI name is no SPIFFE ID")]
    Id(#[from] SpiffeIdError),
    /// It writes a scope as protem does not.
    #[error("the peer's names say no scope and no subject")]
    Name(#[from] SvidNameError),
}

impl Peer {
    /// The peer that a leaf names, in DER.
    ///
    /// # Errors
    /// The first thing that an X.509-SVID does not have so.
    pub(crate) fn of(leaf: &[u8]) -> Result<Self, PeerError> {
        let certificate = Certificate::parse(leaf)?;
        let tbs = certificate.tbs();
        let names = tbs.alt_names.as_ref();
        let uris = names.map(|names| names.uris.as_slice()).unwrap_or_default();
        let [uri] = uris else {
            return Err(PeerError::Count(uris.len()));
        };
        let id: SpiffeId = uri.parse()?;
        // Other DNS names are the owner's affair; protem's own encoding has exactly one.
        let dns = names.map(|names| names.dns.as_slice()).unwrap_or_default();
        let scope = match dns {
            [one] => SvidName::from_sans(&id, Some(one)).ok(),
            _ => None,
        };
        let name = match scope {
            Some(name) => name,
            None => SvidName::from_sans(&id, None)?,
        };
        Ok(Self {
            id,
            name,
            serial: crate::id::hex::text(&tbs.serial),
            not_after: tbs.not_after,
        })
    }

    /// The scope that it carries; none for a base SVID.
    #[must_use]
    pub const fn scope(&self) -> Option<&Scope> {
        self.name.scope()
    }

    /// Whether its certificate has not ended at `now`.
    #[must_use]
    pub fn is_current(&self, now: Timestamp) -> bool {
        now < self.not_after
    }
}

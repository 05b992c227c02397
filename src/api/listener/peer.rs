//! Who is at the other end of a connection.
//!
//! Promises: what it says of a certificate was read from one that verified in a full handshake.
//! Refuses: a certificate with names of forms that protem does not mint.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::api::listener::gate::Lane;
use crate::attestation::PeerNames;
use crate::time::Timestamp;
use crate::x509::{Certificate, CertificateError};

/// Who is at the other end of a connection; an extension of every request on it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The peer's network address.
    pub address: SocketAddr,
    /// What its verified certificate says; none for a peer without one.
    pub certificate: Option<Arc<PeerNames>>,
    /// How its connection is served.
    pub lane: Lane,
}

/// Why a verified certificate says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PeerError {
    /// It is not the strict form.
    #[error("the certificate cannot be read")]
    Certificate(#[from] CertificateError),
    /// It has names other than URI and DNS.
    #[error("the certificate has names of other forms than URI and DNS")]
    OtherNames,
}

impl Peer {
    /// A peer that came with a verified leaf (DER), or without one.
    pub(crate) fn new(
        address: SocketAddr,
        leaf: Option<&[u8]>,
        lane: Lane,
    ) -> Result<Self, PeerError> {
        let certificate = leaf.map(read).transpose()?.map(Arc::new);
        Ok(Self {
            address,
            certificate,
            lane,
        })
    }

    /// The last moment of the peer's certificate; none without one.
    pub fn not_after(&self) -> Option<Timestamp> {
        Some(self.certificate.as_ref()?.not_after)
    }

    /// Whether the peer may still be heard: its certificate has not ended at `now`.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.not_after().is_none_or(|not_after| now < not_after)
    }

    /// The peer's address without its port.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}

fn read(leaf: &[u8]) -> Result<PeerNames, PeerError> {
    let certificate = Certificate::parse(leaf)?;
    let tbs = certificate.tbs();
    let (uris, dns) = match &tbs.alt_names {
        None => (Vec::new(), Vec::new()),
        Some(names) if names.ips.is_empty() && names.others.is_empty() => {
            (names.uris.clone(), names.dns.clone())
        }
        Some(_) => return Err(PeerError::OtherNames),
    };
    Ok(PeerNames {
        uris,
        dns,
        key_sha256: *tbs.public_key.fingerprint().as_bytes(),
        not_after: tbs.not_after,
    })
}

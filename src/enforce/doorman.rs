//! TLS of a service that looks at each peer's certificate once, and at every peer.
//!
//! Promises: every connection is a full handshake in TLS 1.3 with a client certificate: no tickets,
//! no session storage, no early data (facts/mesh.md 2.4: a resumed session is not checked against
//! notAfter again). SVID and roots may be replaced at any time; the next connection takes them.
//! Refuses: a peer without a certificate, or with one that is for servers only.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::api::listener::tls;
use crate::enforce::guarded::Guarded;
use crate::enforce::peer::{Peer, PeerError};
use crate::time::{Clock, SystemClock};
use crate::x509::{CertificateError, PrivateKey, PrivateKeyError, read_chain};

/// An SVID with its key.
pub struct Keys {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// Takes connections in.
pub struct Doorman {
    /// Owned by whoever replaces it; never locked across an await.
    config: Mutex<Arc<ServerConfig>>,
    clock: Arc<dyn Clock>,
}

/// Why a connection, or the material for all of them, is refused.
#[derive(Debug, thiserror::Error)]
pub enum DoormanError {
    /// A certificate of the SVID or of the bundle.
    #[error("a certificate cannot be read")]
    Certificate(#[from] CertificateError),
    /// The SVID's key.
    #[error("the private key cannot be read")]
    Key(#[from] PrivateKeyError),
    /// The handshake failed or took too long.
    #[error("the handshake failed")]
    Handshake(#[from] io::Error),
    /// The peer's certificate verified and names nobody.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// rustls refuses the material.
    #[error("TLS cannot be served with this")]
    Tls(#[from] rustls::Error),
    /// There is no root.
    #[error("clients cannot be verified")]
    Verifier(#[from] VerifierBuilderError),
}

impl Keys {
    /// An SVID in PEM, leaf first, and its key in PKCS#8 PEM.
    ///
    /// # Errors
    /// Which of them cannot be read.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, DoormanError> {
        let chain = read_chain(chain)?;
        let text = std::str::from_utf8(key).unwrap_or_default();
        let key = PrivateKey::from_pkcs8_pem(text)?.to_pkcs8_der()?;
        let chain = chain.iter().map(|one| one.der().to_vec().into());
        Ok(Self {
            chain: chain.collect(),
            key: PrivatePkcs8KeyDer::from(key.to_vec()).into(),
        })
    }
}

impl Doorman {
    /// A doorman with an SVID and a bundle of roots in PEM.
    ///
    /// # Errors
    /// What of it cannot be used.
    pub fn new(keys: Keys, bundle: &[u8]) -> Result<Self, DoormanError> {
        Self::by_clock(keys, bundle, Arc::new(SystemClock))
    }

    /// The same by another clock.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn by_clock(
        keys: Keys,
        bundle: &[u8],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DoormanError> {
        let config = config(keys, bundle, &clock)?;
        Ok(Self {
            config: Mutex::new(Arc::new(config)),
            clock,
        })
    }

    /// Goes on with another SVID and bundle; connections that are open stay.
    ///
    /// # Errors
    /// As [`Self::new`]; then it goes on with what it has.
    pub fn replace(&self, keys: Keys, bundle: &[u8]) -> Result<(), DoormanError> {
        let next = Arc::new(config(keys, bundle, &self.clock)?);
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Takes one connection in.
    ///
    /// # Errors
    /// Why the peer is not who may call, or is nobody.
    pub async fn accept<S>(&self, stream: S) -> Result<Guarded<TlsStream<S>>, DoormanError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = {
            let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&config)
        };
        let shaken = timeout(HANDSHAKE_LONGEST, TlsAcceptor::from(config).accept(stream)).await;
        let stream = shaken.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let (_, connection) = stream.get_ref();
        let leaf = connection.peer_certificates().and_then(<[_]>::first);
        let leaf = leaf.ok_or(PeerError::Count(0))?;
        let peer = Peer::of(leaf)?;
        Ok(Guarded::new(
            stream,
            Arc::new(peer),
            Arc::clone(&self.clock),
        ))
    }
}

/// Takes every way of resumption out of a configuration: what a peer may do, its certificate says
/// in each handshake.
pub fn never_resume(config: &mut ServerConfig) {
    tls::never_resume(config);
}

/// As protem itself serves, but no peer is let in without a certificate.
fn config(keys: Keys, bundle: &[u8], clock: &Arc<dyn Clock>) -> Result<ServerConfig, DoormanError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for root in read_chain(bundle)? {
        roots.add(root.der().to_vec().into())?;
    }
    let own = CertifiedKey::from_der(keys.chain, keys.key, &provider)?;
    let own = Arc::new(SingleCertAndKey::from(own));
    let peers = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
    Ok(tls::server_config(own, peers, Arc::clone(clock))?)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Doorman {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Doorman")
    }
}

const HANDSHAKE_LONGEST: Duration = Duration::from_secs(10);

//! TLS as protem serves it: version 1.3, mutual where the peer has a certificate.
//!
//! Promises: every connection is a full handshake, because a resumed one would not look at the
//! peer's certificate again (facts/mesh.md 2.4): no tickets, no session storage, no early data.
//! A client certificate that is presented is verified by the protem clock.
//! Refuses: TLS 1.2, and any other protocol than HTTP/2 and HTTP/1.1.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};

use crate::time::Clock;

/// A server that never resumes a session.
///
/// # Errors
/// When the cryptographic provider does not offer TLS 1.3.
pub fn server_config(
    certificate: Arc<dyn ResolvesServerCert>,
    client: Arc<dyn ClientCertVerifier>,
    clock: Arc<dyn Clock>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_details(provider, Arc::new(TlsTime(clock)))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(client)
        .with_cert_resolver(certificate);
    never_resume(&mut config);
    config.alpn_protocols = vec![ALPN_HTTP_2.to_vec(), ALPN_HTTP_1.to_vec()];
    Ok(config)
}

/// Takes every way of resumption out of a configuration: what a peer may do, its certificate says
/// in each handshake.
pub fn never_resume(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // A client may ask for tickets by itself (RFC 9149); it gets none either.
    config.max_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.send_half_rtt_data = false;
}

/// Lets peers in without a certificate, and with one that leads to one of `roots` (DER) and is for
/// clients (RFC 5280 4.2.1.12).
///
/// # Errors
/// When there is no root, or one is no certificate.
pub fn client_verifier<'a>(
    roots: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root).into_owned())?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(
        WebPkiClientVerifier::builder_with_provider(Arc::new(store), provider)
            .allow_unauthenticated()
            .build()?,
    )
}

/// Why no client could be verified.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A root is no certificate.
    #[error("a root certificate cannot be read")]
    Root(#[from] rustls::Error),
    /// There is no root.
    #[error("clients cannot be verified")]
    Verifier(#[from] VerifierBuilderError),
}

/// The protem clock, for certificate times.
struct TlsTime(Arc<dyn Clock>);

impl TimeProvider for TlsTime {
    fn current_time(&self) -> Option<UnixTime> {
        let unix_ms = u64::try_from(self.0.now().unix_ms()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(unix_ms)))
    }
}

impl fmt::Debug for TlsTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTime")
    }
}

/// HTTP/2 in ALPN (RFC 9113 3.2).
pub(crate) const ALPN_HTTP_2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN (RFC 7301 6).
pub(crate) const ALPN_HTTP_1: &[u8] = b"http/1.1";

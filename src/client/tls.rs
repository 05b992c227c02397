//! TLS as a client: 1.3 only, roots of the bundle only, no session kept.
//!
//! Promises: the server's certificate is verified in the standard way (RFC 9525): under the bundle,
//! for the DNS name or IP address that was asked for, at the time of the given clock.
//! Refuses: TLS 1.2, in which a client certificate and so the scope would cross the wire in clear,
//! and resumption, which would carry an old identity into a new connection.

use std::fmt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

use crate::client::svid_folder::HeldSvid;
use crate::time::Clock;
use crate::x509::Certificate;

/// How to talk to a server under `roots`, as the holder of `svid` or as nobody, in one protocol.
pub(crate) fn tls_config(
    roots: &[Certificate],
    svid: Option<&HeldSvid>,
    protocol: &[u8],
    clock: Arc<dyn Clock>,
) -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.der().to_vec()))?;
    }
    let builder =
        ClientConfig::builder_with_details(Arc::new(default_provider()), Arc::new(Wall(clock)))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(store);
    let mut config = match svid {
        None => builder.with_no_client_auth(),
        Some(svid) => {
            let chain = svid.chain.iter();
            let chain = chain.map(|one| CertificateDer::from(one.der().to_vec()));
            let key = svid.key.to_pkcs8_der().map_err(|_| unusable())?;
            // rustls takes ownership of this copy and wipes it when it is dropped.
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
            builder.with_client_auth_cert(chain.collect(), key)?
        }
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

fn unusable() -> rustls::Error {
    rustls::Error::General("the private key cannot be written as PKCS#8".to_owned())
}

struct Wall(Arc<dyn Clock>);

impl TimeProvider for Wall {
    fn current_time(&self) -> Option<UnixTime> {
        let since = u64::try_from(self.0.now().unix_s()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            since,
        )))
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wall")
    }
}

/// For one request and its answer.
pub(crate) const ALPN_HTTP_1: &[u8] = b"http/1.1";
/// For streams.
pub(crate) const ALPN_HTTP_2: &[u8] = b"h2";

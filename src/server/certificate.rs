//! The server's own TLS certificate, minted by itself and renewed at half its life.
//!
//! Promises: the key is made here and stays in memory; connections that are open keep the
//! certificate they began with, new ones get the newest.
//! Refuses: SNI games: there is one certificate, whatever name is asked for.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::server::start::StartError;
use crate::service::Service;
use crate::time::Timestamp;
use crate::x509::{KeyKind, PrivateKey, read_chain};

/// The certificate that the door shows.
pub(crate) struct ServerCertificate {
    names: (Vec<String>, Vec<IpAddr>),
    /// Replaced whole by renewal.
    current: RwLock<Current>,
}

struct Current {
    key: Arc<CertifiedKey>,
    renew_at: Timestamp,
    not_after: Timestamp,
}

impl ServerCertificate {
    /// Mints the first one.
    pub(crate) async fn mint(
        service: &Service,
        names: (Vec<String>, Vec<IpAddr>),
    ) -> Result<Arc<Self>, StartError> {
        let current = make(service, &names).await?;
        Ok(Arc::new(Self {
            names,
            current: RwLock::new(current),
        }))
    }

    /// The last second of the one that is shown.
    pub(crate) fn not_after(&self) -> Timestamp {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.not_after
    }

    /// Renews it when half of its life is over.
    pub(crate) async fn renew(&self, service: &Service) -> Result<(), StartError> {
        let renew_at = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .renew_at;
        if renew_at <= service.now() {
            let next = make(service, &self.names).await?;
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        }
        Ok(())
    }
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.key))
    }
}

async fn make(
    service: &Service,
    names: &(Vec<String>, Vec<IpAddr>),
) -> Result<Current, StartError> {
    let key = PrivateKey::generate(KeyKind::P256)?;
    let svid = service
        .mint_service(key.public_key(), names.clone())
        .await?;
    let chain = read_chain(svid.chain_pem.as_bytes())?;
    let chain = chain
        .iter()
        .map(|one| CertificateDer::from(one.der().to_vec()))
        .collect();
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8_der()?.to_vec()));
    let certified = CertifiedKey::from_der(chain, der, &aws_lc_rs::default_provider())?;
    let now = service.now();
    let not_after = svid.certificate.tbs().not_after;
    let left = not_after.since(now);
    let renew_at = now.plus(crate::time::Seconds::new(left.count() / 2));
    Ok(Current {
        key: Arc::new(certified),
        renew_at,
        not_after,
    })
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

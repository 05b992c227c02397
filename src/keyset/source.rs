//! One issuer's source of keys.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::attestation::KeySet;
use crate::keyset::exchange::{BODY_BYTES_MAX, Exchange};
use crate::keyset::{KeySourceError, Location};

/// Where the keys of an issuer are read.
#[derive(Clone, Debug)]
pub struct KeySource {
    issuer: String,
    from: KeysFrom,
    exchange: Exchange,
}

/// In which way they are found.
#[derive(Clone, Debug)]
pub enum KeysFrom {
    /// The issuer's own document says (OpenID Connect Discovery 4).
    Discovery,
    /// A file.
    File(PathBuf),
    /// A URL.
    Url(Location),
}

/// Under which roots an issuer's server must prove itself.
#[derive(Clone, Debug)]
pub enum Roots {
    /// Those in this file, PEM.
    File(PathBuf),
    /// Those of the system.
    System,
}

impl KeySource {
    /// The source of an issuer. Roots are read here, once.
    ///
    /// # Errors
    /// [`KeySourceError::Roots`], or why their file cannot be read.
    pub fn new(
        issuer: String,
        from: KeysFrom,
        roots: &Roots,
        private_addresses: bool,
    ) -> Result<Self, KeySourceError> {
        let tls = match from {
            KeysFrom::File(_) => RootCertStore::empty(),
            KeysFrom::Discovery | KeysFrom::Url(_) => read_roots(roots)?,
        };
        let exchange = Exchange {
            tls: Arc::new(client_config(tls)?),
            private_addresses,
        };
        Ok(Self {
            issuer,
            from,
            exchange,
        })
    }

    /// The keys of this moment.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn read(&self) -> Result<KeySet, KeySourceError> {
        let (from, bytes) = match &self.from {
            KeysFrom::Discovery => {
                let location = self.discover().await?;
                (location.to_string(), self.exchange.get(&location).await?)
            }
            KeysFrom::File(path) => (path.display().to_string(), read_file(path)?),
            KeysFrom::Url(location) => (location.to_string(), self.exchange.get(location).await?),
        };
        KeySet::parse(&bytes).map_err(|error| KeySourceError::KeySet(from, error))
    }

    async fn discover(&self) -> Result<Location, KeySourceError> {
        let base = self.issuer.strip_suffix('/').unwrap_or(&self.issuer);
        let document: Location = format!("{base}{DISCOVERY}").parse()?;
        let bytes = self.exchange.get(&document).await?;
        let wrong = || KeySourceError::Discovery(self.issuer.clone());
        let found: Value = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        let field = |name| found.get(name).and_then(Value::as_str);
        if field("issuer") != Some(self.issuer.as_str()) {
            return Err(wrong());
        }
        field("jwks_uri").ok_or_else(wrong)?.parse()
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, KeySourceError> {
    let failed = |error| KeySourceError::File(path.to_owned(), error);
    let max = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let mut longer = file.take(max.saturating_add(1));
    longer.read_to_end(&mut bytes).map_err(failed)?;
    if BODY_BYTES_MAX < bytes.len() {
        return Err(KeySourceError::TooLarge(path.display().to_string()));
    }
    Ok(bytes)
}

fn read_roots(roots: &Roots) -> Result<RootCertStore, KeySourceError> {
    let mut store = RootCertStore::empty();
    let found = match roots {
        Roots::File(path) => {
            let read = CertificateDer::pem_slice_iter(&read_file(path)?).collect::<Result<_, _>>();
            read.map_err(|_| KeySourceError::Roots)?
        }
        Roots::System => rustls_native_certs::load_native_certs().certs,
    };
    // A system has roots that nobody can read; those of a file are the operator's own choice.
    let (added, ignored) = store.add_parsable_certificates(found);
    let chosen = matches!(roots, Roots::File(_));
    if added == 0 || chosen && ignored != 0 {
        return Err(KeySourceError::Roots);
    }
    Ok(store)
}

fn client_config(roots: RootCertStore) -> Result<ClientConfig, KeySourceError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| KeySourceError::Roots)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

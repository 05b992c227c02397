//! What an agent answered over the Workload API, read and held against itself.
//!
//! Promises: each SVID has one SPIFFE ID, the one that its message says; its key is the leaf's; its
//! bundle is not empty. Whether it is good now is its reader's to ask.
//! Refuses: the whole answer where one part is wrong (SPIFFE Workload API 4.5).

use std::collections::BTreeMap;

use crate::identity::{SpiffeIdError, TrustDomain};
use crate::proto::workload::{X509svid, X509svidResponse};
use crate::x509::{
    Certificate, CertificateError, PrivateKey, PrivateKeyError, read_chain_der, write_chain,
};

/// Everything that a caller holds.
pub(crate) struct Fetched {
    /// The default first; at least one.
    pub(crate) svids: Vec<FetchedSvid>,
    /// Roots in PEM.
    pub(crate) federated: BTreeMap<TrustDomain, String>,
}

/// One SVID.
pub(crate) struct FetchedSvid {
    /// The URI SAN.
    pub(crate) spiffe_id: String,
    /// The agent's word for it; empty where it has none.
    pub(crate) hint: String,
    /// The first of the chain.
    pub(crate) leaf: Certificate,
    /// In PEM, leaf first.
    pub(crate) chain: String,
    /// Its private half.
    pub(crate) key: PrivateKey,
    /// Roots in PEM.
    pub(crate) bundle: String,
}

/// Why an answer is not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchedError {
    /// A chain or a bundle.
    #[error("its certificates are not readable")]
    Certificate(#[from] CertificateError),
    /// Nothing where something must be.
    #[error("it has no {0}")]
    Empty(&'static str),
    /// The key is no key.
    #[error("its private key is not readable")]
    Key(#[from] PrivateKeyError),
    /// Another key.
    #[error("the private key is not that of the SVID `{0}`")]
    KeyDiffers(String),
    /// Another name.
    #[error("the SVID `{0}` does not have that SPIFFE ID and no other")]
    Name(String),
    /// A federated bundle under no trust domain.
    #[error("a federated bundle belongs to no trust domain")]
    TrustDomain(#[from] SpiffeIdError),
}

impl Fetched {
    /// Reads one message.
    pub(crate) fn read(message: X509svidResponse) -> Result<Self, FetchedError> {
        if message.svids.is_empty() {
            return Err(FetchedError::Empty("SVID"));
        }
        let svids = message.svids.into_iter().map(FetchedSvid::read);
        let federated = message.federated_bundles.iter().map(|(id, roots)| {
            let domain = id.strip_prefix("spiffe://").unwrap_or(id);
            Ok::<_, FetchedError>((domain.parse()?, roots_of(roots)?))
        });
        Ok(Self {
            svids: svids.collect::<Result<_, _>>()?,
            federated: federated.collect::<Result<_, _>>()?,
        })
    }

    /// The SVID of a hint, or the default one.
    pub(crate) fn pick(&self, hint: Option<&str>) -> Option<&FetchedSvid> {
        match hint {
            None => self.svids.first(),
            Some(hint) => self.svids.iter().find(|svid| svid.hint == hint),
        }
    }
}

impl FetchedSvid {
    fn read(message: X509svid) -> Result<Self, FetchedError> {
        let chain = read_chain_der(&message.x509_svid)?;
        let leaf = chain.first().ok_or(FetchedError::Empty("certificate"))?;
        let key = PrivateKey::from_pkcs8_der(&message.x509_svid_key)?;
        let named = leaf.tbs().alt_names.as_ref();
        let named = named.map(|names| names.uris.as_slice()).unwrap_or_default();
        if named != [message.spiffe_id.as_str()] {
            return Err(FetchedError::Name(message.spiffe_id));
        }
        if leaf.tbs().public_key.spki_der() != key.public_key().spki_der() {
            return Err(FetchedError::KeyDiffers(message.spiffe_id));
        }
        Ok(Self {
            leaf: leaf.clone(),
            chain: write_chain(&chain),
            key,
            bundle: roots_of(&message.bundle)?,
            spiffe_id: message.spiffe_id,
            hint: message.hint,
        })
    }

    /// The serial number, hex.
    pub(crate) fn serial(&self) -> String {
        crate::id::hex::text(&self.leaf.tbs().serial)
    }
}

fn roots_of(der: &[u8]) -> Result<String, FetchedError> {
    let roots = read_chain_der(der)?;
    if roots.is_empty() {
        return Err(FetchedError::Empty("bundle"));
    }
    Ok(write_chain(&roots))
}

//! The bundles of trust domains whose SVIDs are let in.
//!
//! Promises: they are read at the start, where a fault stops it, and again in rounds; what changed
//! holds for the next handshake. A fault in a later round is told and changes nothing: a file that
//! is just being written must lock nobody out. No root serves two trust domains.
//! Refuses: roots that are no authorities, that name another trust domain, or that are those of
//! protem itself (assurance M16).

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use rustls::server::danger::ClientCertVerifier;

use crate::api::listener::tls::{TlsError, client_verifier};
use crate::identity::{SpiffeId, TrustDomain};
use crate::pki::Authority;
use crate::service::RootsDer;
use crate::x509::{
    CHAIN_BYTES_MAX, Certificate, CertificateError, Fingerprint, KeyUse, read_chain,
};

/// What verifies the SVIDs of each trust domain.
pub(crate) struct Bundles {
    files: BTreeMap<TrustDomain, Vec<PathBuf>>,
    held: RwLock<Held>,
}

#[derive(Default)]
struct Held {
    texts: Vec<Vec<u8>>,
    verifiers: BTreeMap<TrustDomain, Arc<dyn ClientCertVerifier>>,
    roots: BTreeMap<TrustDomain, RootsDer>,
}

/// What verifies the SVIDs of each trust domain, and the roots that it does so with.
type Read = (
    BTreeMap<TrustDomain, Arc<dyn ClientCertVerifier>>,
    BTreeMap<TrustDomain, RootsDer>,
);

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not certificates.
    #[error("`{}` holds no usable certificate", .0.display())]
    Certificate(PathBuf, #[source] CertificateError),
    /// A leaf, or an authority that may not sign.
    #[error("`{}` holds a certificate that is no authority", .0.display())]
    NotAuthority(PathBuf),
    /// A root of protem.
    #[error("`{}` holds a root or issuer of protem itself", .0.display())]
    Own(PathBuf),
    /// A root of somebody else.
    #[error("`{}` holds a root that names `{names}`", path.display())]
    OtherTrustDomain {
        /// The file.
        path: PathBuf,
        /// What the root names.
        names: String,
    },
    /// Not to be read.
    #[error("cannot read `{}`", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// One root for two.
    #[error("`{}` holds a root that is in the bundle of another trust domain too", .0.display())]
    Shared(PathBuf),
    /// Not fit for TLS.
    #[error("the roots of `{0}` verify nobody")]
    Verifier(TrustDomain, #[source] TlsError),
}

impl Bundles {
    /// Reads the bundles of each trust domain.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn open(
        files: BTreeMap<TrustDomain, Vec<PathBuf>>,
        authority: &Authority,
    ) -> Result<Self, BundleError> {
        let bundles = Self {
            files,
            held: RwLock::default(),
        };
        bundles.reread(authority)?;
        Ok(bundles)
    }

    /// Takes up what changed in the files. Answers whether anything did.
    ///
    /// # Errors
    /// The first fault; everything stays as it was then.
    pub(crate) fn reread(&self, authority: &Authority) -> Result<bool, BundleError> {
        let mut texts = Vec::new();
        for path in self.files.values().flatten() {
            texts.push(read(path)?);
        }
        if texts
            == self
                .held
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .texts
        {
            return Ok(false);
        }
        let (verifiers, roots) = self.verifiers(&texts, authority)?;
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        *held = Held {
            texts,
            verifiers,
            roots,
        };
        Ok(true)
    }

    /// What verifies the SVIDs of a trust domain.
    pub(crate) fn verifier(&self, of: &TrustDomain) -> Option<Arc<dyn ClientCertVerifier>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.verifiers.get(of).map(Arc::clone)
    }

    /// The roots of every trust domain but this one.
    pub(crate) fn roots_but_of(&self, own: &TrustDomain) -> BTreeMap<TrustDomain, RootsDer> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let mut roots = held.roots.clone();
        roots.remove(own);
        roots
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn verifiers(&self, texts: &[Vec<u8>], authority: &Authority) -> Result<Read, BundleError> {
        let mut texts = texts.iter();
        let mut owners: BTreeMap<Fingerprint, &TrustDomain> = BTreeMap::new();
        let (mut verifiers, mut all) = (BTreeMap::new(), BTreeMap::new());
        for (name, files) in &self.files {
            let mut roots = Vec::new();
            for (path, text) in files.iter().zip(texts.by_ref()) {
                let read = read_chain(text);
                let read = read.map_err(|error| BundleError::Certificate(path.clone(), error))?;
                for root in read {
                    check(&root, name, path, authority)?;
                    let key = root.tbs().public_key.fingerprint();
                    if owners.insert(key, name).is_some_and(|other| other != name) {
                        return Err(BundleError::Shared(path.clone()));
                    }
                    roots.push(root);
                }
            }
            let verifier = client_verifier(roots.iter().map(Certificate::der));
            let verifier = verifier.map_err(|error| BundleError::Verifier(name.clone(), error))?;
            verifiers.insert(name.clone(), verifier);
            let roots = roots.iter().map(|root| Bytes::copy_from_slice(root.der()));
            all.insert(name.clone(), roots.collect());
        }
        Ok((verifiers, all))
    }
}

fn check(
    root: &Certificate,
    name: &TrustDomain,
    path: &Path,
    authority: &Authority,
) -> Result<(), BundleError> {
    let tbs = root.tbs();
    let signs = |uses: &Vec<KeyUse>| uses.contains(&KeyUse::KeyCertSign);
    if !tbs.basic_constraints.is_some_and(|it| it.ca) || !tbs.key_usage.as_ref().is_none_or(signs) {
        return Err(BundleError::NotAuthority(path.to_owned()));
    }
    // For the own trust domain the mesh's root may stand above protem's issuer: that is the point.
    let foreign = name != authority.trust_domain();
    if authority.signs_with(&tbs.public_key, foreign) {
        return Err(BundleError::Own(path.to_owned()));
    }
    let uris = tbs.alt_names.iter().flat_map(|names| &names.uris);
    for uri in uris.filter(|uri| uri.starts_with("spiffe:")) {
        let of = uri.parse::<SpiffeId>();
        if !of.is_ok_and(|id| id.trust_domain() == name) {
            return Err(BundleError::OtherTrustDomain {
                path: path.to_owned(),
                names: uri.clone(),
            });
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, BundleError> {
    let failed = |error| BundleError::Read(path.to_owned(), error);
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if usize::try_from(bytes).is_ok_and(|bytes| bytes <= CHAIN_BYTES_MAX) {
        return fs::read(path).map_err(failed);
    }
    let error = io::Error::other(format!("the file has more than {CHAIN_BYTES_MAX} bytes"));
    Err(failed(error))
}

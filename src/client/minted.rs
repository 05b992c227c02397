//! The SVID in an answer, held against what was asked.
//!
//! Promises: a [`Minted`] certifies our key, names exactly one SPIFFE ID, carries the scope that
//! was asked for and no other, is valid now, and stands under the roots by valid signatures.
//! Refuses: everything else, before any of it is written where a proxy would read it.

use crate::identity::{SpiffeId, SpiffeIdError};
use crate::scope::{Scope, SvidName, SvidNameError};
use crate::time::Timestamp;
use crate::wire::svid::SvidView;
use crate::x509::{
    Certificate, CertificateError, ChainError, KeyError, PublicKey, check_issuer_chain, read_chain,
};

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The key of the request.
    pub key: &'a PublicKey,
    /// The scope, for an elevated SVID.
    pub scope: Option<&'a str>,
    /// Whom it must name, where that is known.
    pub subject: Option<&'a str>,
}

/// An SVID that is what was asked for.
#[derive(Clone, Debug)]
pub struct Minted {
    /// Leaf first, without the root.
    pub chain: Vec<Certificate>,
    /// The URI SAN.
    pub spiffe_id: String,
    /// The subject, scope aside.
    pub subject: String,
    /// Its last second.
    pub not_after: Timestamp,
}

/// Why an SVID is not what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum MintedError {
    /// The issuers do not lead to a root.
    #[error("its issuers do not lead to a root of the bundle")]
    Chain(#[from] ChainError),
    /// No certificates.
    #[error("its chain is no list of certificates")]
    Content(#[from] CertificateError),
    /// Past its end when it came.
    #[error("it ended at {0}; compare this machine's clock with the server's")]
    Ended(Timestamp),
    /// Another key.
    #[error("it certifies another key than the one sent")]
    Key,
    /// Names that protem does not write.
    #[error("its names are not those of an SVID")]
    Name(#[from] SvidNameError),
    /// No issuer in the chain or the bundle.
    #[error("its issuer is neither in the chain nor in the bundle")]
    NoIssuer,
    /// Before its start when it came.
    #[error("it starts at {0}; compare this machine's clock with the server's")]
    NotYetValid(Timestamp),
    /// Not exactly one URI name.
    #[error("it has no or more than one SPIFFE ID")]
    OneName,
    /// Another scope, or one where none was asked for.
    #[error("it carries another scope than the one asked for")]
    Scope,
    /// Signed by another key.
    #[error("its signature does not verify")]
    Signature(#[from] KeyError),
    /// No SPIFFE ID.
    #[error("its URI name is no SPIFFE ID")]
    SpiffeId(#[from] SpiffeIdError),
    /// Another subject.
    #[error("it names `{0}`, who was not asked for")]
    Subject(String),
}

impl Minted {
    /// Checks the answer `view` to the question `wanted` under `roots` at `now`.
    ///
    /// # Errors
    /// The first thing that is not as asked.
    pub fn check(
        view: &SvidView,
        wanted: &Wanted<'_>,
        roots: &[Certificate],
        now: Timestamp,
    ) -> Result<Self, MintedError> {
        let chain = read_chain(view.chain.as_bytes())?;
        let leaf = chain.first().ok_or(MintedError::NoIssuer)?;
        if leaf.tbs().public_key.spki_der() != wanted.key.spki_der() {
            return Err(MintedError::Key);
        }
        let (not_before, not_after) = (leaf.tbs().not_before, leaf.tbs().not_after);
        if now < not_before {
            return Err(MintedError::NotYetValid(not_before));
        }
        if not_after.unix_s() < now.unix_s() {
            return Err(MintedError::Ended(not_after));
        }
        let (spiffe_id, name) = svid_name(leaf)?;
        if name.scope().map(Scope::as_str) != wanted.scope {
            return Err(MintedError::Scope);
        }
        let subject = name.subject().to_string();
        if wanted.subject.is_some_and(|wanted| wanted != subject) {
            return Err(MintedError::Subject(subject));
        }
        check_path(&chain, roots, now)?;
        Ok(Self {
            chain,
            spiffe_id,
            subject,
            not_after,
        })
    }
}

/// The SPIFFE ID of a leaf and what it means.
///
/// # Errors
/// Where the names are not those of an SVID.
pub fn svid_name(leaf: &Certificate) -> Result<(String, SvidName), MintedError> {
    let names = leaf.tbs().alt_names.as_ref().ok_or(MintedError::OneName)?;
    let [uri] = names.uris.as_slice() else {
        return Err(MintedError::OneName);
    };
    let dns = match names.dns.as_slice() {
        [] => None,
        [dns] => Some(dns.as_str()),
        _ => return Err(MintedError::OneName),
    };
    let id: SpiffeId = uri.parse()?;
    let name = SvidName::from_sans(&id, dns)?;
    Ok((uri.clone(), name))
}

fn check_path(
    chain: &[Certificate],
    roots: &[Certificate],
    now: Timestamp,
) -> Result<(), MintedError> {
    let (leaf, issuers) = chain.split_first().ok_or(MintedError::NoIssuer)?;
    let last = chain.last().ok_or(MintedError::NoIssuer)?;
    let root = roots
        .iter()
        .find(|root| is_issued_by(last, root))
        .ok_or(MintedError::NoIssuer)?;
    let mut path = issuers.to_vec();
    path.push(root.clone());
    check_issuer_chain(&path, now, 0)?;
    let issuer = path.first().ok_or(MintedError::NoIssuer)?;
    if !is_issued_by(leaf, issuer) {
        return Err(MintedError::NoIssuer);
    }
    Ok(leaf.verify_signed_by(&issuer.tbs().public_key)?)
}

fn is_issued_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let (below, above) = (certificate.tbs(), issuer.tbs());
    let ids = below
        .authority_key_id
        .as_ref()
        .zip(above.subject_key_id.as_ref());
    below.issuer.der == above.subject.der && ids.is_none_or(|(ours, theirs)| ours == theirs)
}

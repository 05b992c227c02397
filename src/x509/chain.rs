//! Chains of certificates: files of them, and the check of an issuer that the operator brings.
//!
//! An issuer is refused at start rather than at the first handshake of a mesh: wrong order, a
//! missing root, signatures, CA flags, path lengths that leave no room for the intermediates below,
//! expiry, and two things that are valid and yet break every SPIFFE leaf below: a URI name
//! constraint (current webpki and Python refuse all such chains) and an extended key usage without
//! client and server authentication.

use der::{Reader as _, SliceReader};

use crate::time::Timestamp;
use crate::x509::certificate::{Certificate, CertificateError, PEM_LABEL};
use crate::x509::keys::KeyError;
use crate::x509::pem::read_pem;
use crate::x509::tbs::{ExtendedKeyUse, ExtensionId, KeyUse, Subtree, Tbs};

/// Reads the `CERTIFICATE` blocks of a PEM text, at least one, in their order.
///
/// # Errors
/// [`CertificateError`] of the first that is wrong.
pub fn read_chain(pem: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    let mut chain = Vec::new();
    for block in read_pem(pem, CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX)? {
        if block.label != PEM_LABEL {
            return Err(CertificateError::Label);
        }
        chain.push(Certificate::parse(&block.der)?);
    }
    Ok(chain)
}

/// Reads certificates in DER that stand one after the other, in their order; none is a list too.
///
/// # Errors
/// [`CertificateError`] of the first that is wrong.
pub fn read_chain_der(der: &[u8]) -> Result<Vec<Certificate>, CertificateError> {
    if der.len() > CHAIN_BYTES_MAX {
        return Err(CertificateError::TooLarge { bytes: der.len() });
    }
    let mut reader = SliceReader::new(der)?;
    let mut chain = Vec::new();
    while !reader.is_finished() {
        chain.push(Certificate::parse(reader.tlv_bytes()?)?);
    }
    Ok(chain)
}

/// Writes certificates as PEM, one block after the other.
#[must_use]
pub fn write_chain<'a>(chain: impl IntoIterator<Item = &'a Certificate>) -> String {
    chain.into_iter().map(Certificate::to_pem).collect()
}

/// Checks the chain of an issuer: from the issuer up to a self-signed root, fit at the moment `at`
/// to carry `below` further authorities under the issuer (RFC 5280 section 6.1).
///
/// # Errors
/// [`ChainError`] with the place of the first certificate at fault, counted from the issuer as 0.
pub fn check_issuer_chain(
    chain: &[Certificate],
    at: Timestamp,
    below: u8,
) -> Result<(), ChainError> {
    let root = chain.last().ok_or(ChainError::Empty)?;
    if !root.is_self_issued() {
        return Err(ChainError::NoRoot);
    }
    let mut needed = usize::from(below);
    let issuers = chain.iter().skip(1).chain([root]);
    for ((place, certificate), issuer) in chain.iter().enumerate().zip(issuers) {
        check_authority(place, certificate.tbs(), at, needed)?;
        check_link(place, certificate, issuer)?;
        needed = needed.saturating_add(1);
    }
    Ok(())
}

/// Why a chain cannot carry an issuer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No certificate.
    #[error("the chain is empty")]
    Empty,
    /// After its last second.
    #[error("certificate {place} of the chain is expired")]
    Expired {
        /// Counted from the issuer as 0.
        place: usize,
    },
    /// An extended key usage that forbids client or server authentication below.
    #[error("certificate {place} of the chain forbids client or server authentication below it")]
    ExtendedKeyUsage {
        /// Counted from the issuer as 0.
        place: usize,
    },
    /// No `keyCertSign`.
    #[error("certificate {place} of the chain may not sign certificates")]
    KeyUsage {
        /// Counted from the issuer as 0.
        place: usize,
    },
    /// The last is not self-signed.
    #[error("the chain does not end in a self-signed root; append it")]
    NoRoot,
    /// No CA.
    #[error("certificate {place} of the chain is no authority")]
    NotAuthority {
        /// Counted from the issuer as 0.
        place: usize,
    },
    /// Before its first second.
    #[error("certificate {place} of the chain is not yet valid")]
    NotYetValid {
        /// Counted from the issuer as 0.
        place: usize,
    },
    /// The next certificate is not the issuer of this one.
    #[error(
        "certificate {place} of the chain is not issued by the one after it; order them upward"
    )]
    Order {
        /// Counted from the issuer as 0.
        place: usize,
    },
    /// Too short for what must follow below.
    #[error("certificate {place} of the chain allows {allowed} authorities below it, not {needed}")]
    PathLen {
        /// Counted from the issuer as 0.
        place: usize,
        /// What it allows.
        allowed: u8,
        /// What the chain and the intermediates of protem need.
        needed: usize,
    },
    /// The signature does not verify under the next key.
    #[error("the signature of certificate {place} of the chain does not verify")]
    Signature {
        /// Counted from the issuer as 0.
        place: usize,
        /// What is wrong with it.
        source: KeyError,
    },
    /// A critical extension that is not understood.
    #[error("certificate {place} of the chain has the unknown critical extension `{id}`")]
    UnknownCritical {
        /// Counted from the issuer as 0.
        place: usize,
        /// Its object identifier.
        id: String,
    },
    /// A URI name constraint.
    #[error(
        "certificate {place} of the chain constrains URI names, which breaks SPIFFE validators"
    )]
    UriConstraint {
        /// Counted from the issuer as 0.
        place: usize,
    },
}

fn check_authority(
    place: usize,
    tbs: &Tbs,
    at: Timestamp,
    needed: usize,
) -> Result<(), ChainError> {
    let constraints = tbs.basic_constraints.filter(|constraints| constraints.ca);
    let constraints = constraints.ok_or(ChainError::NotAuthority { place })?;
    if let Some(allowed) = constraints
        .path_len
        .filter(|allowed| usize::from(*allowed) < needed)
    {
        return Err(ChainError::PathLen {
            place,
            allowed,
            needed,
        });
    }
    if !tbs
        .key_usage
        .as_ref()
        .is_some_and(|usage| usage.contains(&KeyUse::KeyCertSign))
    {
        return Err(ChainError::KeyUsage { place });
    }
    if at < tbs.not_before {
        return Err(ChainError::NotYetValid { place });
    }
    // notAfter is inclusive, to the end of its second.
    if tbs.not_after.unix_s() < at.unix_s() {
        return Err(ChainError::Expired { place });
    }
    let both = |uses: &Vec<ExtendedKeyUse>| {
        let has = |wanted: &ExtendedKeyUse| uses.contains(wanted);
        has(&ExtendedKeyUse::Any)
            || has(&ExtendedKeyUse::ClientAuth) && has(&ExtendedKeyUse::ServerAuth)
    };
    if !tbs.extended_key_usage.as_ref().is_none_or(both) {
        return Err(ChainError::ExtendedKeyUsage { place });
    }
    check_constraints(place, tbs)
}

fn check_constraints(place: usize, tbs: &Tbs) -> Result<(), ChainError> {
    let mut trees = tbs
        .name_constraints
        .iter()
        .flat_map(|names| names.permitted.iter().chain(&names.excluded));
    if trees.any(|tree| matches!(tree, Subtree::Uri(_))) {
        return Err(ChainError::UriConstraint { place });
    }
    for (id, critical) in &tbs.extensions {
        if let ExtensionId::Other(id) = id
            && *critical
        {
            return Err(ChainError::UnknownCritical {
                place,
                id: id.clone(),
            });
        }
    }
    Ok(())
}

fn check_link(
    place: usize,
    certificate: &Certificate,
    issuer: &Certificate,
) -> Result<(), ChainError> {
    let (tbs, above) = (certificate.tbs(), issuer.tbs());
    let ids = tbs
        .authority_key_id
        .as_ref()
        .zip(above.subject_key_id.as_ref());
    if tbs.issuer.der != above.subject.der || ids.is_some_and(|(ours, theirs)| ours != theirs) {
        return Err(ChainError::Order { place });
    }
    certificate
        .verify_signed_by(&above.public_key)
        .map_err(|source| ChainError::Signature { place, source })
}

/// The most that is read of a file of certificates.
pub const CHAIN_BYTES_MAX: usize = 64 * 1024;

/// The most certificates that are read from one file.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;

//! The folder that holds one SVID: `svid.pem`, `svid.key` and, for readers, `bundle.pem`.
//!
//! Promises: what is read fits together: the key is the leaf's, and the leaf is valid now.
//! Refuses: an SVID that has ended, with words on how to get another.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::time::Timestamp;
use crate::x509::{Certificate, CertificateError, PrivateKey, PrivateKeyError, read_chain};

/// An SVID with its key, as it lies in a folder.
#[derive(Debug)]
pub struct HeldSvid {
    /// Leaf first, without the root.
    pub chain: Vec<Certificate>,
    /// The first of the chain.
    pub leaf: Certificate,
    /// Its private half.
    pub key: PrivateKey,
}

/// Why a folder holds no usable SVID.
#[derive(Debug, thiserror::Error)]
pub enum SvidFolderError {
    /// The chain is no list of certificates.
    #[error("`{}` holds no certificates", path.display())]
    Chain {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: CertificateError,
    },
    /// Past its last second.
    #[error(
        "the SVID in `{}` ended at {at}; get a new one with \
         `protem svid write --join-token TOKEN --out {}`",
        folder.display(), folder.display()
    )]
    Ended {
        /// The folder.
        folder: PathBuf,
        /// Its end.
        at: Timestamp,
    },
    /// Not to be read.
    #[error("cannot read `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key is no key.
    #[error("`{}` holds no private key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: PrivateKeyError,
    },
    /// Certificate and key are not of one SVID.
    #[error("key and certificate in `{}` do not belong together", folder.display())]
    Mismatch {
        /// The folder.
        folder: PathBuf,
    },
}

/// Reads the SVID of a folder as it stands at `now`.
///
/// # Errors
/// The first thing that is missing or wrong, by its path.
pub fn read_svid(folder: &Path, now: Timestamp) -> Result<HeldSvid, SvidFolderError> {
    let chain = read_chain_file(&folder.join(SVID_PEM))?;
    let key = read_key_file(&folder.join(SVID_KEY))?;

    let mismatch = || SvidFolderError::Mismatch {
        folder: folder.to_owned(),
    };
    let leaf = chain.first().cloned().ok_or_else(mismatch)?;
    if leaf.tbs().public_key.spki_der() != key.public_key().spki_der() {
        return Err(mismatch());
    }
    // notAfter is inclusive, to the end of its second (RFC 5280 4.1.2.5).
    if leaf.tbs().not_after.unix_s() < now.unix_s() {
        return Err(SvidFolderError::Ended {
            folder: folder.to_owned(),
            at: leaf.tbs().not_after,
        });
    }
    Ok(HeldSvid { chain, leaf, key })
}

/// The certificates of a file, as they stand there.
pub(crate) fn read_chain_file(path: &Path) -> Result<Vec<Certificate>, SvidFolderError> {
    let wrong = |source| SvidFolderError::Chain {
        path: path.to_owned(),
        source,
    };
    read_chain(&read(path)?).map_err(wrong)
}

/// The private key of a file, PKCS#8.
pub(crate) fn read_key_file(path: &Path) -> Result<PrivateKey, SvidFolderError> {
    let wrong = |source| SvidFolderError::Key {
        path: path.to_owned(),
        source,
    };
    let pem = read(path)?;
    let text = std::str::from_utf8(&pem).unwrap_or_default();
    PrivateKey::from_pkcs8_pem(text).map_err(wrong)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, SvidFolderError> {
    let wrong = |source| SvidFolderError::File {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(wrong)?;
    // Room from the start: growing would leave copies of a key behind.
    let mut content = Zeroizing::new(Vec::with_capacity(FILE_BYTES));
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut content)
        .map_err(wrong)?;
    Ok(content)
}

/// The chain, leaf first.
pub const SVID_PEM: &str = "svid.pem";
/// The private key, PKCS#8.
pub const SVID_KEY: &str = "svid.key";
/// The roots.
pub const BUNDLE_PEM: &str = "bundle.pem";
const FILE_BYTES: usize = 64 * 1024 + 64;
const FILE_BYTES_MAX: u64 = 64 * 1024 + 1;

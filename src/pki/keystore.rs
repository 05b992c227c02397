//! Keys and certificates of the issuers as files in the data directory.
//!
//! Promises: a key file has mode 0600 in a directory of mode 0700, is written once, synced, and
//! renamed into place whole. A key file that others may read is refused (assurance K8).
//! Refuses: to follow a name out of its directory; to overwrite a key.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::x509::{Certificate, CertificateError, PrivateKey, PrivateKeyError, read_chain};

/// A directory of keys and certificates.
#[derive(Debug)]
pub(crate) struct Keystore {
    directory: PathBuf,
}

/// Why a key or certificate file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// The certificate file is not what it should be.
    #[error("`{0}` holds no usable certificate")]
    Certificate(PathBuf, #[source] CertificateError),
    /// The file or directory cannot be read or written.
    #[error("cannot {1} `{0}`")]
    Io(PathBuf, &'static str, #[source] io::Error),
    /// The key file is not what it should be.
    #[error("`{0}` holds no usable private key")]
    Key(PathBuf, #[source] PrivateKeyError),
    /// The file may be read by others.
    #[error("`{0}` may be read by others (mode {1:o}); run `chmod 600` on it")]
    Open(PathBuf, u32),
    /// The file is larger than any key or chain.
    #[error("`{0}` is larger than {FILE_BYTES_MAX} bytes")]
    TooLarge(PathBuf),
}

impl Keystore {
    /// The directory, made if it is not there.
    pub(crate) fn open(directory: &Path) -> Result<Self, KeystoreError> {
        let failed = |error| KeystoreError::Io(directory.to_owned(), "make directory", error);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(failed)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    /// The names of the keys whose name begins so, sorted.
    pub(crate) fn keys(&self, prefix: &str) -> Result<Vec<String>, KeystoreError> {
        let failed = |error| KeystoreError::Io(self.directory.clone(), "list", error);
        let mut names = Vec::new();
        for file in fs::read_dir(&self.directory).map_err(failed)? {
            let name = file.map_err(failed)?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".key"));
            names.extend(
                stem.filter(|stem| stem.starts_with(prefix))
                    .map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    /// A key that was written before.
    pub(crate) fn key(&self, name: &str) -> Result<PrivateKey, KeystoreError> {
        read_key(&self.path(name, "key"))
    }

    /// The certificate that belongs to a key, when it was written.
    pub(crate) fn certificate(&self, name: &str) -> Result<Option<Certificate>, KeystoreError> {
        let path = self.path(name, "pem");
        if !path.exists() {
            return Ok(None);
        }
        Ok(read_certificates(&path)?.into_iter().next())
    }

    /// Writes a new key; an existing one is never touched.
    pub(crate) fn write_key(&self, name: &str, key: &PrivateKey) -> Result<(), KeystoreError> {
        let path = self.path(name, "key");
        let pem = key
            .to_pkcs8_pem()
            .map_err(|error| KeystoreError::Key(path.clone(), error))?;
        self.write(&path, pem.as_bytes())
    }

    /// Writes the certificate that belongs to a key.
    pub(crate) fn write_certificate(
        &self,
        name: &str,
        certificate: &Certificate,
    ) -> Result<(), KeystoreError> {
        self.write(&self.path(name, "pem"), certificate.to_pem().as_bytes())
    }

    /// Removes a key and its certificate.
    pub(crate) fn remove(&self, name: &str) -> Result<(), KeystoreError> {
        for ending in ["pem", "key"] {
            let path = self.path(name, ending);
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(KeystoreError::Io(path, "remove", error)),
            }
        }
        Ok(())
    }

    fn path(&self, name: &str, ending: &str) -> PathBuf {
        self.directory.join(format!("{name}.{ending}"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
        let failed = |error| KeystoreError::Io(path.to_owned(), "write", error);
        let new = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .map_err(failed)?;
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        fs::rename(&new, path).map_err(failed)?;
        // The rename itself must survive a power cut, or a recorded intent loses its key.
        File::open(&self.directory)
            .and_then(|dir| dir.sync_all())
            .map_err(failed)
    }
}

/// Reads a private key file that only its owner may read.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn read_key(path: &Path) -> Result<PrivateKey, KeystoreError> {
    let failed = |error| KeystoreError::Io(path.to_owned(), "read", error);
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeystoreError::Open(path.to_owned(), mode));
    }
    let text = Zeroizing::new(read_bounded(path)?);
    let text = std::str::from_utf8(&text)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    PrivateKey::from_pkcs8_pem(text).map_err(|error| KeystoreError::Key(path.to_owned(), error))
}

/// Reads a PEM file of certificates.
///
/// # Errors
/// Why it cannot be used.
pub(crate) fn read_certificates(path: &Path) -> Result<Vec<Certificate>, KeystoreError> {
    let pem = read_bounded(path)?;
    read_chain(&pem).map_err(|error| KeystoreError::Certificate(path.to_owned(), error))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, KeystoreError> {
    let failed = |error| KeystoreError::Io(path.to_owned(), "read", error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_BYTES_MAX) {
        Ok(bytes)
    } else {
        Err(KeystoreError::TooLarge(path.to_owned()))
    }
}

/// The largest key or chain file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1_024;

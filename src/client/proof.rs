//! What proves the caller to the server.
//!
//! Promises: a secret is read from its file for each call, checked for its form before it is sent,
//! marked as sensitive in the request, and wiped afterwards.
//! Refuses: to print a secret, and files with more in them than one.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use http::HeaderValue;
use zeroize::Zeroizing;

use crate::attestation::{Bearer, BearerError, Jws, TOKEN_BYTES_MAX, TokenError};

/// What proves the caller.
pub enum Proof {
    /// The secret in this file, such as an operator credential.
    BearerFile(PathBuf),
    /// This secret.
    Bearer(Bearer),
    /// Nothing: only public answers are had.
    None,
    /// The SVID in this folder, as a TLS client certificate.
    Svid(PathBuf),
    /// The token in this file, signed by an issuer that the server lets in.
    TokenFile(PathBuf),
}

/// Why a file gives no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// Not to be read.
    #[error("cannot read the secret `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something else is in it.
    #[error("`{}` holds no secret of protem", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BearerError,
    },
    /// No token.
    #[error("`{}` holds no signed token", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TokenError,
    },
}

impl Proof {
    /// The value of the `Authorization` header, where there is one.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, SecretFileError> {
        match self {
            Self::BearerFile(path) => read_secret(path).map(|secret| header(&secret.reveal())),
            Self::Bearer(secret) => Ok(header(&secret.reveal())),
            Self::TokenFile(path) => read_token(path).map(|token| header(&token)),
            Self::None | Self::Svid(_) => Ok(None),
        }
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BearerFile(path) => write!(f, "BearerFile({})", path.display()),
            Self::Bearer(_) => f.write_str("Bearer([secret])"),
            Self::None => f.write_str("None"),
            Self::Svid(path) => write!(f, "Svid({})", path.display()),
            Self::TokenFile(path) => write!(f, "TokenFile({})", path.display()),
        }
    }
}

fn header(secret: &str) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("Bearer {secret}"));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn read_secret(path: &Path) -> Result<Bearer, SecretFileError> {
    let text = read(path)?;
    Bearer::parse(text.trim()).map_err(|source| SecretFileError::Form {
        path: path.to_owned(),
        source,
    })
}

fn read_token(path: &Path) -> Result<Zeroizing<String>, SecretFileError> {
    let text = read(path)?;
    match Jws::parse(text.trim()) {
        Ok(_) => Ok(Zeroizing::new(text.trim().to_owned())),
        Err(source) => Err(SecretFileError::Token {
            path: path.to_owned(),
            source,
        }),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, SecretFileError> {
    let file = |source| SecretFileError::File {
        path: path.to_owned(),
        source,
    };
    // Room from the start: growing would leave copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(SECRET_FILE_BYTES));
    fs::File::open(path)
        .map_err(file)?
        .take(SECRET_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(file)?;
    Ok(text)
}

/// A token of an issuer and its end of line; what is cut off there is no token any more.
const SECRET_FILE_BYTES: usize = TOKEN_BYTES_MAX + 2;
const SECRET_FILE_BYTES_MAX: u64 = 8_194;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::entropy::Entropy;

    #[test]
    fn a_secret_comes_from_its_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.token");
        let secret = Bearer::operator(&Entropy::seeded(1)).reveal();
        fs::write(&path, format!("{}\n", *secret)).unwrap();
        let proof = Proof::BearerFile(path.clone());
        let value = proof.authorization().unwrap().unwrap();
        assert!(value.is_sensitive());
        assert_eq!(value.to_str().unwrap(), format!("Bearer {}", *secret));
        assert!(!format!("{proof:?}").contains(&*secret));

        fs::write(&path, "e30.e30.e30\n").unwrap();
        assert!(Proof::TokenFile(path.clone()).authorization().is_err());
        fs::write(&path, "eyJhbGciOiJFUzI1NiJ9.e30.e30\n").unwrap();
        assert!(proof.authorization().is_err());
        let value = Proof::TokenFile(path.clone()).authorization();
        assert_eq!(
            value.unwrap().unwrap(),
            "Bearer eyJhbGciOiJFUzI1NiJ9.e30.e30"
        );
        fs::write(&path, "two\nlines").unwrap();
        assert!(proof.authorization().is_err());
        fs::write(&path, "a".repeat(50_000)).unwrap();
        assert!(proof.authorization().is_err());
    }
}

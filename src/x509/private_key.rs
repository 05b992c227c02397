//! Private keys: held by aws-lc-rs, written and read as PKCS#8, never shown.
//!
//! There is no Display, no Clone and no serde; Debug prints the public fingerprint only. Every copy
//! of the secret that leaves here is wiped when it is dropped. Refused: encrypted keys, the older
//! `EC PRIVATE KEY` and `RSA PRIVATE KEY` forms, and keys outside the allow-list of
//! [`PublicKey`].

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use zeroize::Zeroizing;

use crate::x509::keys::{KeyError, KeyKind, PublicKey};
use crate::x509::pem::{PemError, read_pem, write_pem};
use crate::x509::signature::{Signature, SignatureAlgorithm};

/// A private key and its public half.
pub struct PrivateKey {
    held: Held,
    public: PublicKey,
}

impl PrivateKey {
    /// A new key from the generator of aws-lc-rs; RSA keys get 2048 bits.
    ///
    /// # Errors
    /// [`PrivateKeyError::Generation`] where the generator fails.
    pub fn generate(kind: KeyKind) -> Result<Self, PrivateKeyError> {
        let held = match kind {
            KeyKind::Ed25519 => Ed25519KeyPair::generate().map(Held::Ed25519),
            KeyKind::P256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Held::Ecdsa)
            }
            KeyKind::P384 => {
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Held::Ecdsa)
            }
            KeyKind::Rsa => RsaKeyPair::generate(KeySize::Rsa2048).map(Held::Rsa),
        };
        Self::from_held(held.map_err(|_| PrivateKeyError::Generation)?)
    }

    /// Reads one `PRIVATE KEY` block (RFC 7468 section 10).
    ///
    /// # Errors
    /// What is wrong with the text or with the key; the text itself is never repeated.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, PrivateKeyError> {
        let blocks = read_pem(text.as_bytes(), PEM_BYTES_MAX, 1)?;
        let block = blocks.first().ok_or(PemError::Empty)?;
        match block.label.as_str() {
            PEM_LABEL => Self::from_pkcs8_der(&block.der),
            "ENCRYPTED PRIVATE KEY" => Err(PrivateKeyError::Encrypted),
            _ => Err(PrivateKeyError::NotPkcs8),
        }
    }

    /// Reads an unencrypted PKCS#8 key (RFC 5208).
    ///
    /// # Errors
    /// [`PrivateKeyError::Rejected`] where it is no consistent key of an accepted kind.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, PrivateKeyError> {
        // aws-lc-rs checks the algorithm in the key against the one asked for, so at most one fits.
        let held = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der)
            .or_else(|_| EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der))
            .map(Held::Ecdsa)
            .or_else(|_| Ed25519KeyPair::from_pkcs8(der).map(Held::Ed25519))
            .or_else(|_| RsaKeyPair::from_pkcs8(der).map(Held::Rsa))
            .map_err(|_| PrivateKeyError::Rejected)?;
        Self::from_held(held)
    }

    /// The key as PKCS#8 in DER.
    ///
    /// # Errors
    /// [`PrivateKeyError::Encoding`] where aws-lc-rs cannot write it.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, PrivateKeyError> {
        let der = match &self.held {
            Held::Ecdsa(pair) => pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()),
            Held::Ed25519(pair) => pair.to_pkcs8v1().map(|document| document.as_ref().to_vec()),
            Held::Rsa(pair) => {
                AsDer::<Pkcs8V1Der<'_>>::as_der(pair).map(|der| der.as_ref().to_vec())
            }
        };
        der.map(Zeroizing::new)
            .map_err(|_| PrivateKeyError::Encoding)
    }

    /// The key as one PKCS#8 `PRIVATE KEY` block.
    ///
    /// # Errors
    /// As [`Self::to_pkcs8_der`].
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, PrivateKeyError> {
        Ok(Zeroizing::new(write_pem(PEM_LABEL, &self.to_pkcs8_der()?)))
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The algorithm of [`Self::sign`], to be written into what will be signed.
    #[must_use]
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::preferred(self.public.kind())
    }

    /// Signs a message (not a digest).
    ///
    /// # Errors
    /// [`PrivateKeyError::Signing`] where aws-lc-rs fails.
    pub fn sign(&self, message: &[u8]) -> Result<Signature, PrivateKeyError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the signature wants one; aws-lc-rs never draws from it"
        )]
        let random = SystemRandom::new();
        let bytes = match &self.held {
            Held::Ecdsa(pair) => pair
                .sign(&random, message)
                .map(|made| made.as_ref().to_vec()),
            Held::Ed25519(pair) => pair.try_sign(message).map(|made| made.as_ref().to_vec()),
            Held::Rsa(pair) => {
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut bytes)
                    .map(|()| bytes)
            }
        };
        let bytes = bytes.map_err(|_| PrivateKeyError::Signing)?;
        Ok(Signature {
            algorithm: self.signature_algorithm(),
            bytes,
        })
    }

    fn from_held(held: Held) -> Result<Self, PrivateKeyError> {
        let spki: Result<PublicKeyX509Der<'_>, _> = match &held {
            Held::Ecdsa(pair) => pair.public_key().as_der(),
            Held::Ed25519(pair) => pair.public_key().as_der(),
            Held::Rsa(pair) => pair.public_key().as_der(),
        };
        let spki = spki.map_err(|_| PrivateKeyError::Encoding)?;
        let public = PublicKey::from_spki_der(spki.as_ref())?;
        Ok(Self { held, public })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.public)
    }
}

/// Why a private key cannot be made, read, written or used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateKeyError {
    /// aws-lc-rs could not write the key.
    #[error("the key cannot be encoded")]
    Encoding,
    /// An `ENCRYPTED PRIVATE KEY` block.
    #[error("the private key is encrypted; decrypt it with `openssl pkcs8` first")]
    Encrypted,
    /// The generator failed.
    #[error("the key cannot be generated")]
    Generation,
    /// The public half is outside the allow-list.
    #[error("the private key has a public half that is not accepted")]
    Key(#[from] KeyError),
    /// Another block than `PRIVATE KEY`.
    #[error(
        "this is no PKCS#8 `PRIVATE KEY` block; convert it with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    NotPkcs8,
    /// The text around the key is no PEM.
    #[error("the private key file is malformed")]
    Pem(#[from] PemError),
    /// No accepted kind, or its halves do not fit together.
    #[error("the private key is inconsistent or of no accepted kind")]
    Rejected,
    /// aws-lc-rs could not sign.
    #[error("the signature cannot be made")]
    Signing,
}

enum Held {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

const PEM_LABEL: &str = "PRIVATE KEY";

/// An RSA key of 4096 bits takes about 3.3 KB.
const PEM_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_written_and_read_back() {
        for kind in [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa] {
            let key = PrivateKey::generate(kind).unwrap();
            let back = PrivateKey::from_pkcs8_pem(&key.to_pkcs8_pem().unwrap()).unwrap();
            assert_eq!(back.public_key(), key.public_key());
            assert_eq!(*back.to_pkcs8_der().unwrap(), *key.to_pkcs8_der().unwrap());
        }
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let key = PrivateKey::generate(KeyKind::Ed25519).unwrap();
        let fingerprint = key.public_key().fingerprint();
        assert_eq!(
            format!("{key:?}"),
            format!("PrivateKey(of PublicKey(ed25519 {fingerprint}))")
        );
    }

    #[test]
    fn other_forms_are_told_apart() {
        let block = |label: &str| PrivateKey::from_pkcs8_pem(&write_pem(label, &[0x30, 0]));
        assert_eq!(
            block("EC PRIVATE KEY").unwrap_err(),
            PrivateKeyError::NotPkcs8
        );
        assert_eq!(
            block("ENCRYPTED PRIVATE KEY").unwrap_err(),
            PrivateKeyError::Encrypted
        );
        assert_eq!(block("PRIVATE KEY").unwrap_err(), PrivateKeyError::Rejected);
    }
}

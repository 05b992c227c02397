//! Keys as the builder of certificates wants them, and the trait behind which a key may live
//! elsewhere.
//!
//! Promises: rcgen never sees a private key. It is given an [`Unsigned`] key that "signs" with
//! nothing, so what it builds is the to-be-signed part alone.
//! Refuses: algorithms that protem does not sign with.

use rcgen::PublicKeyData;

use crate::x509::{KeyKind, PrivateKey, PrivateKeyError, PublicKey, Signature, SignatureAlgorithm};

/// A key that signs certificates: in memory today, in a module elsewhere tomorrow.
pub(crate) trait Signer: Send + Sync {
    /// The public half.
    fn public_key(&self) -> &PublicKey;

    /// What it signs with.
    fn algorithm(&self) -> SignatureAlgorithm;

    /// Signs a message.
    fn sign(&self, message: &[u8]) -> Result<Signature, PrivateKeyError>;
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        Self::public_key(self)
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, PrivateKeyError> {
        Self::sign(self, message)
    }
}

/// A key that is to be certified.
pub(crate) struct Certified<'a>(pub(crate) &'a PublicKey);

/// An issuer's key while a certificate is planned: it names the algorithm and signs nothing.
pub(crate) struct Unsigned {
    key: PublicKey,
    algorithm: &'static rcgen::SignatureAlgorithm,
}

impl Unsigned {
    /// The planning stand-in of an issuer's key.
    pub(crate) fn of(signer: &dyn Signer) -> Self {
        let algorithm = match signer.algorithm() {
            SignatureAlgorithm::EcdsaSha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            SignatureAlgorithm::EcdsaSha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            SignatureAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
            SignatureAlgorithm::RsaSha256 => &rcgen::PKCS_RSA_SHA256,
            SignatureAlgorithm::RsaSha384 => &rcgen::PKCS_RSA_SHA384,
            SignatureAlgorithm::RsaSha512 => &rcgen::PKCS_RSA_SHA512,
        };
        Self {
            key: signer.public_key().clone(),
            algorithm,
        }
    }
}

impl PublicKeyData for Certified<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.key()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        // Only the key's own identifier is written from it, never a signature's.
        match self.0.kind() {
            KeyKind::Ed25519 => &rcgen::PKCS_ED25519,
            KeyKind::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyKind::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyKind::Rsa => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl PublicKeyData for Unsigned {
    fn der_bytes(&self) -> &[u8] {
        self.key.key()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Unsigned {
    fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Vec::new())
    }
}

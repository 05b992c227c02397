//! Signatures and the algorithms that protem accepts for them.
//!
//! The list is closed and has no SHA-1, no MD5 and no parameters to choose: an algorithm is known
//! by the exact bytes of its `AlgorithmIdentifier`, so a wrong or absent NULL is another algorithm
//! and refused.

use aws_lc_rs::signature::{self, VerificationAlgorithm};

use crate::x509::keys::KeyKind;

/// A signature algorithm, by the names of RFC 5758, RFC 8410 and RFC 8017.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// `ecdsa-with-SHA256`
    EcdsaSha256,
    /// `ecdsa-with-SHA384`
    EcdsaSha384,
    /// `id-Ed25519`
    Ed25519,
    /// `sha256WithRSAEncryption` (PKCS#1 v1.5)
    RsaSha256,
    /// `sha384WithRSAEncryption` (PKCS#1 v1.5)
    RsaSha384,
    /// `sha512WithRSAEncryption` (PKCS#1 v1.5)
    RsaSha512,
}

impl SignatureAlgorithm {
    /// The algorithm whose DER `AlgorithmIdentifier` is exactly this.
    #[must_use]
    pub fn from_der(der: &[u8]) -> Option<Self> {
        ALL.into_iter().find(|algorithm| algorithm.der() == der)
    }

    /// The DER `AlgorithmIdentifier` (RFC 5280 section 4.1.1.2).
    #[must_use]
    pub fn der(self) -> &'static [u8] {
        match self {
            Self::EcdsaSha256 => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
            Self::EcdsaSha384 => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
            Self::Ed25519 => b"\x30\x05\x06\x03\x2b\x65\x70",
            Self::RsaSha256 => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
            Self::RsaSha384 => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00",
            Self::RsaSha512 => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00",
        }
    }

    /// The algorithm that protem itself signs with under a key of this kind.
    #[must_use]
    pub fn preferred(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Ed25519 => Self::Ed25519,
            KeyKind::P256 => Self::EcdsaSha256,
            KeyKind::P384 => Self::EcdsaSha384,
            KeyKind::Rsa => Self::RsaSha256,
        }
    }

    /// How aws-lc-rs verifies this algorithm under a key of this kind; none where they do not fit.
    pub(crate) fn verifier(self, kind: KeyKind) -> Option<&'static dyn VerificationAlgorithm> {
        match (self, kind) {
            (Self::EcdsaSha256, KeyKind::P256) => Some(&signature::ECDSA_P256_SHA256_ASN1),
            (Self::EcdsaSha384, KeyKind::P256) => Some(&signature::ECDSA_P256_SHA384_ASN1),
            (Self::EcdsaSha256, KeyKind::P384) => Some(&signature::ECDSA_P384_SHA256_ASN1),
            (Self::EcdsaSha384, KeyKind::P384) => Some(&signature::ECDSA_P384_SHA384_ASN1),
            (Self::Ed25519, KeyKind::Ed25519) => Some(&signature::ED25519),
            (Self::RsaSha256, KeyKind::Rsa) => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            (Self::RsaSha384, KeyKind::Rsa) => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            (Self::RsaSha512, KeyKind::Rsa) => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            (Self::EcdsaSha256 | Self::EcdsaSha384, KeyKind::Ed25519 | KeyKind::Rsa)
            | (Self::Ed25519, KeyKind::P256 | KeyKind::P384 | KeyKind::Rsa)
            | (
                Self::RsaSha256 | Self::RsaSha384 | Self::RsaSha512,
                KeyKind::Ed25519 | KeyKind::P256 | KeyKind::P384,
            ) => None,
        }
    }
}

/// A signature with the algorithm that made it; ECDSA values are the DER `Ecdsa-Sig-Value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What made it.
    pub algorithm: SignatureAlgorithm,
    /// The content of the BIT STRING, whole octets.
    pub bytes: Vec<u8>,
}

const ALL: [SignatureAlgorithm; 6] = [
    SignatureAlgorithm::EcdsaSha256,
    SignatureAlgorithm::EcdsaSha384,
    SignatureAlgorithm::Ed25519,
    SignatureAlgorithm::RsaSha256,
    SignatureAlgorithm::RsaSha384,
    SignatureAlgorithm::RsaSha512,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identifier_is_read_back_and_nothing_near_it() {
        for algorithm in ALL {
            let der = algorithm.der();
            assert_eq!(SignatureAlgorithm::from_der(der), Some(algorithm));
            assert_eq!(SignatureAlgorithm::from_der(&der[..der.len() - 1]), None);
            assert_eq!(SignatureAlgorithm::from_der(&[der, &[0]].concat()), None);
        }
    }
}

//! A finished certificate: put together from its parts, and taken apart again by other code.
//!
//! Signing is aws-lc-rs; [`Certificate::verify_signed_by`] uses the `p256` crate for P-256 issuers,
//! so that one fault in one library cannot both make and bless a certificate. Refused at
//! reading: all that [`Tbs`] refuses, and an outer algorithm other than the inner one.

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{self, VerifyingKey};

use crate::x509::canonical::is_second_spelling;
use crate::x509::evidence::EvidenceError;
use crate::x509::fingerprint::Fingerprint;
use crate::x509::keys::{KeyError, KeyKind, PublicKey};
use crate::x509::pem::{PemError, write_pem};
use crate::x509::signature::{Signature, SignatureAlgorithm};
use crate::x509::signed::Signed;
use crate::x509::tbs::Tbs;

/// A certificate that was read strictly. That it is signed by anyone is another question.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Tbs,
    signature: Signature,
}

impl Certificate {
    /// Reads a certificate in DER (RFC 5280 section 4.1).
    ///
    /// # Errors
    /// One variant of [`CertificateError`] for each way to be wrong.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge { bytes: der.len() });
        }
        let signed = Signed::split(der)?;
        let tbs = Tbs::parse(signed.content)?;
        if tbs.algorithm.der() != signed.algorithm {
            return Err(CertificateError::AlgorithmsDiffer);
        }
        let signature = Signature {
            algorithm: tbs.algorithm,
            bytes: signed.signature.to_vec(),
        };
        Ok(Self {
            der: der.to_vec(),
            tbs,
            signature,
        })
    }

    /// Reads a certificate whose signed part was read before: it is not read again when the bytes
    /// are the same.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn parse_around(tbs: Tbs, der: Vec<u8>) -> Result<Self, CertificateError> {
        let signed = Signed::split(&der)?;
        if signed.content != tbs.der() {
            return Self::parse(&der);
        }
        if tbs.algorithm.der() != signed.algorithm {
            return Err(CertificateError::AlgorithmsDiffer);
        }
        let signature = Signature {
            algorithm: tbs.algorithm,
            bytes: signed.signature.to_vec(),
        };
        Ok(Self {
            der,
            tbs,
            signature,
        })
    }

    /// Puts a certificate together from the exact signed bytes and their signature, in DER.
    ///
    /// # Errors
    /// [`CertificateError::Der`] where `tbs` is not one DER value.
    pub fn assemble(tbs: &[u8], signature: &Signature) -> Result<Vec<u8>, CertificateError> {
        let algorithm = signature.algorithm.der();
        let signed = Signed {
            content: tbs,
            algorithm,
            signature: &signature.bytes,
        };
        Ok(signed.assemble()?)
    }

    /// What it says.
    #[must_use]
    pub fn tbs(&self) -> &Tbs {
        &self.tbs
    }

    /// The exact bytes that were signed.
    #[must_use]
    pub fn tbs_der(&self) -> &[u8] {
        self.tbs.der()
    }

    /// The signature over them.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The whole certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The whole certificate as one PEM block.
    #[must_use]
    pub fn to_pem(&self) -> String {
        write_pem(PEM_LABEL, &self.der)
    }

    /// SHA-256 over the DER.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.der)
    }

    /// Whether subject and issuer are the same name.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.tbs.subject.der == self.tbs.issuer.der
    }

    /// Verifies the signature with other code than the one that signs: `p256` where the issuer has
    /// a P-256 key, aws-lc-rs for the other kinds, which protem itself never issues from.
    ///
    /// # Errors
    /// [`KeyError::AlgorithmMismatch`] or [`KeyError::SignatureInvalid`].
    pub fn verify_signed_by(&self, issuer: &PublicKey) -> Result<(), KeyError> {
        match (issuer.kind(), self.signature.algorithm) {
            (KeyKind::P256, SignatureAlgorithm::EcdsaSha256) => {
                let key = VerifyingKey::from_sec1_bytes(issuer.key())
                    .map_err(|_| KeyError::PointInvalid)?;
                let signature = ecdsa::Signature::from_der(&self.signature.bytes)
                    .map_err(|_| KeyError::SignatureInvalid)?;
                key.verify(self.tbs_der(), &signature)
                    .map_err(|_| KeyError::SignatureInvalid)
            }
            _ => self.verify_signature_fast(issuer),
        }
    }

    /// Verifies the signature with aws-lc-rs, several times as fast.
    ///
    /// # Errors
    /// As [`Self::verify_signed_by`].
    pub fn verify_signature_fast(&self, issuer: &PublicKey) -> Result<(), KeyError> {
        issuer.verify(
            self.signature.algorithm,
            self.tbs_der(),
            &self.signature.bytes,
        )
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

/// Why bytes are no certificate that protem reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// A signature algorithm outside the allow-list.
    #[error("the certificate is signed with an algorithm that is not accepted")]
    AlgorithmUnknown,
    /// The algorithm outside is not the one inside (RFC 5280 section 4.1.1.2).
    #[error("the certificate names two different signature algorithms")]
    AlgorithmsDiffer,
    /// Not the DER of a certificate.
    #[error("the certificate is not valid DER")]
    Der(#[source] der::Error),
    /// The evidence extension.
    #[error("the evidence in the certificate is malformed")]
    Evidence(#[from] EvidenceError),
    /// A known extension that does not decode.
    #[error("the extension `{id}` of the certificate is malformed")]
    Extension {
        /// Its object identifier.
        id: String,
        /// What is wrong with it.
        source: der::Error,
    },
    /// One extension twice (RFC 5280 section 4.2).
    #[error("the certificate has the extension `{0}` twice")]
    ExtensionTwice(String),
    /// The certified key.
    #[error("the key of the certificate is refused")]
    Key(#[from] KeyError),
    /// Another PEM block than a certificate.
    #[error("the PEM block is no `CERTIFICATE`")]
    Label,
    /// A byte other than printable ASCII in a name.
    #[error("a name in the certificate has a NUL, a control character or a byte outside ASCII")]
    NameCharacter,
    /// Readable, but with a second spelling somewhere.
    #[error("the certificate is not in canonical DER")]
    NotCanonical,
    /// The armour.
    #[error("the certificates are no well-formed PEM")]
    Pem(#[from] PemError),
    /// A serial number that is zero or negative.
    #[error("the serial number of the certificate is not positive")]
    Serial,
    /// A validity outside the times that protem knows.
    #[error("the validity of the certificate lies outside the years 1970 to 9999")]
    Time,
    /// Over the bound.
    #[error("the certificate has {bytes} bytes; at most {CERTIFICATE_BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// Version 1 or 2.
    #[error("the certificate is not of version 3")]
    Version,
}

impl From<der::Error> for CertificateError {
    fn from(error: der::Error) -> Self {
        if is_second_spelling(&error) {
            Self::NotCanonical
        } else {
            Self::Der(error)
        }
    }
}

pub(crate) const PEM_LABEL: &str = "CERTIFICATE";

/// The most that is read of one certificate; large ones of public authorities take 4 KB.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

//! Public keys: only valid ones of the allow-list exist as values.
//!
//! Accepted: EC P-256 and P-384 as uncompressed points, Ed25519, RSA of 2048 to 4096 bits with the
//! exponent 65537. Refused, each with its own word: every other algorithm or curve, explicit curve
//! parameters, the point at infinity, compressed points, points off the curve or out of the field,
//! Ed25519 points of small order (anyone could "prove" their possession), other RSA sizes and
//! exponents (the size bounds what verification costs), and every second spelling in DER.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ParsedPublicKey, UnparsedPublicKey};
use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Reader, SliceReader, Tag, Tagged};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::x509::canonical::{canonical, is_second_spelling};
use crate::x509::fingerprint::Fingerprint;
use crate::x509::signature::SignatureAlgorithm;

/// The kinds of key that exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// Ed25519 (RFC 8410)
    Ed25519,
    /// EC on P-256, the default
    P256,
    /// EC on P-384
    P384,
    /// RSA of 2048 to 4096 bits
    Rsa,
}

impl KeyKind {
    /// The word for this kind in profiles, logs and answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Rsa => "rsa",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for KeyKind {
    type Err = KeyKindError;

    fn from_str(word: &str) -> Result<Self, KeyKindError> {
        [Self::Ed25519, Self::P256, Self::P384, Self::Rsa]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| KeyKindError(word.to_owned()))
    }
}

/// A word that names no kind of key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kind of key; use `p256`, `p384`, `ed25519` or `rsa`")]
pub struct KeyKindError(String);

/// A valid public key: its `SubjectPublicKeyInfo` in DER, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    spki: Vec<u8>,
    /// Octets of the key itself at the end of `spki`: the content of the BIT STRING.
    key_bytes: usize,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7) and validates the key in it.
    ///
    /// # Errors
    /// One variant of [`KeyError`] for each way to be wrong.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        if der.len() > SPKI_BYTES_MAX {
            return Err(KeyError::TooLarge { bytes: der.len() });
        }
        let spki = canonical::<SubjectPublicKeyInfoRef<'_>>(der)?;
        let key = spki
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::PointInvalid)?;
        let parameters = spki.algorithm.parameters;
        let kind = match spki.algorithm.oid {
            ID_EC => {
                let parameters = parameters.ok_or(KeyError::Parameters)?;
                if parameters.tag() != Tag::ObjectIdentifier {
                    return Err(KeyError::ExplicitParameters);
                }
                check_point(parameters.decode_as::<ObjectIdentifier>()?, key, der)?
            }
            ID_ED25519 => {
                parameters
                    .is_none()
                    .then_some(())
                    .ok_or(KeyError::Parameters)?;
                check_ed25519(key)?;
                KeyKind::Ed25519
            }
            ID_RSA => {
                parameters
                    .filter(|any| any.is_null())
                    .ok_or(KeyError::Parameters)?;
                check_rsa(key)?;
                KeyKind::Rsa
            }
            other => return Err(KeyError::AlgorithmUnknown(other.to_string())),
        };
        Ok(Self {
            kind,
            spki: der.to_vec(),
            key_bytes: key.len(),
        })
    }

    /// What kind of key this is.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// SHA-256 over the `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.spki)
    }

    /// The subject key identifier: the leftmost 160 bits of SHA-256 over the content of the
    /// `subjectPublicKey` BIT STRING (RFC 7093 section 2, method 1).
    #[must_use]
    pub fn key_id(&self) -> [u8; KEY_ID_BYTES] {
        let hash = digest::digest(&digest::SHA256, self.key());
        let mut id = [0; KEY_ID_BYTES];
        for (to, from) in id.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
        id
    }

    /// Verifies a signature by this key, with aws-lc-rs.
    ///
    /// # Errors
    /// [`KeyError::AlgorithmMismatch`] where such a key makes no such signature,
    /// [`KeyError::SignatureInvalid`] where it does not verify.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), KeyError> {
        let verifier = algorithm
            .verifier(self.kind)
            .ok_or(KeyError::AlgorithmMismatch)?;
        UnparsedPublicKey::new(verifier, self.key())
            .verify(message, signature)
            .map_err(|_| KeyError::SignatureInvalid)
    }

    /// The content of the `subjectPublicKey` BIT STRING: a point, 32 bytes or an `RSAPublicKey`.
    pub(crate) fn key(&self) -> &[u8] {
        let start = self.spki.len().saturating_sub(self.key_bytes);
        self.spki.get(start..).unwrap_or_default()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.kind, self.fingerprint())
    }
}

/// Why a public key is refused, or why a signature does not verify under one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A key of this kind makes no such signatures.
    #[error("a signature of this algorithm cannot come from a key of this kind")]
    AlgorithmMismatch,
    /// DSA, DH, Ed448, RSA-PSS keys and all else.
    #[error("`{0}` is no accepted key algorithm; use EC P-256 or P-384, Ed25519 or RSA")]
    AlgorithmUnknown(String),
    /// P-224, secp256k1, brainpool and all else.
    #[error("`{0}` is no accepted curve; use P-256 or P-384")]
    CurveUnknown(String),
    /// The bytes are no `SubjectPublicKeyInfo`.
    #[error("the public key is not valid DER")]
    Der(#[source] der::Error),
    /// A curve spelled out instead of named (CVE-2020-0601 lived on it).
    #[error("the curve is given by explicit parameters; name it")]
    ExplicitParameters,
    /// The DER has a second spelling somewhere.
    #[error("the public key is not in canonical DER")]
    NotCanonical,
    /// Algorithm parameters absent where they must be, or present where they must not.
    #[error("the parameters of the key algorithm are wrong or missing")]
    Parameters,
    /// A compressed point (02 or 03); RFC 5480 section 2.2 lets a reader refuse it.
    #[error("the point is compressed; send it uncompressed")]
    PointCompressed,
    /// The neutral element is no key.
    #[error("the public key is the point at infinity")]
    PointInfinity,
    /// Wrong length, a coordinate outside the field, or not on the curve.
    #[error("the public key is not a point of its curve")]
    PointInvalid,
    /// An exponent other than 65537.
    #[error("the RSA exponent is not 65537")]
    RsaExponent,
    /// An even modulus.
    #[error("the RSA modulus is even")]
    RsaModulus,
    /// A modulus outside 2048 to 4096 bits.
    #[error("the RSA modulus has {bits} bits; from 2048 to 4096 are accepted")]
    RsaSize {
        /// Its length in bits.
        bits: usize,
    },
    /// The signature does not verify.
    #[error("the signature does not verify under the key")]
    SignatureInvalid,
    /// An Ed25519 point of small order or of a second spelling: anyone can sign for it.
    #[error("the Ed25519 key is of small order or not in canonical form")]
    SmallOrder,
    /// More bytes than any accepted key has.
    #[error("the public key has {bytes} bytes; at most {SPKI_BYTES_MAX} are read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
}

impl KeyError {
    /// The stable word for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlgorithmMismatch => "signature_algorithm_mismatch",
            Self::AlgorithmUnknown(_) => "key_algorithm_unknown",
            Self::CurveUnknown(_) => "key_curve_unknown",
            Self::Der(_) => "key_malformed",
            Self::ExplicitParameters => "key_explicit_parameters",
            Self::NotCanonical => "key_not_canonical",
            Self::Parameters => "key_parameters",
            Self::PointCompressed => "key_point_compressed",
            Self::PointInfinity => "key_point_infinity",
            Self::PointInvalid => "key_point_invalid",
            Self::RsaExponent => "key_rsa_exponent",
            Self::RsaModulus => "key_rsa_modulus",
            Self::RsaSize { .. } => "key_rsa_size",
            Self::SignatureInvalid => "signature_invalid",
            Self::SmallOrder => "key_small_order",
            Self::TooLarge { .. } => "key_too_large",
        }
    }
}

impl From<der::Error> for KeyError {
    fn from(error: der::Error) -> Self {
        if is_second_spelling(&error) {
            Self::NotCanonical
        } else {
            Self::Der(error)
        }
    }
}

/// The form is checked here, the field and the curve equation by aws-lc-rs.
fn check_point(curve: ObjectIdentifier, point: &[u8], spki: &[u8]) -> Result<KeyKind, KeyError> {
    let (kind, coordinate_bytes) = match curve {
        ID_P256 => (KeyKind::P256, 32),
        ID_P384 => (KeyKind::P384, 48),
        other => return Err(KeyError::CurveUnknown(other.to_string())),
    };
    match point {
        [0] => return Err(KeyError::PointInfinity),
        [2 | 3, ..] => return Err(KeyError::PointCompressed),
        [4, coordinates @ ..] if coordinates.len() == 2 * coordinate_bytes => {}
        _ => return Err(KeyError::PointInvalid),
    }
    let verifier = SignatureAlgorithm::preferred(kind).verifier(kind);
    let verifier = verifier.ok_or(KeyError::AlgorithmMismatch)?;
    ParsedPublicKey::new(verifier, spki).map_err(|_| KeyError::PointInvalid)?;
    Ok(kind)
}

/// RFC 8032 section 5.1.3 leaves small-order points to the reader. With one of them as key, a
/// signature over any message can be made without a secret: possession would prove nothing.
fn check_ed25519(key: &[u8]) -> Result<(), KeyError> {
    let [first, middle @ .., last] = key else {
        return Err(KeyError::PointInvalid);
    };
    if middle.len() != 30 {
        return Err(KeyError::PointInvalid);
    }
    let last_unsigned = last & 0x7f;
    let y_at_least_p =
        *first >= 0xed && last_unsigned == 0x7f && middle.iter().all(|byte| *byte == 0xff);
    let small = SMALL_ORDER_Y.iter().any(|y| {
        let [y_first, y_middle @ .., y_last] = y;
        first == y_first && middle == y_middle && last_unsigned == *y_last
    });
    if y_at_least_p || small {
        Err(KeyError::SmallOrder)
    } else {
        Ok(())
    }
}

fn check_rsa(key: &[u8]) -> Result<(), KeyError> {
    let mut reader = SliceReader::new(key)?;
    let (modulus, exponent) =
        reader.sequence(|r| Ok::<_, der::Error>((UintRef::decode(r)?, UintRef::decode(r)?)))?;
    reader.finish()?;
    let [first, .., last] = modulus.as_bytes() else {
        return Err(KeyError::RsaSize { bits: 0 });
    };
    let leading_zeros = usize::try_from(first.leading_zeros()).unwrap_or_default();
    let bits = (8 * modulus.as_bytes().len()).saturating_sub(leading_zeros);
    if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
        return Err(KeyError::RsaSize { bits });
    }
    if last % 2 == 0 {
        return Err(KeyError::RsaModulus);
    }
    if exponent.as_bytes() != [1, 0, 1] {
        return Err(KeyError::RsaExponent);
    }
    Ok(())
}

/// Length of a subject key identifier, octets.
pub const KEY_ID_BYTES: usize = 20;

/// An RSA key of 4096 bits takes 550 octets.
const SPKI_BYTES_MAX: usize = 1024;
const RSA_BITS_MIN: usize = 2048;
const RSA_BITS_MAX: usize = 4096;

const ID_EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const ID_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ID_P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The y coordinates of the eight points of small order, sign bit cleared, little-endian:
/// 0, 1, -1 and the two of order eight.
const SMALL_ORDER_Y: [[u8; 32]; 5] = [
    [0; 32],
    *b"\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    *b"\xec\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
       \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\
       \xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
    *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\
       \x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::x509::private_key::PrivateKey;

    #[test]
    fn every_kind_signs_and_verifies() {
        for kind in [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa] {
            let key = PrivateKey::generate(kind).unwrap();
            assert_eq!(key.public_key().kind(), kind);
            let signature = key.sign(b"message").unwrap();
            let verify = |message: &[u8]| {
                key.public_key()
                    .verify(signature.algorithm, message, &signature.bytes)
            };
            assert_eq!(verify(b"message"), Ok(()));
            assert_eq!(verify(b"massage"), Err(KeyError::SignatureInvalid));
        }
    }

    #[test]
    fn kinds_are_read_back_from_their_word() {
        for kind in [KeyKind::Ed25519, KeyKind::P256, KeyKind::P384, KeyKind::Rsa] {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("P256".parse::<KeyKind>().is_err());
    }

    proptest! {
        #[test]
        fn a_changed_key_is_refused_or_another_key(at in 0usize..91, bit in 0u8..8) {
            let key = PrivateKey::generate(KeyKind::P256).unwrap();
            let mut changed = key.public_key().spki_der().to_vec();
            changed[at] ^= 1 << bit;
            // 27 octets before the coordinates; a flipped bit in x or y leaves the curve.
            prop_assert!(PublicKey::from_spki_der(&changed).is_err());
        }
    }
}

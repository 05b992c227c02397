//! The trust bundle: the roots under which SVIDs of this trust domain verify.
//!
//! Promises: the SPIFFE bundle form (SPIFFE Trust Domain and Bundle 4: a JWK set, one `x5c`
//! certificate for each `x509-svid` key) and PEM, both of the same roots.
//! Refuses: intermediates. They travel with the leaves, so a bundle changes only with a root.

use base64ct::{Base64, Base64UrlUnpadded, Encoding as _};
use der::asn1::UintRef;
use der::{Decode as _, Reader as _, SliceReader};
use serde_json::json;

use crate::x509::{Certificate, KeyKind, write_chain};

/// The roots of one trust domain.
#[derive(Clone, Debug)]
pub struct TrustBundle {
    roots: Vec<Certificate>,
}

/// A root whose key cannot be written as a JWK.
#[derive(Debug, thiserror::Error)]
#[error("the root's key cannot be written as a JWK")]
pub struct BundleError(#[from] der::Error);

impl TrustBundle {
    /// A bundle of these roots.
    #[must_use]
    pub const fn new(roots: Vec<Certificate>) -> Self {
        Self { roots }
    }

    /// The roots, PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        write_chain(&self.roots)
    }

    /// The SPIFFE bundle document.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn to_jwks(&self) -> Result<String, BundleError> {
        let keys = self.roots.iter().map(jwk).collect::<Result<Vec<_>, _>>()?;
        let document = json!({
            "keys": keys,
            "spiffe_refresh_hint": REFRESH_HINT_S,
            "spiffe_sequence": SEQUENCE,
        });
        Ok(document.to_string())
    }
}

/// RFC 7517 4 and RFC 7518 6: the key's own members beside `use` and `x5c`.
fn jwk(root: &Certificate) -> Result<serde_json::Value, BundleError> {
    let key = &root.tbs().public_key;
    let bits = key.key();
    let text = Base64UrlUnpadded::encode_string;
    let mut jwk = match key.kind() {
        KeyKind::P256 | KeyKind::P384 => {
            // An uncompressed point: 0x04, x, y.
            let point = bits.get(1..).unwrap_or_default();
            let (x, y) = point.split_at(point.len() / 2);
            let curve = if key.kind() == KeyKind::P256 {
                "P-256"
            } else {
                "P-384"
            };
            json!({ "kty": "EC", "crv": curve, "x": text(x), "y": text(y) })
        }
        KeyKind::Ed25519 => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(bits) }),
        KeyKind::Rsa => {
            let (n, e) = SliceReader::new(bits)?
                .sequence(|r| Ok::<_, der::Error>((UintRef::decode(r)?, UintRef::decode(r)?)))?;
            json!({ "kty": "RSA", "n": text(n.as_bytes()), "e": text(e.as_bytes()) })
        }
    };
    if let Some(members) = jwk.as_object_mut() {
        members.insert("use".to_owned(), "x509-svid".into());
        members.insert(
            "x5c".to_owned(),
            vec![Base64::encode_string(root.der())].into(),
        );
    }
    Ok(jwk)
}

/// How often others should ask again, in seconds.
const REFRESH_HINT_S: u32 = 300;
/// The bundle's revision; the root of an authority does not change while it lives.
const SEQUENCE: u32 = 1;

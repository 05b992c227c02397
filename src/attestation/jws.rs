//! A signed token in the compact form (RFC 7515 7.1), before anybody believes it.
//!
//! Promises: the payload is given out by [`Jws::verified`] alone, byte for byte what was signed;
//! the header chooses among pinned algorithms and named keys and brings nothing of its own
//! (assurance T1 to T3, T13). The same token has one spelling.
//! Refuses: `none` and symmetric algorithms, unencoded, compressed, nested and critical extensions
//! (RFC 7515 4.1.11, RFC 7797), padding, slack bits and other alphabets (RFC 7515 2), tokens above
//! [`TOKEN_BYTES_MAX`]. `jwk`, `jku`, `x5u` and `x5c` are never looked at.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::attestation::key_set::KeySet;
use crate::attestation::strict_json::object;
use crate::attestation::token_error::TokenError;

/// A token that was taken apart, and not verified.
pub struct Jws {
    algorithm: JwsAlgorithm,
    key_id: Option<String>,
    /// What the signature is over: the first two parts and the dot between them.
    signed: Zeroizing<String>,
    payload: Vec<u8>,
    signature: Zeroizing<Vec<u8>>,
}

/// The algorithms that an issuer may be pinned to (RFC 7518 3.1, RFC 8037 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JwsAlgorithm {
    /// Ed25519.
    EdDsa,
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// ECDSA over P-384 with SHA-384.
    Es384,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
}

impl Jws {
    /// Takes a token apart.
    ///
    /// # Errors
    /// The rule of the form that it breaks, without any part of it.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if TOKEN_BYTES_MAX < text.len() {
            return Err(TokenError::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Form)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenError::Form)?;
        let header = object(&decode(header)?).ok_or(TokenError::Header("JSON"))?;
        if let Some(name) = REFUSED_HEADERS
            .iter()
            .find(|name| header.contains_key(**name))
        {
            return Err(TokenError::Header(name));
        }
        check_type(&header)?;
        let algorithm = header.get("alg").and_then(Value::as_str);
        Ok(Self {
            algorithm: algorithm.unwrap_or_default().parse()?,
            key_id: key_id(&header).map_err(|()| TokenError::Header("kid"))?,
            signed: Zeroizing::new(signed.to_owned()),
            payload: decode(payload)?,
            signature: Zeroizing::new(decode(signature)?),
        })
    }

    /// What was signed, when the key that the header names has signed it with an algorithm that is
    /// pinned.
    ///
    /// # Errors
    /// [`TokenError::Algorithm`], [`TokenError::KeyUnknown`] or [`TokenError::Signature`].
    pub fn verified(&self, keys: &KeySet, pinned: &[JwsAlgorithm]) -> Result<&[u8], TokenError> {
        if !pinned.contains(&self.algorithm) {
            return Err(TokenError::Algorithm);
        }
        let key = keys.key(self.key_id.as_deref());
        let key = key.ok_or(TokenError::KeyUnknown)?;
        if key.verify(self.algorithm, self.signed.as_bytes(), &self.signature) {
            Ok(&self.payload)
        } else {
            Err(TokenError::Signature)
        }
    }

    /// Whom the token says that it is from, which is only good for finding the keys to verify it
    /// with.
    ///
    /// # Errors
    /// [`TokenError::Claim`] where it does not say so.
    pub fn claimed_issuer(&self) -> Result<String, TokenError> {
        let claims = object(&self.payload).ok_or(TokenError::Claims)?;
        match claims.get("iss") {
            Some(Value::String(issuer)) => Ok(issuer.clone()),
            Some(_) | None => Err(TokenError::Claim("iss")),
        }
    }

    /// The bytes that the signature is over.
    pub(crate) fn signed(&self) -> &[u8] {
        self.signed.as_bytes()
    }
}

impl JwsAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 5] = [
        Self::EdDsa,
        Self::Es256,
        Self::Es384,
        Self::Ps256,
        Self::Rs256,
    ];

    /// Its name in the header and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }
}

impl FromStr for JwsAlgorithm {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.as_str() == text)
            .ok_or(TokenError::Algorithm)
    }
}

impl fmt::Debug for Jws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[signed token]")
    }
}

/// The name of a key in a header or in a key of a set; only ever compared.
pub(crate) fn key_id(fields: &Map<String, Value>) -> Result<Option<String>, ()> {
    match fields.get("kid") {
        None => Ok(None),
        Some(Value::String(id)) if (1..=KEY_ID_BYTES_MAX).contains(&id.len()) => {
            Ok(Some(id.clone()))
        }
        Some(_) => Err(()),
    }
}

/// base64url without padding, in its one spelling.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, TokenError> {
    Base64UrlUnpadded::decode_vec(text).map_err(|_| TokenError::Base64)
}

/// A token of another type, such as a logout token, says so, and must not pass for this one
/// (RFC 8725 3.11).
fn check_type(header: &Map<String, Value>) -> Result<(), TokenError> {
    let known = |name: &str| TYPES.iter().any(|one| name.eq_ignore_ascii_case(one));
    match header.get("typ") {
        None => Ok(()),
        Some(Value::String(name)) if known(name) => Ok(()),
        Some(_) => Err(TokenError::Header("typ")),
    }
}

/// The longest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1_024;
const KEY_ID_BYTES_MAX: usize = 256;
/// What changes the meaning of the rest.
const REFUSED_HEADERS: [&str; 5] = ["b64", "crit", "cty", "enc", "zip"];
/// RFC 7519 5.1, RFC 9068 2.1.
const TYPES: [&str; 4] = ["JWT", "JOSE", "at+jwt", "application/at+jwt"];

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    fn token(header: &str) -> String {
        let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        format!("{}.{}.{}", encode(header), encode("{}"), encode("x"))
    }

    #[test]
    fn the_header_brings_nothing_of_its_own() {
        let good =
            token(r#"{"alg":"ES256","kid":"../../etc/passwd' OR 1=1","jwk":{},"typ":"jwt"}"#);
        assert!(Jws::parse(&good).is_ok());
        assert!(!format!("{:?}", Jws::parse(&good)).contains("ey"));
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"None"}"#,
            r#"{"alg":""}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"es256"}"#,
            r#"{"alg":["ES256"]}"#,
            "{}",
            "[]",
            r#"{"alg":"none","alg":"ES256"}"#,
            r#"{"alg":"ES256","crit":["exp"]}"#,
            r#"{"alg":"ES256","b64":false}"#,
            r#"{"alg":"ES256","zip":"DEF"}"#,
            r#"{"alg":"ES256","cty":"JWT"}"#,
            r#"{"alg":"ES256","typ":"logout+jwt"}"#,
            r#"{"alg":"ES256","kid":7}"#,
            r#"{"alg":"ES256","kid":""}"#,
        ] {
            assert!(Jws::parse(&token(header)).is_err(), "{header}");
        }
    }

    #[test]
    fn a_token_has_one_spelling() {
        let good = token(r#"{"alg":"ES256"}"#);
        assert!(Jws::parse(&good).is_ok());
        let slack = format!("{}B", good.strip_suffix('A').unwrap());
        for bad in [
            format!("{good}="),
            format!("{good}."),
            format!(" {good}"),
            format!("{good}\n"),
            good.replacen('.', "", 1),
            slack,
            format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX)),
        ] {
            assert!(Jws::parse(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            assert!(Jws::parse(&text).is_err());
            assert!(Jws::parse(&token(&text)).is_err());
        }
    }
}

//! Bearer secrets: join tokens and operator credentials.
//!
//! Promises: a secret holds 256 random bits, is shown once and kept only as its SHA-256 (no
//! slow hash is needed at that entropy); comparison takes the same time wherever they differ.
//! Refuses: to print a secret by accident: it has no Debug, no Display and no Clone.

use std::fmt;

use aws_lc_rs::digest;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::id::entropy::Entropy;
use crate::id::{OperatorId, TokenId, hex};

/// A secret together with the id of what it opens, as a caller sends it.
pub enum Bearer {
    /// A one-use join token: `protem-jt-<32 hex>.<64 hex>`.
    JoinToken(TokenId, Secret),
    /// An operator credential: `protem-op-<32 hex>.<64 hex>`.
    Operator(OperatorId, Secret),
}

/// 256 secret bits.
pub struct Secret(Zeroizing<[u8; 32]>);

/// SHA-256 of a secret; what the store keeps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretDigest([u8; 32]);

/// The text is no bearer secret of protem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the bearer secret is not of the form `protem-jt-<id>.<secret>` or `protem-op-<id>.<secret>`"
)]
pub struct BearerError;

impl Bearer {
    /// A new join token.
    #[must_use]
    pub fn join_token(entropy: &Entropy) -> Self {
        Self::JoinToken(TokenId::random(entropy), Secret::random(entropy))
    }

    /// A new operator credential.
    #[must_use]
    pub fn operator(entropy: &Entropy) -> Self {
        Self::Operator(OperatorId::random(entropy), Secret::random(entropy))
    }

    /// Reads what follows `Bearer ` in an `Authorization` header.
    ///
    /// # Errors
    /// [`BearerError`] without any part of the text.
    pub fn parse(text: &str) -> Result<Self, BearerError> {
        let rest = text.strip_prefix(PREFIX).ok_or(BearerError)?;
        let (id, secret) = rest.split_once('.').ok_or(BearerError)?;
        let secret = Secret::parse(secret)?;
        if let Ok(token) = id.parse() {
            return Ok(Self::JoinToken(token, secret));
        }
        id.parse()
            .map(|operator| Self::Operator(operator, secret))
            .map_err(|_| BearerError)
    }

    /// The text to show once. Named so that every place that reveals a secret is easy to find.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let (id, secret) = match self {
            Self::JoinToken(id, secret) => (id.to_string(), secret),
            Self::Operator(id, secret) => (id.to_string(), secret),
        };
        let mut text = Zeroizing::new(format!("{PREFIX}{id}."));
        // Writing to a String does not fail.
        let _ = hex::write(secret.0.as_ref(), &mut *text);
        text
    }

    /// What the store keeps of the secret.
    #[must_use]
    pub fn digest(&self) -> SecretDigest {
        match self {
            Self::JoinToken(_, secret) | Self::Operator(_, secret) => secret.digest(),
        }
    }
}

impl Secret {
    fn random(entropy: &Entropy) -> Self {
        Self(Zeroizing::new(entropy.bytes()))
    }

    fn parse(text: &str) -> Result<Self, BearerError> {
        hex::read(text)
            .map(Zeroizing::new)
            .map(Self)
            .ok_or(BearerError)
    }

    fn digest(&self) -> SecretDigest {
        let mut bytes = [0; 32];
        let digest = digest::digest(&digest::SHA256, self.0.as_ref());
        bytes
            .iter_mut()
            .zip(digest.as_ref())
            .for_each(|(to, from)| *to = *from);
        SecretDigest(bytes)
    }
}

impl SecretDigest {
    /// The digest read back from the store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the digest of one secret, in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JoinToken(id, _) => write!(f, "{id}.[secret]"),
            Self::Operator(id, _) => write!(f, "{id}.[secret]"),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[digest of a secret]")
    }
}

const PREFIX: &str = "protem-";

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    #[test]
    fn a_secret_is_shown_and_read_back_and_never_debugged() {
        let token = Bearer::join_token(&Entropy::seeded(1));
        let text = token.reveal();
        let back = Bearer::parse(&text).unwrap();
        assert!(back.digest().matches(&token.digest()));
        assert!(matches!(back, Bearer::JoinToken(..)));
        assert!(!format!("{back:?}").contains(text.rsplit('.').next().unwrap()));
        let other = Bearer::operator(&Entropy::seeded(2));
        assert!(matches!(
            Bearer::parse(&other.reveal()).unwrap(),
            Bearer::Operator(..)
        ));
        assert!(!other.digest().matches(&token.digest()));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            assert!(Bearer::parse(&text).is_err());
            assert!(Bearer::parse(&format!("protem-jt-{text}")).is_err());
        }
    }
}

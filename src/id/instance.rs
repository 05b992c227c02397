//! The instance: one running holder of an identity.
//!
//! Promises: for a direct caller it is the SHA-256 of the public key (SPKI) that he calls with,
//! so that two processes of one subject are two instances as long as they hold two keys.
//! Refuses: any text but 64 lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use crate::id::hex;

/// One running holder; for a direct caller the SHA-256 of his public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instance([u8; 32]);

/// The text names no instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance is written as 64 lower-case hex digits, the SHA-256 of its public key")]
pub struct InstanceError;

impl Instance {
    /// The instance whose key hashes to `key_sha256`.
    #[must_use]
    pub const fn from_bytes(key_sha256: [u8; 32]) -> Self {
        Self(key_sha256)
    }

    /// The instance that `agent` calls `holder`: one running holder among those that he attests.
    /// The agent's name is part of it, so that no agent speaks for a holder of another.
    #[must_use]
    pub fn of_holder(agent: &impl fmt::Display, holder: &str) -> Self {
        let text = format!("protem holder\n{agent}\n{holder}");
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for Instance {
    type Err = InstanceError;

    fn from_str(text: &str) -> Result<Self, InstanceError> {
        hex::read(text).map(Self).ok_or(InstanceError)
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_print_and_parse_back() {
        let instance = Instance([0xa5; 32]);
        assert_eq!(instance.to_string().parse::<Instance>().unwrap(), instance);
        for text in [
            "A5".repeat(32),
            "+5".repeat(32),
            "a5".repeat(31),
            "a5".repeat(33),
        ] {
            assert!(text.parse::<Instance>().is_err(), "{text}");
        }
    }
}

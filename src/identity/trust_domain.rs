//! The trust domain: the first part of every SPIFFE ID.
//!
//! Promises: lower case, at most 255 bytes, dot-separated DNS labels, never an IP address.
//! Refuses: `_`, ports, user information, and upper case (never folded to lower).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::sync::Arc;

use crate::identity::SpiffeIdError;

/// A valid trust domain name, such as `prod.example` (SPIFFE-ID 2.1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        if text.is_empty() {
            return Err(SpiffeIdError::EmptyTrustDomain);
        }
        if text.len() > TRUST_DOMAIN_BYTES_MAX {
            return Err(SpiffeIdError::TrustDomainTooLong(text.len()));
        }
        for character in text.chars() {
            match character {
                'a'..='z' | '0'..='9' | '.' | '-' => {}
                '@' => return Err(SpiffeIdError::UserInformation),
                ':' => return Err(SpiffeIdError::Port),
                '%' => return Err(SpiffeIdError::PercentEncoding),
                '?' => return Err(SpiffeIdError::Query),
                '#' => return Err(SpiffeIdError::Fragment),
                other => return Err(SpiffeIdError::TrustDomainCharacter(other)),
            }
        }
        if let Some(label) = text.split('.').find(|label| !is_dns_label(label)) {
            return Err(SpiffeIdError::TrustDomainLabel(
                label.chars().take(64).collect(),
            ));
        }
        if text.parse::<Ipv4Addr>().is_ok() {
            return Err(SpiffeIdError::IpAddress);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_dns_label(label: &str) -> bool {
    (1..=DNS_LABEL_BYTES_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// The longest trust domain, in bytes (SPIFFE-ID 2.3).
pub const TRUST_DOMAIN_BYTES_MAX: usize = 255;
/// The longest DNS label, in bytes (RFC 1123 2.1).
const DNS_LABEL_BYTES_MAX: usize = 63;

//! Where the keys of token issuers come from: files, URLs, or the discovery document of the issuer.
//!
//! Promises: what is read is bounded in bytes and time, comes over TLS 1.3 from the very host that
//! the configuration or the issuer's own document names, and is a key set or nothing. It is read
//! beside the door, never for a caller that could be answered without.
//! Refuses: plain HTTP, redirects, addresses that are not public unless the configuration says so,
//! documents that name another issuer (assurance T4, T5). There is no proxy.

mod exchange;
mod location;
mod public;
mod source;

pub use crate::keyset::location::Location;
pub use crate::keyset::source::{KeySource, KeysFrom, Roots};

/// Why there are no newer keys.
#[derive(Debug, thiserror::Error)]
pub enum KeySourceError {
    /// The connection broke.
    #[error("the connection to `{0}` broke")]
    Broken(String, #[source] hyper::Error),
    /// No document of this issuer.
    #[error("the discovery document of `{0}` has no `jwks_uri`, or another `issuer`")]
    Discovery(String),
    /// A file cannot be read.
    #[error("cannot read `{}`", .0.display())]
    File(std::path::PathBuf, #[source] std::io::Error),
    /// No keys.
    #[error("what `{0}` publishes is refused")]
    KeySet(String, #[source] crate::attestation::KeySetError),
    /// No URL that is asked.
    #[error("`{0}` is no URL of the form `https://host/path`")]
    Location(String),
    /// An address inside.
    #[error("`{0}` has an address that is not public; `private_addresses = true` would allow it")]
    PrivateAddress(String),
    /// Roots cannot be used.
    #[error("no root certificate can be used")]
    Roots,
    /// Another answer than 200.
    #[error("`{0}` answers {1}; redirects are not followed")]
    Status(String, u16),
    /// It took too long.
    #[error("`{0}` did not answer in time")]
    TimedOut(String),
    /// Too large.
    #[error("what `{0}` sends is longer than {max} bytes", max = exchange::BODY_BYTES_MAX)]
    TooLarge(String),
    /// Nobody is there, or it does not prove itself.
    #[error("`{0}` cannot be reached")]
    Unreachable(String, #[source] std::io::Error),
}

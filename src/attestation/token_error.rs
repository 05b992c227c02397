//! Why a token of an issuer, or a set of its keys, is refused.
//!
//! Promises: no variant holds a part of the token; what is said about claims is said only after
//! the signature held.

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not one of those that the issuer is pinned to.
    #[error("the token's algorithm is not one that its issuer is pinned to")]
    Algorithm,
    /// Made for somebody else as well, or only.
    #[error("the token is not for `{0}`, and for it alone")]
    Audience(String),
    /// Made for another client (`azp`).
    #[error("the token was given to another client; `azp` must be the audience or be required")]
    AuthorizedParty,
    /// A part is no base64url.
    #[error("a part of the token is not base64url without padding")]
    Base64,
    /// A claim is missing or of another type.
    #[error("the token's claim `{0}` is missing or of another type")]
    Claim(&'static str),
    /// The payload is no object.
    #[error("the token's claims are not one JSON object without duplicates")]
    Claims,
    /// Past its end.
    #[error("the token has ended")]
    Ended,
    /// Not three parts.
    #[error("the token is not three parts with dots between them")]
    Form,
    /// A header that is refused.
    #[error("the token's header `{0}` is refused")]
    Header(&'static str),
    /// No key of that name is known.
    #[error("the token is signed with a key that its issuer does not publish")]
    KeyUnknown,
    /// Lives longer than the issuer's tokens may.
    #[error("the token lives longer than tokens of its issuer may")]
    LivesTooLong,
    /// Before its start, or made in the future.
    #[error("the token is not valid yet")]
    NotYet,
    /// A claim has another value than it must.
    #[error("the token's claim `{0}` is not what is required")]
    Required(String),
    /// It does not verify.
    #[error("the token's signature does not verify")]
    Signature,
    /// The claims make no subject.
    #[error("the token's claim `{0}` makes no part of a subject")]
    Subject(String),
    /// Above the bound.
    #[error(
        "the token is longer than {} bytes",
        crate::attestation::jws::TOKEN_BYTES_MAX
    )]
    TooLong,
    /// Nobody configured its issuer.
    #[error("the token is from an issuer that is not configured")]
    UnknownIssuer,
}

/// Why a set of keys is refused; the one before stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// Two keys have one name.
    #[error("two keys of the set have one `kid`")]
    DuplicateId,
    /// No object with keys.
    #[error("the key set is not a JSON object with `keys`, without duplicates")]
    Form,
    /// A key is malformed.
    #[error("a key of the set is malformed")]
    Key,
    /// A secret is published.
    #[error("the key set publishes a secret or private key")]
    Secret,
    /// More keys than are read.
    #[error(
        "the key set has more than {} keys",
        crate::attestation::key_set::KEYS_MAX
    )]
    TooMany,
    /// Nothing in it verifies tokens.
    #[error("the key set has no key that verifies a token")]
    Useless,
}

//! The ways in which a text fails to be a SPIFFE ID, one variant each.
//!
//! Promises: a caller can tell every rule of the SPIFFE ID standard apart by variant and by
//! [`SpiffeIdError::code`].
//! Refuses: to repeat the whole of a hostile text; at most one character or segment is shown.

/// Why a text is no SPIFFE ID, no trust domain or no subject. Clauses are of SPIFFE-ID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// No text at all.
    #[error("SPIFFE ID is empty")]
    Empty,
    /// A path segment without characters, as in `//` (2.2).
    #[error("path holds an empty segment (`//`)")]
    EmptySegment,
    /// No trust domain between `spiffe://` and the path (2.1).
    #[error("trust domain is empty")]
    EmptyTrustDomain,
    /// A `#` (2.4: no fragment).
    #[error("SPIFFE ID must not hold a fragment (`#`)")]
    Fragment,
    /// A trust domain that reads as an IPv4 address; stricter than the standard.
    #[error("trust domain must be a name, not an IP address")]
    IpAddress,
    /// A base identity without path (X509-SVID 2: a leaf names a workload).
    #[error("a subject needs a path after the trust domain")]
    NoPath,
    /// A character outside `a-z A-Z 0-9 . - _` in a segment (2.2).
    #[error("path character `{0}` is not one of `a-z A-Z 0-9 . - _`")]
    PathCharacter(char),
    /// A `%`: percent-encoding is not allowed anywhere (2.2).
    #[error("SPIFFE ID must not hold percent-encoding")]
    PercentEncoding,
    /// A port after the trust domain (2.1).
    #[error("trust domain must not hold a port")]
    Port,
    /// A `?` (2.4: no query).
    #[error("SPIFFE ID must not hold a query (`?`)")]
    Query,
    /// A segment of dots only: `.` and `..` by 2.2, longer ones by protem's stricter rule.
    #[error("path segment `{0}` is made of dots only")]
    RelativeSegment(String),
    /// `_` in the last segment, which protem reserves for folded elevated names.
    #[error("`_` in the last path segment is reserved for elevated identities")]
    ReservedFold,
    /// `scope` as the second-to-last segment, which protem reserves for elevated names.
    #[error("`scope` as the second-to-last path segment is reserved for elevated identities")]
    ReservedScope,
    /// Not `spiffe://` in lower case (2).
    #[error("SPIFFE ID must begin with `spiffe://` in lower case")]
    Scheme,
    /// More than 2,048 bytes (2.3).
    #[error("SPIFFE ID has {0} bytes, more than 2048")]
    TooLong(usize),
    /// A path that ends in `/` (2.2).
    #[error("path must not end in `/`")]
    TrailingSlash,
    /// A character outside `a-z 0-9 . -` in the trust domain (2.1, and no `_`: assurance S7).
    #[error("trust domain character `{0}` is not one of `a-z 0-9 . -`")]
    TrustDomainCharacter(char),
    /// A dot part of the trust domain that is no DNS label.
    #[error("trust domain part `{0}` is not a DNS label")]
    TrustDomainLabel(String),
    /// More than 255 bytes of trust domain (2.3).
    #[error("trust domain has {0} bytes, more than 255")]
    TrustDomainTooLong(usize),
    /// A `user@` before the trust domain (2.1).
    #[error("trust domain must not hold user information (`@`)")]
    UserInformation,
}

impl SpiffeIdError {
    /// A stable word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::EmptySegment => "empty_segment",
            Self::EmptyTrustDomain => "empty_trust_domain",
            Self::Fragment => "fragment",
            Self::IpAddress => "ip_address",
            Self::NoPath => "no_path",
            Self::PathCharacter(_) => "path_character",
            Self::PercentEncoding => "percent_encoding",
            Self::Port => "port",
            Self::Query => "query",
            Self::RelativeSegment(_) => "relative_segment",
            Self::ReservedFold => "reserved_fold",
            Self::ReservedScope => "reserved_scope",
            Self::Scheme => "scheme",
            Self::TooLong(_) => "too_long",
            Self::TrailingSlash => "trailing_slash",
            Self::TrustDomainCharacter(_) => "trust_domain_character",
            Self::TrustDomainLabel(_) => "trust_domain_label",
            Self::TrustDomainTooLong(_) => "trust_domain_too_long",
            Self::UserInformation => "user_information",
        }
    }
}

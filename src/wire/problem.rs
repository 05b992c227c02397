//! Problem documents (RFC 9457): how every refusal looks.
//!
//! Promises: `type` is a URN of a closed set, [`ProblemKind`], which parses back; `code` is a
//! stable word for programs, finer than the type; `detail` is written for the caller and `next`
//! says what to do about it.
//! Refuses: inner errors. What went wrong inside is in the server's log under the same `instance`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::wire::verdict::VerdictView;

/// What a problem is, for programs. Which status each has is decided in `api::problem`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemKind {
    /// The server's clock is in doubt, so nothing is minted.
    ClockInDoubt,
    /// The state of the thing does not allow the act, or another act came first.
    Conflict,
    /// Policy said no.
    Denied,
    /// The caller is known and may not do this.
    Forbidden,
    /// The request's head is larger than allowed.
    HeadTooLarge,
    /// Something broke inside.
    Internal,
    /// The request says its length wrongly or not at all.
    LengthRequired,
    /// Not HTTP, JSON or a query as it should be.
    Malformed,
    /// The resource has no such method.
    MethodNotAllowed,
    /// Minting was stopped by hand.
    MintingStopped,
    /// No answer of the wanted media type.
    NotAcceptable,
    /// No such thing, or none that this caller may see.
    NotFound,
    /// More requests than allowed.
    RateLimited,
    /// The request did not arrive in time.
    Timeout,
    /// The body is larger than allowed.
    TooLarge,
    /// Nobody, or a proof that does not hold.
    Unauthenticated,
    /// The server cannot record or answer now.
    Unavailable,
    /// Well-formed, and a value is wrong.
    Unprocessable,
    /// The body has a media type that is not read here.
    UnsupportedMediaType,
}

/// A problem document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProblemView {
    /// `urn:protem:problem:<word>`.
    #[serde(rename = "type")]
    #[schema(example = "urn:protem:problem:denied")]
    pub kind: String,
    /// What the type means; the same for every problem of the type.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this request.
    pub detail: String,
    /// What exactly, as a word for programs.
    pub code: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How long to wait before asking again, in seconds; also in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
    /// The request, as it stands in the server's log: `urn:protem:request:<hex>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The elevation that was denied; it is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevation: Option<String>,
    /// What policy answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictView>,
}

/// The text is no problem type of protem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("problem type is none of `urn:protem:problem:...`")]
pub struct UnknownProblem;

impl ProblemKind {
    /// Every kind, in the order of their words.
    pub const ALL: [Self; 19] = [
        Self::ClockInDoubt,
        Self::Conflict,
        Self::Denied,
        Self::Forbidden,
        Self::HeadTooLarge,
        Self::Internal,
        Self::LengthRequired,
        Self::Malformed,
        Self::MethodNotAllowed,
        Self::MintingStopped,
        Self::NotAcceptable,
        Self::NotFound,
        Self::RateLimited,
        Self::Timeout,
        Self::TooLarge,
        Self::Unauthenticated,
        Self::Unavailable,
        Self::Unprocessable,
        Self::UnsupportedMediaType,
    ];

    /// The last part of the URN.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ClockInDoubt => "clock-in-doubt",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Forbidden => "forbidden",
            Self::HeadTooLarge => "head-too-large",
            Self::Internal => "internal",
            Self::LengthRequired => "length-required",
            Self::Malformed => "malformed",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::MintingStopped => "minting-stopped",
            Self::NotAcceptable => "not-acceptable",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::Timeout => "timeout",
            Self::TooLarge => "too-large",
            Self::Unauthenticated => "unauthenticated",
            Self::Unavailable => "unavailable",
            Self::Unprocessable => "unprocessable",
            Self::UnsupportedMediaType => "unsupported-media-type",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{URN}{}", self.word())
    }
}

impl FromStr for ProblemKind {
    type Err = UnknownProblem;

    fn from_str(text: &str) -> Result<Self, UnknownProblem> {
        let word = text.strip_prefix(URN).ok_or(UnknownProblem)?;
        Self::ALL
            .into_iter()
            .find(|kind| kind.word() == word)
            .ok_or(UnknownProblem)
    }
}

/// The media type of a problem document (RFC 9457 3).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
/// The metadata of a gRPC status that carries the same document.
pub const PROBLEM_METADATA: &str = "protem-problem-bin";
const URN: &str = "urn:protem:problem:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_prints_and_parses_back() {
        for kind in ProblemKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        for text in [
            "",
            "denied",
            "urn:protem:problem:",
            "urn:protem:problem:Denied",
        ] {
            assert_eq!(text.parse::<ProblemKind>(), Err(UnknownProblem), "{text}");
        }
    }

    #[test]
    fn kinds_are_listed_once_and_in_order() {
        assert!(ProblemKind::ALL.is_sorted_by(|a, b| a.word() < b.word()));
    }
}

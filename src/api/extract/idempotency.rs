//! The idempotency key: what makes a repeated request find the first one's answer.
//!
//! Promises: at most 64 visible ASCII characters.
//! Refuses: an empty or second key.

use axum::extract::FromRequestParts;
use http::HeaderName;
use http::request::Parts;

use crate::api::problem::Problem;
use crate::wire::problem::ProblemKind;

/// The `Idempotency-Key` of a request, when it has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdempotencyKey(
    /// The key.
    pub Option<String>,
);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut lines = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let key = match (lines.next(), lines.next()) {
            (None, _) => return Ok(Self(None)),
            (Some(key), None) => key.to_str().unwrap_or_default(),
            (Some(_), Some(_)) => "",
        };
        let legal = |byte: u8| byte.is_ascii_graphic();
        if (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(legal) {
            return Ok(Self(Some(key.to_owned())));
        }
        let detail = format!("`Idempotency-Key` is 1 to {KEY_BYTES_MAX} visible ASCII characters");
        Err(Problem::new(
            ProblemKind::Malformed,
            "idempotency_key",
            detail,
        ))
    }
}

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const KEY_BYTES_MAX: usize = 64;

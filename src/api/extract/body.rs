//! A body within its bounds.
//!
//! Promises: at most `BYTES_MAX` bytes in at most [`READ_MAX`]; what is said to be larger is
//! refused before a byte is read.
//! Refuses: compressed bodies: unpacking them would undo the bound (assurance H6).

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::api::extract::media::{MediaType, media_type};
use crate::api::problem::Problem;
use crate::wire::problem::ProblemKind;

/// A body as it came, with its media type.
#[derive(Clone, Debug)]
pub struct Raw<const BYTES_MAX: usize = BODY_BYTES_MAX> {
    /// What the body is said to be.
    pub media_type: MediaType,
    /// The body.
    pub bytes: Bytes,
}

impl<S: Sync, const BYTES_MAX: usize> FromRequest<S> for Raw<BYTES_MAX> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let media_type = media_type(request.headers())?;
        uncompressed(request.headers())?;
        small(request.headers(), BYTES_MAX)?;
        let bytes = read(request.into_body(), BYTES_MAX).await?;
        Ok(Self { media_type, bytes })
    }
}

fn uncompressed(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Ok(()),
        Some(_) => Err(Problem::new(
            ProblemKind::UnsupportedMediaType,
            "content_encoding",
            "compressed bodies are not read",
        )
        .with_next("send the body as it is")),
    }
}

fn small(headers: &HeaderMap, bytes_max: usize) -> Result<(), Problem> {
    let stated = headers.get(CONTENT_LENGTH).and_then(|length| {
        let length = length.to_str().ok()?;
        length.parse::<usize>().ok()
    });
    match stated {
        Some(bytes) if bytes_max < bytes => Err(too_large(bytes_max)),
        Some(_) | None => Ok(()),
    }
}

/// A body of at most so many bytes, in at most [`READ_MAX`].
pub(crate) async fn read(body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let collected = timeout(READ_MAX, Limited::new(body, bytes_max).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(bytes_max)),
        Ok(Err(_)) => Err(Problem::new(
            ProblemKind::Malformed,
            "body_broken",
            "the body broke off",
        )),
        Err(_) => Err(Problem::new(
            ProblemKind::Timeout,
            "body_slow",
            format!("the body did not arrive within {} s", READ_MAX.as_secs()),
        )),
    }
}

fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("the body has more than {bytes_max} bytes");
    Problem::new(ProblemKind::TooLarge, "body_too_large", detail)
}

/// The largest body unless an endpoint says otherwise.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// The longest that a body may take to arrive.
const READ_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_in_is_given_up() {
        let never = Body::new(http_body_util::StreamBody::new(
            futures_util::stream::pending::<Result<http_body::Frame<Bytes>, std::io::Error>>(),
        ));
        assert_eq!(read(never, 9).await.unwrap_err().code(), "body_slow");
    }

    #[tokio::test]
    async fn a_body_without_stated_length_is_bounded_all_the_same() {
        assert_eq!(read(Body::from("0123456789"), 10).await.unwrap().len(), 10);
        let problem = read(Body::from("0123456789x"), 10).await.unwrap_err();
        assert_eq!(problem.kind(), ProblemKind::TooLarge);
    }

    #[test]
    fn a_body_that_says_it_is_too_large_or_packed_is_not_read() {
        let headers =
            |name, value: &'static str| HeaderMap::from_iter([(name, value.parse().unwrap())]);
        assert!(small(&headers(CONTENT_LENGTH, "11"), 10).is_err());
        assert!(small(&headers(CONTENT_LENGTH, "10"), 10).is_ok());
        assert!(uncompressed(&headers(CONTENT_ENCODING, "gzip")).is_err());
        assert!(uncompressed(&headers(CONTENT_ENCODING, "Identity")).is_ok());
    }
}

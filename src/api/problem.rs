//! Problems as answers: the one place where a status of HTTP or gRPC is chosen.
//!
//! Promises: every refusal is an RFC 9457 document with a closed type, a stable code, words for the
//! caller and, where there is something to do, what to do next.
//! Refuses: to show what broke inside: an internal error is logged under the request's id, and the
//! caller is told the id.

mod grpc;
mod service;

use std::error::Error;
use std::fmt::Write as _;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::id::ElevationId;
use crate::time::Seconds;
use crate::wire::problem::{PROBLEM_MEDIA_TYPE, ProblemKind, ProblemView};
use crate::wire::verdict::VerdictView;

pub(crate) use crate::api::problem::service::field;

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: ProblemKind,
    code: &'static str,
    detail: String,
    next: Option<&'static str>,
    retry_after: Option<Seconds>,
    denial: Option<Box<Denied>>,
    inner: Option<String>,
}

#[derive(Clone, Debug)]
struct Denied {
    elevation: Option<ElevationId>,
    verdict: VerdictView,
}

impl Problem {
    /// A problem in words written for the caller; `code` is a stable word for programs.
    pub fn new(kind: ProblemKind, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            detail: detail.into(),
            next: None,
            retry_after: None,
            denial: None,
            inner: None,
        }
    }

    /// A problem whose words are an error's, with its sources.
    pub fn of(kind: ProblemKind, code: &'static str, error: &dyn Error) -> Self {
        Self::new(kind, code, chain(error))
    }

    /// What broke inside: its words go to the log, the caller is only told that it happened.
    pub fn internal(error: &dyn Error) -> Self {
        Self {
            inner: Some(chain(error)),
            ..Self::new(
                ProblemKind::Internal,
                "internal",
                "the server failed; the request may or may not have been carried out",
            )
            .with_next("ask again with the same idempotency key, or tell the operator the instance")
        }
    }

    /// As [`Self::internal`], for a part that is away for now and that the caller should await.
    pub fn unavailable(code: &'static str, error: &dyn Error) -> Self {
        Self {
            inner: Some(chain(error)),
            ..Self::new(
                ProblemKind::Unavailable,
                code,
                "the server cannot do this now",
            )
            .with_next("ask again in a few seconds")
        }
    }

    /// The same problem, telling what to do next.
    #[must_use]
    pub fn with_next(self, next: &'static str) -> Self {
        Self {
            next: Some(next),
            ..self
        }
    }

    /// The same problem, telling how long to wait before the next attempt (RFC 9110 10.2.3).
    #[must_use]
    pub fn with_retry_after(self, wait: Seconds) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// The same problem, telling what policy answered and which elevation records it.
    #[must_use]
    pub fn with_verdict(self, verdict: VerdictView, elevation: Option<ElevationId>) -> Self {
        Self {
            denial: Some(Box::new(Denied { elevation, verdict })),
            ..self
        }
    }

    /// The status that says so over HTTP.
    pub(crate) fn status(&self) -> StatusCode {
        status(self.kind)
    }

    /// What kind it is.
    pub fn kind(&self) -> ProblemKind {
        self.kind
    }

    /// What exactly, as a stable word.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What broke inside, for the log alone.
    pub(crate) fn inner(&self) -> Option<&str> {
        self.inner.as_deref()
    }

    /// What the caller is told, for the request of this id.
    pub(crate) fn view(&self, request: Option<&str>) -> ProblemView {
        let denial = self.denial.as_deref();
        ProblemView {
            kind: self.kind.to_string(),
            title: title(self.kind).to_owned(),
            status: status(self.kind).as_u16(),
            detail: self.detail.clone(),
            code: self.code.to_owned(),
            next: self.next.map(str::to_owned),
            retry_after_s: self.retry_after.map(Seconds::count),
            instance: request.map(|id| format!("urn:protem:request:{id}")),
            elevation: denial.and_then(|denial| Some(denial.elevation?.to_string())),
            verdict: denial.map(|denial| denial.verdict.clone()),
        }
    }

    /// The document for the request of this id.
    pub(crate) fn document(&self, request: Option<&str>) -> Response {
        let view = self.view(request);
        // Texts and numbers always serialize; an empty body would still carry the status.
        let body = serde_json::to_vec(&view).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status(self.kind);
        let media_type = HeaderValue::from_static(PROBLEM_MEDIA_TYPE);
        response.headers_mut().insert(CONTENT_TYPE, media_type);
        if self.kind == ProblemKind::Unauthenticated {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        if let Some(wait) = self.retry_after {
            let wait = HeaderValue::from(wait.count());
            response.headers_mut().insert(RETRY_AFTER, wait);
        }
        response
    }
}

/// The document without a request id; [`crate::api::request`] writes it again with one.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.document(None);
        response.extensions_mut().insert(self);
        response
    }
}

/// The status of each kind; chosen here and nowhere else.
const fn status(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::ClockInDoubt | ProblemKind::MintingStopped | ProblemKind::Unavailable => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        ProblemKind::Conflict => StatusCode::CONFLICT,
        ProblemKind::Denied | ProblemKind::Forbidden => StatusCode::FORBIDDEN,
        ProblemKind::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        ProblemKind::LengthRequired => StatusCode::LENGTH_REQUIRED,
        ProblemKind::Malformed => StatusCode::BAD_REQUEST,
        ProblemKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ProblemKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ProblemKind::Timeout => StatusCode::REQUEST_TIMEOUT,
        ProblemKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ProblemKind::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
    }
}

const fn title(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::ClockInDoubt => "The server's clock is in doubt",
        ProblemKind::Conflict => "The state does not allow it",
        ProblemKind::Denied => "Policy denies it",
        ProblemKind::Forbidden => "The caller may not do this",
        ProblemKind::HeadTooLarge => "The request's head is too large",
        ProblemKind::Internal => "The server failed",
        ProblemKind::LengthRequired => "The request does not say its length",
        ProblemKind::Malformed => "The request cannot be read",
        ProblemKind::MethodNotAllowed => "The resource has no such method",
        ProblemKind::MintingStopped => "Minting is stopped",
        ProblemKind::NotAcceptable => "No answer of the wanted media type",
        ProblemKind::NotFound => "There is no such thing",
        ProblemKind::RateLimited => "Too many requests",
        ProblemKind::Timeout => "The request did not arrive in time",
        ProblemKind::TooLarge => "The request is too large",
        ProblemKind::Unauthenticated => "The caller is not proved",
        ProblemKind::Unavailable => "The server cannot answer now",
        ProblemKind::Unprocessable => "A value is wrong",
        ProblemKind::UnsupportedMediaType => "The body's media type is not read here",
    }
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a String does not fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn view(response: Response) -> ProblemView {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn every_kind_is_a_document_of_its_own_type_and_an_error_status() {
        for kind in ProblemKind::ALL {
            let response = Problem::new(kind, "a_code", "words").into_response();
            assert_eq!(response.headers()[CONTENT_TYPE], PROBLEM_MEDIA_TYPE);
            let status = response.status();
            assert!(status.is_client_error() || status.is_server_error());
            let view = view(response).await;
            assert_eq!(view.kind.parse(), Ok(kind));
            assert_eq!(view.status, status.as_u16());
            assert_eq!(view.code, "a_code");
        }
    }

    #[tokio::test]
    async fn what_broke_inside_is_for_the_log_alone() {
        let error = std::io::Error::other("table `votes` is gone");
        let problem = Problem::internal(&error);
        assert_eq!(problem.inner(), Some("table `votes` is gone"));
        let view = view(problem.document(Some("00ff"))).await;
        assert!(!view.detail.contains("votes"));
        assert_eq!(view.instance.as_deref(), Some("urn:protem:request:00ff"));
    }
}

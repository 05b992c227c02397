//! What happens to every request, whatever it asks.
//!
//! Promises: a request has an id, which stands in its answer, its problem and its one log line; an
//! act that has begun is carried to its end though its caller hangs up, so that nothing stays half
//! recorded; an answer is never cached.
//! Refuses: a peer whose certificate has ended, whoever came beyond the limits and is no operator,
//! a request without exactly one host (assurance H3), a head with a fault ([`HeadFault`]), and a
//! request body without a stated length (H2: no chunks, so no two readings of one body).

mod drain;

use std::fmt;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONNECTION, HOST, TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{HeaderName, HeaderValue, Method, Version};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::Instrument as _;

use crate::api::extract::names_operator;
use crate::api::grpc::is_grpc;
use crate::api::listener::head::HeadFault;
use crate::api::listener::limits::COME_BACK;
use crate::api::listener::strict::REFUSED_HEAD;
use crate::api::listener::{Lane, Peer};
use crate::api::problem::Problem;
use crate::api::request::drain::Shared;
use crate::api::traffic::Traffic;
use crate::id::entropy::Entropy;
use crate::id::hex;
use crate::time::Clock;
use crate::wire::problem::{ProblemKind, ProblemView};

/// What the passage of a request needs.
#[derive(Clone)]
pub struct Passage {
    /// Tells whether the peer is still current, and how long a request took.
    pub clock: Arc<dyn Clock>,
    /// Makes the ids of requests.
    pub entropy: Arc<Entropy>,
    /// Where acts are carried to their end.
    pub tracker: TaskTracker,
    /// Counts what is answered.
    pub traffic: Traffic,
}

/// What is learnt on the way and belongs into the log line; an extension of every request.
#[derive(Clone, Debug)]
pub struct Noted(Arc<Notes>);

#[derive(Debug, Default)]
struct Notes {
    id: String,
    caller: OnceLock<String>,
    event: OnceLock<u64>,
    serial: OnceLock<String>,
    refusal: OnceLock<Problem>,
}

impl Passage {
    /// The same routes, each behind the passage; unknown paths and methods are problems too.
    pub fn before(self, routes: Router) -> Router {
        routes
            .fallback(unknown_path)
            .method_not_allowed_fallback(unknown_method)
            .layer(from_fn_with_state(self, pass))
    }
}

impl Noted {
    /// Notes who asks, as the ledger names him; the first note stays.
    pub fn caller(&self, caller: &dyn fmt::Display) {
        let _ = self.0.caller.set(caller.to_string());
    }

    /// Notes the event that recorded the act.
    pub fn event(&self, number: u64) {
        let _ = self.0.event.set(number);
    }

    /// Notes the serial number that was minted, in hex.
    pub fn serial(&self, serial: &str) {
        let _ = self.0.serial.set(serial.to_owned());
    }
}

impl Noted {
    /// Notes why the request is refused, where the answer itself cannot say so yet.
    pub(crate) fn refusal(&self, problem: Problem) {
        let _ = self.0.refusal.set(problem);
    }

    /// What the caller is told of a problem that is a part of an answer; what broke inside is
    /// logged under the request's id.
    pub fn problem(&self, problem: &Problem) -> ProblemView {
        let id = self.0.id.as_str();
        if let Some(inner) = problem.inner() {
            tracing::error!(id, error = inner, "request failed inside");
        }
        problem.view(Some(id))
    }
}

impl fmt::Debug for Passage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passage")
    }
}

async fn pass(State(passage): State<Passage>, mut request: Request, next: Next) -> Response {
    let begun_ms = passage.clock.read().boot_ms;
    let id = hex::text(&passage.entropy.bytes::<16>());
    let span = tracing::info_span!("request", id);
    let noted = Noted(Arc::new(Notes {
        id: id.clone(),
        ..Notes::default()
    }));
    request.extensions_mut().insert(noted.clone());
    let method = request.method().clone();
    let form = Form::of(&request);
    let path = request.extensions().get::<MatchedPath>().cloned();
    let (parts, body) = request.into_parts();
    let body = Shared::new(body);
    let request = Request::from_parts(parts, Body::new(body.clone()));

    let response = match admit(&passage, &request) {
        Err(problem) => problem.into_response(),
        Ok(()) => {
            carry(
                &passage.tracker,
                &method,
                next.run(request).instrument(span),
            )
            .await
        }
    };
    let refusal = noted.0.refusal.get().cloned();
    if response.status().is_client_error() || refusal.is_some() {
        body.drain().await;
    }
    let (response, problem) = finish(response, refusal, &id, form);

    let took_ms = passage.clock.read().boot_ms.saturating_sub(begun_ms);
    let notes = &noted.0;
    // Of gRPC the answer's own status is always 200.
    let status = problem
        .as_ref()
        .map_or_else(|| response.status(), Problem::status);
    let status = status.as_u16();
    let kind = problem.as_ref().map(Problem::kind);
    passage.traffic.answered(status, kind);
    if let Some(inner) = problem.as_ref().and_then(Problem::inner) {
        tracing::error!(id, error = inner, "request failed inside");
    }
    tracing::info!(
        id,
        method = %method,
        path = path.as_ref().map_or("(unknown)", MatchedPath::as_str),
        status,
        code = problem.as_ref().map(Problem::code),
        caller = notes.caller.get(),
        event = notes.event.get(),
        serial = notes.serial.get(),
        took_ms,
        "request answered"
    );
    response
}

/// Runs the handler on the tracker. Where the caller hangs up, a reading request ends with him; an
/// act goes on: stopped between its record and its signature it would wait for the next start.
async fn carry(
    tracker: &TaskTracker,
    method: &Method,
    handler: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let task = tracker.spawn(handler);
    let ended = if method.is_safe() {
        AbortOnDropHandle::new(task).await
    } else {
        task.await
    };
    ended.unwrap_or_else(|error| Problem::internal(&error).into_response())
}

fn admit(passage: &Passage, request: &Request) -> Result<(), Problem> {
    if let Some(word) = request.headers().get(REFUSED_HEAD) {
        return Err(refused_head(HeadFault::of(word.as_bytes())));
    }
    let peer = request.extensions().get::<Peer>();
    if !peer.is_none_or(|peer| peer.is_current(passage.clock.now())) {
        return Err(Problem::new(
            ProblemKind::Unauthenticated,
            "certificate_ended",
            "the certificate of this connection has ended",
        )
        .with_next("obtain a new SVID and open a new connection with it"));
    }
    if peer.is_some_and(|peer| peer.lane == Lane::Reserve) && !names_operator(request.headers()) {
        return Err(Problem::new(
            ProblemKind::Unavailable,
            "connections",
            "too many connections are open, from your address or in all",
        )
        .with_retry_after(COME_BACK)
        .with_next("close connections that you do not use, or come back later"));
    }
    if request.headers().contains_key(TRANSFER_ENCODING) {
        return Err(refused_head(Some(HeadFault::Chunked)));
    }
    one_host(request)
}

/// Why a head was not read; without a fault it is somebody's who only says so.
fn refused_head(fault: Option<HeadFault>) -> Problem {
    let fault = fault.unwrap_or(HeadFault::Header);
    let (code, detail) = (fault.word(), fault.to_string());
    match fault {
        HeadFault::Chunked => Problem::new(ProblemKind::LengthRequired, code, detail)
            .with_next("send `Content-Length` and no `Transfer-Encoding`"),
        HeadFault::TooLarge | HeadFault::TooMany => {
            Problem::new(ProblemKind::HeadTooLarge, code, detail)
        }
        HeadFault::Header
        | HeadFault::Length
        | HeadFault::LineEnd
        | HeadFault::RequestLine
        | HeadFault::Target
        | HeadFault::TwoLengths
        | HeadFault::Version => Problem::new(ProblemKind::Malformed, code, detail),
    }
}

/// Exactly one host (RFC 9112 3.2): in the target, in `Host`, or the same in both.
fn one_host(request: &Request) -> Result<(), Problem> {
    let wrong = |code, detail: &str| Problem::new(ProblemKind::Malformed, code, detail);
    let target = request.uri().authority();
    let mut headers = request.headers().get_all(HOST).iter();
    let header = match (headers.next(), headers.next()) {
        (None, _) => None,
        (Some(host), None) => Some(
            Authority::try_from(host.as_bytes())
                .map_err(|_| wrong("host_invalid", "the `Host` header names no host"))?,
        ),
        (Some(_), Some(_)) => {
            return Err(wrong("host_twice", "there is more than one `Host` header"));
        }
    };
    let host = match (target, &header) {
        (None, None) => return Err(wrong("host_missing", "the request names no host")),
        (Some(target), Some(header)) if target != header => {
            return Err(wrong(
                "host_differs",
                "the `Host` header and the request's target name two hosts",
            ));
        }
        (Some(host), _) | (None, Some(host)) => host,
    };
    if host.as_str().contains('@') || host.host().is_empty() {
        return Err(wrong("host_invalid", "the request's host is none"));
    }
    Ok(())
}

/// How an answer must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As gRPC over HTTP/2.
    Grpc,
    /// As HTTP/1.1.
    Http1,
    /// As HTTP/2.
    Http2,
}

impl Form {
    fn of(request: &Request) -> Self {
        if request.version() < Version::HTTP_2 {
            Self::Http1
        } else if is_grpc(request.headers()) {
            Self::Grpc
        } else {
            Self::Http2
        }
    }
}

/// The answer with its headers, and the problem that it is.
fn finish(
    mut response: Response,
    refusal: Option<Problem>,
    id: &str,
    form: Form,
) -> (Response, Option<Problem>) {
    let problem = response.extensions_mut().remove::<Problem>().or(refusal);
    if let Some(problem) = &problem {
        response = match form {
            Form::Grpc => problem.grpc(Some(id)).into_http(),
            Form::Http1 | Form::Http2 => problem.document(Some(id)),
        };
        if form == Form::Http1 && ends_connection(problem) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
    }
    let headers = response.headers_mut();
    let never = HeaderValue::from_static("no-store");
    headers.entry(CACHE_CONTROL).or_insert(never);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    (response, problem)
}

/// Whether nothing more can be expected of an HTTP/1.1 connection after the problem.
fn ends_connection(problem: &Problem) -> bool {
    matches!(problem.code(), "certificate_ended" | "connections")
        || matches!(
            problem.kind(),
            ProblemKind::LengthRequired | ProblemKind::TooLarge | ProblemKind::Timeout
        )
}

async fn unknown_path() -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "path_unknown",
        "there is no such path",
    )
    .with_next("see `/v1/openapi.json` for every path")
}

async fn unknown_method() -> Problem {
    Problem::new(
        ProblemKind::MethodNotAllowed,
        "method_unknown",
        "this path has no such method",
    )
    .with_next("see `/v1/openapi.json` for the methods of every path")
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

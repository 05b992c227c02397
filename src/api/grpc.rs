//! gRPC: the services that are not REST, on the same listener and behind the same passage.
//!
//! Promises: callers are proved, refused and logged as over REST, and refusals carry the same
//! document. A request is small and arrives in time, though it does not say its length.
//! Refuses: HTTP/1.1, which has no place for how a stream ended; requests in pieces and compressed
//! ones.

mod agents;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post_service;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Version};

use crate::api::extract::read;
use crate::api::grpc::agents::AgentsDesk;
use crate::api::problem::Problem;
use crate::proto::agent::agents_server::AgentsServer;
use crate::service::Service;
use crate::wire::problem::ProblemKind;

/// Every service.
pub(crate) fn routes(service: Arc<Service>) -> Router {
    let agents = AgentsServer::new(AgentsDesk::new(service));
    Router::new()
        .route("/protem.agent.v1.Agents/Watch", post_service(agents))
        .layer(from_fn(whole))
}

/// Whether a request is one of gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE);
    media_type.is_some_and(|text| text.as_bytes().starts_with(MEDIA_TYPE))
}

/// Lets a request pass whose body is whole.
async fn whole(request: Request, next: Next) -> Response {
    if request.version() < Version::HTTP_2 {
        let detail = "this service is reached over HTTP/2 alone";
        return Problem::new(ProblemKind::Malformed, "http_2_only", detail).into_response();
    }
    if !is_grpc(request.headers()) {
        let kind = ProblemKind::UnsupportedMediaType;
        let detail = "this is a service of gRPC: send `application/grpc`";
        return Problem::new(kind, "content_type", detail).into_response();
    }
    let (parts, body) = request.into_parts();
    match read(body, REQUEST_BYTES_MAX).await {
        Ok(bytes) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Err(problem) => problem.into_response(),
    }
}

const MEDIA_TYPE: &[u8] = b"application/grpc";
/// The largest request with its frame, in bytes.
const REQUEST_BYTES_MAX: usize = 1_024;

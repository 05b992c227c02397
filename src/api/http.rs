//! REST `/v1`: the table of contents. One endpoint, one file.
//!
//! Promises: every path of `openapi.json`, and no other but those of [`crate::api::grpc`]; a
//! handler extracts, converts, calls and converts; only the bundle, health and the document itself
//! are open to strangers.
//! Refuses: everything that [`crate::api::request`] and [`crate::api::extract`] refuse.

mod bundle;
mod clock;
mod elevation;
mod entry;
mod event;
mod minting;
mod openapi;
mod page;
mod policy;
mod revocation;
mod svid;
mod token;
mod uses;
mod verdict;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::api::grpc;
use crate::api::health::Probes;
pub use crate::api::http::openapi::document;
pub(crate) use crate::api::http::verdict::outlook;
use crate::api::request::Passage;
use crate::service::Service;

/// The API door: every endpoint, the services of gRPC and health, behind the passage.
pub fn router(service: Arc<Service>, probes: &Probes, passage: Passage) -> Router {
    let rest = endpoints().with_state(Arc::clone(&service));
    passage.before(rest.merge(grpc::routes(service)).merge(probes.health()))
}

/// The door of health and metrics, for a listener of its own.
pub fn health_router(probes: &Probes, passage: Passage) -> Router {
    passage.before(probes.health_and_metrics())
}

fn endpoints() -> Router<Arc<Service>> {
    Router::new()
        .route("/v1/svids", post(svid::mint::answer))
        .route("/v1/svids/batch", post(svid::batch::answer))
        .route(
            "/v1/elevations",
            post(elevation::open::answer).get(elevation::list::answer),
        )
        .route("/v1/elevations/{id}", get(elevation::read::answer))
        .route("/v1/elevations/{id}/wait", get(elevation::wait::answer))
        .route(
            "/v1/elevations/{id}/cancel",
            post(elevation::cancel::answer),
        )
        .route(
            "/v1/elevations/{id}/revoke",
            post(elevation::revoke::answer),
        )
        .route("/v1/revocations", post(revocation::answer))
        .route("/v1/minting", get(minting::read::answer))
        .route("/v1/minting/release", post(minting::release::answer))
        .route("/v1/clock/accept", post(clock::answer))
        .route(
            "/v1/entries",
            get(entry::list::answer).put(entry::put::answer),
        )
        .route(
            "/v1/entries/{id}",
            get(entry::read::answer).delete(entry::remove::answer),
        )
        .route(
            "/v1/tokens",
            get(token::list::answer).post(token::make::answer),
        )
        .route("/v1/tokens/{id}", delete(token::remove::answer))
        .route("/v1/uses", post(uses::answer))
        .route("/v1/bundle", get(bundle::answer))
        .route("/v1/events", get(event::list::answer))
        .route("/v1/events/{number}", get(event::read::answer))
        .route(
            "/v1/policy",
            get(policy::read::answer).post(policy::activate::answer),
        )
        .route("/v1/policy/files", get(policy::files::answer))
        .route("/v1/policy/explain", post(policy::explain::answer))
        .route("/v1/openapi.json", get(openapi::answer))
}

//! Health and metrics, for the machine that protem runs on.
//!
//! Promises: `/livez` says that the process answers, `/readyz` that it can do its work and, if not,
//! why; `/metrics` is text in the format of `OpenMetrics`.
//! Refuses: everything else; no secret, subject or scope appears here (assurance H15).

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::future::BoxFuture;
use http::StatusCode;
use http::header::CONTENT_TYPE;

/// Answers what the probes ask.
#[derive(Clone)]
pub struct Probes {
    /// Why the server cannot do its work now, one line each; empty when it can.
    pub unready: Arc<dyn Fn() -> BoxFuture<'static, Vec<String>> + Send + Sync>,
    /// Every metric as text in the format of `OpenMetrics`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl Probes {
    /// `/livez` and `/readyz`, for the API door.
    pub fn health(&self) -> Router {
        let unready = Arc::clone(&self.unready);
        let ready = async move || readiness(&unready().await);
        Router::new()
            .route("/livez", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
    }

    /// `/livez`, `/readyz` and `/metrics`, for a door of their own.
    pub fn health_and_metrics(&self) -> Router {
        let metrics = Arc::clone(&self.metrics);
        let read = async move || ([(CONTENT_TYPE, OPEN_METRICS)], metrics());
        self.health().route("/metrics", get(read))
    }
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probes")
    }
}

fn readiness(unready: &[String]) -> Response {
    if unready.is_empty() {
        return "ok\n".into_response();
    }
    let reasons = unready.join("\n") + "\n";
    (StatusCode::SERVICE_UNAVAILABLE, reasons).into_response()
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

//! `GET /v1/bundle`: the trust bundle.
//!
//! Promises: open to strangers: it holds public certificates only, and who verifies needs them
//! before he has anything to show.
//! Refuses: formats other than JWKS and PEM.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;

use crate::api::extract::{Accept, MediaType, Query};
use crate::api::problem::Problem;
use crate::service::Service;
use crate::wire::bundle::{BundleQuery, BundleView};
use crate::wire::problem::{ProblemKind, ProblemView};

/// The trust bundle: SPIFFE JWKS, or PEM.
#[utoipa::path(
    get, path = "/v1/bundle", operation_id = "readBundle", tag = "bundle",
    params(BundleQuery),
    security(()),
    responses(
        (status = 200, description = "the roots", content(
            (BundleView = "application/json"),
            (String = "application/x-pem-file"),
        )),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    accept: Accept,
    Query(query): Query<BundleQuery>,
) -> Result<Response, Problem> {
    let bundle = service.trust_bundle();
    let (media_type, body) = match format(&query, &accept)? {
        MediaType::PemFile => (MediaType::PemFile, bundle.to_pem()),
        MediaType::Json | MediaType::Ndjson | MediaType::PemChain | MediaType::Pkcs10 => {
            let jwks = bundle.to_jwks();
            (
                MediaType::Json,
                jwks.map_err(|error| Problem::internal(&error))?,
            )
        }
    };
    Ok(([(CONTENT_TYPE, media_type.as_str())], body).into_response())
}

fn format(query: &BundleQuery, accept: &Accept) -> Result<MediaType, Problem> {
    match query.format.as_deref() {
        None => accept.choose(&[MediaType::Json, MediaType::PemFile]),
        Some("jwks") => Ok(MediaType::Json),
        Some("pem") => Ok(MediaType::PemFile),
        Some(_) => Err(Problem::new(
            ProblemKind::Unprocessable,
            "field",
            "`format`: must be `jwks` or `pem`",
        )),
    }
}

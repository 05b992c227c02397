//! `POST /v1/policy`: puts a bundle into force.
//!
//! Promises: checked whole before anything changes; a broken bundle is refused with every fault and
//! the old one stays.
//! Refuses: bundles above 1 MiB.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::api::extract::{Json, Known};
use crate::api::problem::Problem;
use crate::policy::BundleSource;
use crate::service::{Service, ServiceError};
use crate::wire::policy::{PolicyActivated, PolicyRequest};
use crate::wire::problem::ProblemView;

/// Puts a policy bundle into force.
#[utoipa::path(
    post, path = "/v1/policy", operation_id = "activatePolicy", tag = "policy",
    request_body = PolicyRequest,
    responses(
        (status = 201, body = PolicyActivated, description = "in force"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused; the old bundle stays"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Json(body): Json<PolicyRequest, POLICY_BYTES_MAX>,
) -> Result<(StatusCode, axum::Json<PolicyActivated>), Problem> {
    let source = BundleSource::collect(body.files).map_err(ServiceError::Policy)?;
    let policy = service.activate_policy(&call, &source).await?;
    let warnings = policy.bundle.warnings();
    let activated = PolicyActivated {
        version: policy.version.value(),
        digest: policy.bundle.digest().to_string(),
        warnings: warnings.map(ToString::to_string).collect(),
    };
    Ok((StatusCode::CREATED, axum::Json(activated)))
}

/// The largest upload, in bytes of JSON.
const POLICY_BYTES_MAX: usize = 1024 * 1024;

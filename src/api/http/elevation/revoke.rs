//! `POST /v1/elevations/{id}/revoke`: ends an elevation at once.
//!
//! Promises: from the answer on nothing is minted from it.
//! Refuses: callers that policy does not let.

use std::sync::Arc;

use axum::extract::State;

use crate::api::extract::{Json, Known, Segment};
use crate::api::http::elevation::view;
use crate::api::problem::Problem;
use crate::id::ElevationId;
use crate::service::Service;
use crate::wire::elevation::{ElevationView, ReasonRequest};
use crate::wire::problem::ProblemView;

/// Ends an elevation at once; its own subject gives it back.
#[utoipa::path(
    post, path = "/v1/elevations/{id}/revoke", operation_id = "revokeElevation",
    tag = "elevations",
    params(("id" = String, Path, description = "the elevation's id")),
    request_body = ReasonRequest,
    responses(
        (status = 200, body = ElevationView, description = "ended"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Segment(id): Segment<ElevationId>,
    Json(body): Json<ReasonRequest>,
) -> Result<axum::Json<ElevationView>, Problem> {
    let row = service.revoke(&call, id, &body.reason).await?;
    Ok(axum::Json(view(&row)))
}

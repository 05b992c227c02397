//! `GET /v1/elevations/{id}`: one elevation.
//!
//! Promises: as it stands now.
//! Refuses: to tell a stranger that it exists.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::{Known, Segment};
use crate::api::http::elevation::view;
use crate::api::problem::Problem;
use crate::id::ElevationId;
use crate::service::Service;
use crate::wire::elevation::ElevationView;
use crate::wire::problem::ProblemView;

/// One elevation as it stands.
#[utoipa::path(
    get, path = "/v1/elevations/{id}", operation_id = "readElevation", tag = "elevations",
    params(("id" = String, Path, description = "the elevation's id")),
    responses(
        (status = 200, body = ElevationView, description = "as it stands"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Segment(id): Segment<ElevationId>,
) -> Result<Json<ElevationView>, Problem> {
    let row = service.elevation(&call, id).await?;
    Ok(Json(view(&row)))
}

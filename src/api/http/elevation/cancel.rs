//! `POST /v1/elevations/{id}/cancel`: takes a request back.
//!
//! Promises: before activation, by who asked.
//! Refuses: everybody else.

use std::sync::Arc;

use axum::extract::State;

use crate::api::extract::{Json, Known, Segment};
use crate::api::http::elevation::view;
use crate::api::problem::Problem;
use crate::id::ElevationId;
use crate::service::Service;
use crate::wire::elevation::{CancelRequest, ElevationView};
use crate::wire::problem::ProblemView;

/// Takes a request back before it was activated.
#[utoipa::path(
    post, path = "/v1/elevations/{id}/cancel", operation_id = "cancelElevation",
    tag = "elevations",
    params(("id" = String, Path, description = "the elevation's id")),
    request_body = CancelRequest,
    responses(
        (status = 200, body = ElevationView, description = "cancelled"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Segment(id): Segment<ElevationId>,
    Json(CancelRequest {}): Json<CancelRequest>,
) -> Result<axum::Json<ElevationView>, Problem> {
    let row = service.cancel(&call, id).await?;
    Ok(axum::Json(view(&row)))
}

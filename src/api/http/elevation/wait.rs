//! `GET /v1/elevations/{id}/wait`: one elevation, once it has moved.
//!
//! Promises: answers as soon as the state is another one than the caller knows, or at the timeout;
//! never later than [`WAIT_MAX`].
//! Refuses: to hold what the caller may not read, and more waits than he may have.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tokio::time::timeout;

use crate::api::extract::{Known, Query, Segment, optional};
use crate::api::http::elevation::view;
use crate::api::problem::Problem;
use crate::elevation::StateName;
use crate::id::ElevationId;
use crate::service::{Call, Service, ServiceError};
use crate::store::ElevationRow;
use crate::time::Seconds;
use crate::wire::elevation::{ElevationView, WaitQuery};
use crate::wire::problem::ProblemView;

/// One elevation, once its state differs from the one that the caller knows.
#[utoipa::path(
    get, path = "/v1/elevations/{id}/wait", operation_id = "awaitElevation", tag = "elevations",
    params(("id" = String, Path, description = "the elevation's id"), WaitQuery),
    responses(
        (status = 200, body = ElevationView, description = "as it stands: moved, or unmoved at \
            the timeout"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Segment(id): Segment<ElevationId>,
    Query(query): Query<WaitQuery>,
) -> Result<Json<ElevationView>, Problem> {
    let max = optional("timeout", query.timeout.as_deref())?.unwrap_or(WAIT_DEFAULT);
    let known = optional("state", query.state.as_deref())?;
    let row = moved(&service, &call, id, known, max.min(WAIT_MAX)).await?;
    Ok(Json(view(&row)))
}

async fn moved(
    service: &Service,
    call: &Call,
    id: ElevationId,
    known: Option<StateName>,
    max: Seconds,
) -> Result<ElevationRow, ServiceError> {
    // Begun before the first look, so that no move falls between look and wait.
    let mut wait = service.begin_wait(call, id)?;
    let mut row = service.elevation(call, id).await?;
    let known = known.unwrap_or_else(|| row.elevation.state.name());
    let waiting = async {
        while row.elevation.state.name() == known {
            wait.moved().await;
            row = service.elevation(call, id).await?;
        }
        Ok(())
    };
    match timeout(max.duration(), waiting).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok(row),
    }
}

const WAIT_DEFAULT: Seconds = Seconds::new(30);
/// The longest wait.
const WAIT_MAX: Seconds = Seconds::new(60);

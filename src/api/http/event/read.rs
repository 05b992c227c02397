//! `GET /v1/events/{number}`: one event with its exact bytes.
//!
//! Promises: `bytes` is what the ledger holds, byte for byte.
//! Refuses: callers that policy does not let read it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::{Known, Segment};
use crate::api::http::event::view;
use crate::api::problem::Problem;
use crate::service::{Service, ServiceError};
use crate::wire::event::EventDetail;
use crate::wire::page::event_number;
use crate::wire::problem::ProblemView;

/// One event with its exact bytes.
#[utoipa::path(
    get, path = "/v1/events/{number}", operation_id = "readEvent", tag = "events",
    params(("number" = u64, Path, description = "the event's number; 1 is the first")),
    responses(
        (status = 200, body = EventDetail, description = "the event"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Segment(number): Segment<String>,
) -> Result<Json<EventDetail>, Problem> {
    let number = event_number(&number).ok_or(ServiceError::NotFound("event"))?;
    let sealed = service.event(&call, number).await?;
    Ok(Json(EventDetail {
        event: view(&sealed),
        bytes: sealed.bytes().to_owned(),
    }))
}

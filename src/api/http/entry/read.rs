//! `GET /v1/entries/{id}`: one registration entry.
//!
//! Promises: as it stands now.
//! Refuses: callers that policy does not let read it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::{Known, Segment};
use crate::api::http::entry::view;
use crate::api::problem::Problem;
use crate::id::EntryId;
use crate::service::Service;
use crate::wire::entry::EntryView;
use crate::wire::problem::ProblemView;

/// One registration entry.
#[utoipa::path(
    get, path = "/v1/entries/{id}", operation_id = "readEntry", tag = "entries",
    params(("id" = String, Path, description = "the entry's id")),
    responses(
        (status = 200, body = EntryView, description = "as it stands"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Segment(id): Segment<EntryId>,
) -> Result<Json<EntryView>, Problem> {
    let entry = service.entry(&call, id).await?;
    Ok(Json(view(&entry)))
}

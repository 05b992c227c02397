//! `DELETE /v1/entries/{id}`: removes a registration entry.
//!
//! Promises: from the answer on nothing is minted for its subject.
//! Refuses: callers that policy does not let.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::api::extract::{Known, Segment};
use crate::api::problem::Problem;
use crate::id::EntryId;
use crate::service::Service;
use crate::wire::problem::ProblemView;

/// Removes a registration entry.
#[utoipa::path(
    delete, path = "/v1/entries/{id}", operation_id = "removeEntry", tag = "entries",
    params(("id" = String, Path, description = "the entry's id")),
    responses(
        (status = 204, description = "removed"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Segment(id): Segment<EntryId>,
) -> Result<StatusCode, Problem> {
    service.remove_entry(&call, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! `DELETE /v1/tokens/{id}`: removes a join token.
//!
//! Promises: from the answer on it opens nothing.
//! Refuses: callers that policy does not let.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::api::extract::{Known, Segment};
use crate::api::problem::Problem;
use crate::id::TokenId;
use crate::service::Service;
use crate::wire::problem::ProblemView;

/// Removes a join token that was not redeemed.
#[utoipa::path(
    delete, path = "/v1/tokens/{id}", operation_id = "removeToken", tag = "tokens",
    params(("id" = String, Path, description = "the token's id")),
    responses(
        (status = 204, description = "removed"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Segment(id): Segment<TokenId>,
) -> Result<StatusCode, Problem> {
    service.remove_token(&call, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

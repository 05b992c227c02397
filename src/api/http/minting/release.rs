//! `POST /v1/minting/release`: lets minting go on.
//!
//! Promises: recorded before it is so.
//! Refuses: callers that policy does not let.

use std::sync::Arc;

use axum::extract::State;

use crate::api::extract::{Json, Known};
use crate::api::http::minting::view;
use crate::api::problem::Problem;
use crate::service::Service;
use crate::wire::elevation::ReasonRequest;
use crate::wire::minting::MintingView;
use crate::wire::problem::ProblemView;

/// Lets minting go on after everything was stopped.
#[utoipa::path(
    post, path = "/v1/minting/release", operation_id = "releaseMinting", tag = "minting",
    request_body = ReasonRequest,
    responses(
        (status = 200, body = MintingView, description = "released"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Json(body): Json<ReasonRequest>,
) -> Result<axum::Json<MintingView>, Problem> {
    service.release_minting(&call, &body.reason).await?;
    let (minting, doubt) = service.minting(&call).await?;
    Ok(axum::Json(view(minting, doubt)))
}

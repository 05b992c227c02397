//! `POST /v1/clock/accept`: an operator's word that the clock is right.
//!
//! Promises: recorded before it counts.
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

/// Accepts the server's clock, which is in doubt, as right.
#[utoipa::path(
    post, path = "/v1/clock/accept", operation_id = "acceptClock", tag = "minting",
    request_body = ReasonRequest,
    responses(
        (status = 200, body = MintingView, description = "accepted"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Json(body): Json<ReasonRequest>,
) -> Result<axum::Json<MintingView>, Problem> {
    service.accept_clock(&call, &body.reason).await?;
    let (minting, doubt) = service.minting(&call).await?;
    Ok(axum::Json(view(minting, doubt)))
}

//! `GET /v1/minting`: whether protem mints.
//!
//! Promises: as it is now.
//! Refuses: callers that policy does not let read it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::Known;
use crate::api::http::minting::view;
use crate::api::problem::Problem;
use crate::service::Service;
use crate::wire::minting::MintingView;
use crate::wire::problem::ProblemView;

/// Whether minting is stopped, and whether the server trusts its clock.
#[utoipa::path(
    get, path = "/v1/minting", operation_id = "readMinting", tag = "minting",
    responses(
        (status = 200, body = MintingView, description = "as it is"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
) -> Result<Json<MintingView>, Problem> {
    let (minting, doubt) = service.minting(&call).await?;
    Ok(Json(view(minting, doubt)))
}

//! `POST /v1/tokens`: makes a join token.
//!
//! Promises: the one answer that holds a secret; it is never cached (the passage sees to it).
//! Refuses: subjects whose entry does not allow tokens.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::api::extract::{Json, Known, optional, required};
use crate::api::problem::Problem;
use crate::service::Service;
use crate::wire::problem::ProblemView;
use crate::wire::token::{TokenIssued, TokenRequest};

/// Makes a one-use join token for a subject.
#[utoipa::path(
    post, path = "/v1/tokens", operation_id = "makeToken", tag = "tokens",
    request_body = TokenRequest,
    responses(
        (status = 201, body = TokenIssued, description = "made; the secret is shown this once"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Json(body): Json<TokenRequest>,
) -> Result<(StatusCode, axum::Json<TokenIssued>), Problem> {
    let subject = required("subject", &body.subject)?;
    let life = optional("ttl", body.ttl.as_deref())?;
    let created = service.create_token(&call, subject, life).await?;
    let issued = TokenIssued {
        id: created.id.to_string(),
        token: created.bearer.reveal().to_string(),
        subject: created.subject.to_string(),
        expires_at: created.expires_at.rfc3339(),
    };
    Ok((StatusCode::CREATED, axum::Json(issued)))
}

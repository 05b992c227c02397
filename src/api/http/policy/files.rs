//! `GET /v1/policy/files`: the files in force.
//!
//! Promises: byte for byte what was activated.
//! Refuses: callers that policy does not let read them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::Known;
use crate::api::problem::Problem;
use crate::service::Service;
use crate::wire::policy::PolicyFiles;
use crate::wire::problem::ProblemView;

/// The files of the policy in force.
#[utoipa::path(
    get, path = "/v1/policy/files", operation_id = "readPolicyFiles", tag = "policy",
    responses(
        (status = 200, body = PolicyFiles, description = "the files"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
) -> Result<Json<PolicyFiles>, Problem> {
    let policy = service.policy(&call).await?;
    let source = service.policy_source(&call).await?;
    let files = source.files();
    Ok(Json(PolicyFiles {
        version: policy.version.value(),
        digest: source.digest().to_string(),
        files: files
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .collect(),
    }))
}

//! `GET /v1/policy`: what is in force.
//!
//! Promises: version, digest, author and the catalogue of scopes.
//! Refuses: callers that policy does not let read it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::Known;
use crate::api::problem::Problem;
use crate::policy::ScopeTerms;
use crate::service::Service;
use crate::wire::policy::{PolicyView, ScopeView};
use crate::wire::problem::ProblemView;

/// The policy in force.
#[utoipa::path(
    get, path = "/v1/policy", operation_id = "readPolicy", tag = "policy",
    responses(
        (status = 200, body = PolicyView, description = "what is in force"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
) -> Result<Json<PolicyView>, Problem> {
    let policy = service.policy(&call).await?;
    Ok(Json(PolicyView {
        version: policy.version.value(),
        digest: policy.bundle.digest().to_string(),
        author: policy.author,
        activated_at: policy.activated_at.rfc3339(),
        scopes: policy.bundle.catalogue().iter().map(view).collect(),
    }))
}

fn view(terms: &ScopeTerms) -> ScopeView {
    ScopeView {
        name: terms.scope.to_string(),
        description: terms.description.clone(),
        owner: terms.owner.to_string(),
        servers: terms.servers.iter().map(ToString::to_string).collect(),
        encoding: terms.encoding.to_string(),
        svid_life: terms.svid_life.to_string(),
        elevation_longest: terms.elevation_longest.to_string(),
        idle_longest: terms.idle_longest.map(|idle| idle.to_string()),
        on_demand: terms.on_demand,
    }
}

//! `POST /v1/policy/explain`: what policy would say.
//!
//! Promises: with the facts of now; opens nothing and records nothing.
//! Refuses: callers that policy does not let ask for others.

use std::sync::Arc;

use axum::extract::State;

use crate::api::extract::{Json, Known, optional, required};
use crate::api::http::verdict;
use crate::api::problem::Problem;
use crate::policy::ElevateAct;
use crate::service::{InForce, Service};
use crate::time::Seconds;
use crate::wire::policy::ExplainRequest;
use crate::wire::problem::ProblemView;
use crate::wire::verdict::OutlookAnswer;

/// What policy would say if a subject asked for a scope.
#[utoipa::path(
    post, path = "/v1/policy/explain", operation_id = "explainPolicy", tag = "policy",
    request_body = ExplainRequest,
    responses(
        (status = 200, body = OutlookAnswer, description = "what would happen"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Json(body): Json<ExplainRequest>,
) -> Result<axum::Json<OutlookAnswer>, Problem> {
    let at = optional("at", body.at.as_deref())?;
    let policy = service.in_force()?;
    let outlook = service.explain(&call, act(&body, &policy)?, at).await?;
    let moment = at.unwrap_or_else(|| service.now());
    Ok(axum::Json(verdict::outlook(&outlook, &policy, moment)))
}

fn act(body: &ExplainRequest, policy: &InForce) -> Result<ElevateAct, Problem> {
    let scope = required("scope", &body.scope)?;
    let longest = policy.bundle.catalogue().terms(&scope);
    let longest = longest.map_or(DURATION_UNKNOWN_SCOPE, |terms| terms.elevation_longest);
    Ok(ElevateAct {
        subject: required("subject", &body.subject)?,
        asked: optional("duration", body.duration.as_deref())?.unwrap_or(longest),
        scope,
        has_reason: body.reason.is_some(),
        ticket: optional("ticket", body.ticket.as_deref())?,
        scheduled: false,
        on_demand: body.on_demand,
        break_glass: body.break_glass,
    })
}

/// Asked for a scope that does not exist: policy says so, with this duration in its question.
const DURATION_UNKNOWN_SCOPE: Seconds = Seconds::new(900);

//! `POST /v1/revocations`: ends many elevations at once.
//!
//! Promises: exactly one of subject, scope, instance or all; all also stops minting.
//! Refuses: a request that names none or several.

use std::sync::Arc;

use axum::extract::State;

use crate::api::extract::{Json, Known, optional};
use crate::api::problem::Problem;
use crate::service::Service;
use crate::service::revoke::Target;
use crate::wire::elevation::{RevocationRequest, RevocationView};
use crate::wire::problem::{ProblemKind, ProblemView};

/// Ends every open elevation of a subject, for a scope, of an instance, or all.
#[utoipa::path(
    post, path = "/v1/revocations", operation_id = "revokeMany", tag = "elevations",
    request_body = RevocationRequest,
    responses(
        (status = 200, body = RevocationView, description = "ended"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Json(body): Json<RevocationRequest>,
) -> Result<axum::Json<RevocationView>, Problem> {
    let revoked = service
        .revoke_many(&call, target(&body)?, &body.reason)
        .await?;
    Ok(axum::Json(RevocationView {
        revoked: revoked.elevations.into(),
        minting_stopped: revoked.minting_stopped,
    }))
}

fn target(body: &RevocationRequest) -> Result<Target, Problem> {
    let named = [
        optional("subject", body.subject.as_deref())?.map(Target::Subject),
        optional("scope", body.scope.as_deref())?.map(Target::Scope),
        optional("instance", body.instance.as_deref())?.map(Target::Instance),
        body.all.then_some(Target::Everything),
    ];
    let mut named = named.into_iter().flatten();
    match (named.next(), named.next()) {
        (Some(target), None) => Ok(target),
        (None | Some(_), _) => Err(Problem::new(
            ProblemKind::Unprocessable,
            "field",
            "name exactly one of `subject`, `scope`, `instance` and `all`",
        )),
    }
}

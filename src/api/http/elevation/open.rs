//! `POST /v1/elevations`: asks for a scope.
//!
//! Promises: 201 when it is approved, 202 when it waits for people, 200 for a dry run, which opens
//! nothing; a denial is a problem that names the elevation which records it.
//! Refuses: `one` from callers that have no instance of their own.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::api::extract::{IdempotencyKey, Json, Known, optional, required};
use crate::api::http::elevation::view;
use crate::api::http::verdict;
use crate::api::problem::{Problem, field};
use crate::attestation::Caller;
use crate::elevation::{Instances, RequestError, StateName};
use crate::service::elevate::ElevateRequest;
use crate::service::{Call, Service};
use crate::wire;
use crate::wire::elevation::{ElevationRequest, ElevationView};
use crate::wire::problem::ProblemView;
use crate::wire::verdict::OutlookAnswer;

/// Asks for a scope.
#[utoipa::path(
    post, path = "/v1/elevations", operation_id = "openElevation", tag = "elevations",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "makes a repeated request find the first one's elevation; at most 64 \
                       visible ASCII characters")),
    request_body = ElevationRequest,
    responses(
        (status = 200, body = OutlookAnswer, description = "dry run: what would happen"),
        (status = 201, body = ElevationView, description = "approved"),
        (status = 202, body = ElevationView, description = "waits for approvals"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused; 403 names the elevation that records the denial"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<ElevationRequest>,
) -> Result<Response, Problem> {
    let dry_run = body.dry_run;
    let asked = asked(body, &call, key)?;
    let _place = service.admitted(&call).await?;
    if dry_run {
        let outlook = service.elevate_dry(&call, &asked).await?;
        let moment = asked.not_before.unwrap_or_else(|| service.now());
        let answer = verdict::outlook(&outlook, &service.in_force()?, moment);
        return Ok(axum::Json(answer).into_response());
    }
    let row = service.elevate(&call, asked).await?;
    let status = match row.elevation.state.name() {
        StateName::Pending => StatusCode::ACCEPTED,
        StateName::Active
        | StateName::Approved
        | StateName::Cancelled
        | StateName::Denied
        | StateName::Ended
        | StateName::Lapsed => StatusCode::CREATED,
    };
    Ok((status, axum::Json(view(&row))).into_response())
}

fn asked(
    body: ElevationRequest,
    call: &Call,
    idempotency_key: Option<String>,
) -> Result<ElevateRequest, Problem> {
    Ok(ElevateRequest {
        subject: optional("subject", body.subject.as_deref())?,
        scope: required("scope", &body.scope)?,
        duration: optional("duration", body.duration.as_deref())?,
        not_before: optional("not_before", body.not_before.as_deref())?,
        instances: body
            .instances
            .map(|instances| read_instances(&instances, call))
            .transpose()?
            .flatten(),
        reason: body.reason,
        ticket: optional("ticket", body.ticket.as_deref())?,
        extends: optional("extends", body.extends.as_deref())?,
        on_demand: body.on_demand,
        break_glass: body.break_glass,
        holder: optional("holder", body.holder.as_deref())?,
        idempotency_key,
    })
}

/// None for the one that asks, whichever that is.
fn read_instances(
    instances: &wire::elevation::Instances,
    call: &Call,
) -> Result<Option<Instances>, Problem> {
    use wire::elevation::Instances::{Count, Word};
    let wrong = || field("instances", &RequestError::Instances);
    match instances {
        Count(count) => u16::try_from(*count)
            .map(|count| Some(Instances::Count(count)))
            .map_err(|_| wrong()),
        Word(word) => match (word.as_str(), &call.caller) {
            ("all", _) => Ok(Some(Instances::All)),
            ("one", Caller::Workload(_)) => Ok(None),
            _ => Err(wrong()),
        },
    }
}

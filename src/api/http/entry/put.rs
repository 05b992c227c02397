//! `PUT /v1/entries`: registers a workload, or changes what is registered of it.
//!
//! Promises: one entry for each subject: 201 when it is new, 200 when it was there.
//! Refuses: lists and texts out of bounds, by name.

use std::error::Error;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;

use crate::api::extract::{Json, Known, required};
use crate::api::http::entry::view;
use crate::api::problem::Problem;
use crate::attestation::EntryTerms;
use crate::service::Service;
use crate::wire::entry::{EntryRequest, EntryView};
use crate::wire::problem::ProblemView;

/// Registers a workload, or changes what is registered of it.
#[utoipa::path(
    put, path = "/v1/entries", operation_id = "putEntry", tag = "entries",
    request_body = EntryRequest,
    responses(
        (status = 200, body = EntryView, description = "changed"),
        (status = 201, body = EntryView, description = "registered"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Json(body): Json<EntryRequest>,
) -> Result<(StatusCode, axum::Json<EntryView>), Problem> {
    let entry = service.put_entry(&call, terms(body)?).await?;
    let status = match entry.version {
        1 => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    Ok((status, axum::Json(view(&entry))))
}

fn terms(body: EntryRequest) -> Result<EntryTerms, Problem> {
    Ok(EntryTerms {
        subject: required("subject", &body.subject)?,
        selectors: all("selectors", &body.selectors)?,
        obtained_by: all("obtained_by", &body.obtained_by)?,
        owner: required("owner", &body.owner)?,
        groups: all("groups", &body.groups)?,
        life: required("life", &body.life)?,
        hint: body.hint,
        federates_with: all("federates_with", &body.federates_with)?,
    })
}

fn all<T: FromStr<Err: Error>>(name: &str, texts: &[String]) -> Result<Vec<T>, Problem> {
    texts.iter().map(|text| required(name, text)).collect()
}

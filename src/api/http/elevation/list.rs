//! `GET /v1/elevations`: elevations that match.
//!
//! Promises: in the order in which they were opened; a workload sees its own.
//! Refuses: a cursor that this endpoint did not give.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::{Known, Query, optional};
use crate::api::http::elevation::view;
use crate::api::http::page;
use crate::api::problem::Problem;
use crate::attestation::Caller;
use crate::service::{Call, Service};
use crate::store::ElevationFilter;
use crate::wire::elevation::{ElevationQuery, ElevationView};
use crate::wire::page::Page;
use crate::wire::problem::ProblemView;

/// Elevations that match every filter given.
#[utoipa::path(
    get, path = "/v1/elevations", operation_id = "listElevations", tag = "elevations",
    params(ElevationQuery),
    responses(
        (status = 200, body = Page<ElevationView>, description = "one page"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Query(query): Query<ElevationQuery>,
) -> Result<Json<Page<ElevationView>>, Problem> {
    let (limit, after) = (
        page::limit(query.limit)?,
        page::number(query.cursor.as_deref())?,
    );
    let rows = service
        .elevations(&call, filter(&query, &call)?, after, limit)
        .await?;
    let next = page::next(&rows, limit, |row| row.opened.number().to_string());
    let items = rows.iter().map(view).collect();
    Ok(Json(Page { items, next }))
}

fn filter(query: &ElevationQuery, call: &Call) -> Result<ElevationFilter, Problem> {
    let own = match &call.caller {
        Caller::Workload(workload) => Some(workload.name.subject().clone()),
        Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) => None,
    };
    Ok(ElevationFilter {
        subject: optional("subject", query.subject.as_deref())?.or(own),
        scope: optional("scope", query.scope.as_deref())?,
        state: optional("state", query.state.as_deref())?,
        ..ElevationFilter::default()
    })
}

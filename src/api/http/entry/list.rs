//! `GET /v1/entries`: registration entries.
//!
//! Promises: by subject; the cursor is the last subject seen.
//! Refuses: callers that policy does not let read them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::{Known, Query, optional};
use crate::api::http::entry::view;
use crate::api::http::page;
use crate::api::problem::Problem;
use crate::service::Service;
use crate::wire::entry::EntryView;
use crate::wire::page::{Page, PageQuery};
use crate::wire::problem::ProblemView;

/// Registration entries, by subject.
#[utoipa::path(
    get, path = "/v1/entries", operation_id = "listEntries", tag = "entries",
    params(PageQuery),
    responses(
        (status = 200, body = Page<EntryView>, description = "one page"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<EntryView>>, Problem> {
    let limit = page::limit(query.limit)?;
    let after = optional("cursor", query.cursor.as_deref())?;
    let rows = service.entries(&call, after, limit).await?;
    let next = page::next(&rows, limit, |entry| entry.terms.subject.to_string());
    let items = rows.iter().map(view).collect();
    Ok(Json(Page { items, next }))
}

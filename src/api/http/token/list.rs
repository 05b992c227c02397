//! `GET /v1/tokens`: join tokens without their secrets.
//!
//! Promises: in the order in which they were made.
//! Refuses: callers that policy does not let read them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use crate::api::extract::{Known, Query};
use crate::api::http::page;
use crate::api::problem::Problem;
use crate::service::Service;
use crate::store::TokenRow;
use crate::wire::page::{Page, PageQuery};
use crate::wire::problem::ProblemView;
use crate::wire::token::TokenView;

/// Join tokens, in the order in which they were made.
#[utoipa::path(
    get, path = "/v1/tokens", operation_id = "listTokens", tag = "tokens",
    params(PageQuery),
    responses(
        (status = 200, body = Page<TokenView>, description = "one page"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<TokenView>>, Problem> {
    let (limit, after) = (
        page::limit(query.limit)?,
        page::number(query.cursor.as_deref())?,
    );
    let rows = service.tokens(&call, after, limit).await?;
    let next = page::next(&rows, limit, |row| row.created.to_string());
    let items = rows.iter().map(view).collect();
    Ok(Json(Page { items, next }))
}

fn view(row: &TokenRow) -> TokenView {
    TokenView {
        id: row.id.to_string(),
        subject: row.subject.to_string(),
        event: row.created.value(),
        expires_at: row.expires_at.rfc3339(),
        spent: row.spent.is_some(),
    }
}

//! `POST /v1/svids/batch`: mints many SVIDs in one call.
//!
//! Promises: every item is a walk of its own, as if it had come alone: one that is refused or
//! fails leaves the others as they are. Answers stand in the order of the requests.
//! Refuses: an empty batch, more than [`BATCH_ITEMS_MAX`] items or 1 MiB, and more batches at once
//! than there are places for; that is told before the batch is read.

use std::sync::Arc;

use axum::extract::{Extension, FromRequestParts, State};
use http::request::Parts;

use crate::api::extract::{Arriving, IdempotencyKey, Json};
use crate::api::http::svid::mint::{from_json, request, view};
use crate::api::problem::Problem;
use crate::api::request::Noted;
use crate::service::issue::IssueRequest;
use crate::service::{Call, Seat, Service};
use crate::wire::problem::{ProblemKind, ProblemView};
use crate::wire::svid::{
    BATCH_ITEMS_MAX, SvidBatchAnswer, SvidBatchRequest, SvidBatchView, SvidRequest,
};

/// Mints up to 500 SVIDs, each as `POST /v1/svids` would.
///
/// The status is 200 however the items came out; each has its own SVID or problem.
#[utoipa::path(
    post, path = "/v1/svids/batch", operation_id = "mintSvids", tag = "svids",
    params(("Idempotency-Key" = Option<String>, Header,
        description = "makes a repeated batch find the first one's certificates, item by item; at \
                       most 64 visible ASCII characters")),
    request_body = SvidBatchRequest,
    responses(
        (status = 200, body = SvidBatchView, description = "one answer for each item"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused as a whole: nothing was minted"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Admitted(call, _place): Admitted,
    Extension(noted): Extension<Noted>,
    IdempotencyKey(key): IdempotencyKey,
    Json(body): Json<SvidBatchRequest, BATCH_BYTES_MAX>,
) -> Result<axum::Json<SvidBatchView>, Problem> {
    if !(1..=BATCH_ITEMS_MAX).contains(&body.items.len()) {
        let detail = format!("`items` must hold 1 to {BATCH_ITEMS_MAX} requests");
        return Err(Problem::new(ProblemKind::Unprocessable, "field", detail));
    }
    service.heed_more(&call.caller, body.items.len())?;
    let of_item = |(number, item): (usize, SvidRequest)| {
        // Each item is repeated by its own key: the batch's and its place.
        let key = key.as_ref().map(|key| format!("{key} {number}"));
        let (csr, query) = from_json(item)?;
        request(csr, &query, key)
    };
    let requests: Vec<Result<IssueRequest, Problem>> =
        body.items.into_iter().enumerate().map(of_item).collect();
    let answers = service.issue_many(&call, requests).await;
    let told = |answer: Result<_, Problem>| match answer {
        Ok(issued) => SvidBatchAnswer {
            svid: Some(view(&issued)),
            problem: None,
        },
        Err(problem) => SvidBatchAnswer {
            svid: None,
            problem: Some(noted.problem(&problem)),
        },
    };
    Ok(axum::Json(SvidBatchView {
        items: answers.into_iter().map(told).collect(),
    }))
}

/// A caller and his place for a batch, taken before any of its bytes are read.
pub(crate) struct Admitted(Call, Seat);

impl FromRequestParts<Arc<Service>> for Admitted {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Problem> {
        let Arriving(call) = Arriving::from_request_parts(parts, service).await?;
        let place = service.begin_batch(&call)?;
        Ok(Self(call, place))
    }
}

/// The largest batch, in bytes of JSON: 500 requests for keys of the kinds that are accepted.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

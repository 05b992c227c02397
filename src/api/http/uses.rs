//! `POST /v1/uses`: an agent tells what the access logs of its servers show.
//!
//! Promises: uses are durable when it answers; lines that fit nothing are counted in the answer and
//! are no error. A moment that has not come counts as now, one before an elevation's activation as
//! its activation. No end moves.
//! Refuses: callers that no entry of a server in the report names in `obtained_by`, more than
//! [`USES_MAX`] lines or [`COVERED_SERVERS_MAX`] servers, and a report that can't be read, whole.
//! What a lying reporter can do stands in [`crate::service::uses`].

use std::sync::Arc;

use axum::extract::State;

use crate::api::extract::{Json, Known, optional, required};
use crate::api::problem::Problem;
use crate::elevation::Used;
use crate::identity::{SpiffeId, Subject};
use crate::scope::{Scope, SvidName};
use crate::service::Service;
use crate::service::uses::{COVERED_SERVERS_MAX, Cover, Report, Seen, USES_MAX};
use crate::time::Timestamp;
use crate::wire::problem::{ProblemKind, ProblemView};
use crate::wire::uses::{CoverRequest, UseLine, UsesRequest, UsesView};

/// Tells what the access logs of servers show of elevated SVIDs.
///
/// Only an agent that obtains the SVID of a server may tell of its log. A report never prolongs
/// anything. A reporter that lies can keep an elevation that nobody uses until its `ends_at`, and
/// can hide uses at its own server; it ends nothing that is used elsewhere.
#[utoipa::path(
    post, path = "/v1/uses", operation_id = "reportUses", tag = "elevations",
    request_body = UsesRequest,
    responses(
        (status = 200, body = UsesView, description = "how many lines were what"),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused, and its cover counts for nothing; sent again where that may \
                           help, uses may count twice"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    Json(body): Json<UsesRequest, USES_BYTES_MAX>,
) -> Result<axum::Json<UsesView>, Problem> {
    let servers = body.cover.as_ref().map_or(0, |cover| cover.servers.len());
    bounded("uses", body.uses.len(), USES_MAX)?;
    bounded("cover.servers", servers, COVERED_SERVERS_MAX)?;
    service.heed_more(&call.caller, body.uses.len().saturating_add(servers))?;
    let report = Report {
        uses: seen(&body.uses)?,
        cover: body.cover.as_ref().map(cover).transpose()?,
    };
    let reported = service.report_uses(&call, report).await?;
    Ok(axum::Json(UsesView {
        noted: reported.noted,
        not_served: reported.not_served,
        unknown: reported.unknown,
        covered: reported.covered,
    }))
}

fn bounded(field: &str, count: usize, max: usize) -> Result<(), Problem> {
    if count <= max {
        return Ok(());
    }
    Err(wrong(&format!(
        "`{field}` has {count} items, more than {max}; send several reports"
    )))
}

fn seen(lines: &[UseLine]) -> Result<Vec<Seen>, Problem> {
    let lines = lines.iter().enumerate();
    lines
        .map(|(at, line)| one(&format!("uses[{at}]"), line))
        .collect()
}

fn one(at: &str, line: &UseLine) -> Result<Seen, Problem> {
    let field = |name: &str| format!("{at}.{name}");
    let server = required(&field("server"), &line.server)?;
    let id: Option<SpiffeId> = optional(&field("spiffe_id"), line.spiffe_id.as_deref())?;
    let subject: Option<Subject> = optional(&field("subject"), line.subject.as_deref())?;
    let scope: Option<Scope> = optional(&field("scope"), line.scope.as_deref())?;
    let whom = match (id, subject, scope) {
        (Some(id), None, None) => elevated(&id),
        (None, Some(subject), Some(scope)) => Some((subject, scope)),
        _ => {
            let words = format!("`{at}` needs either `spiffe_id`, or `subject` and `scope`");
            return Err(wrong(&words));
        }
    };
    let used = Used {
        first: required(&field("first"), &line.first)?,
        last: required(&field("last"), &line.last)?,
        count: line.count.into(),
    };
    in_order(&field("last"), used.first, used.last)?;
    if used.count == 0 {
        return Err(wrong(&format!("`{}` must be at least 1", field("count"))));
    }
    Ok(Seen { server, whom, used })
}

/// What an access log shows is what proxies let in; a name that protem does not mint is no error.
fn elevated(id: &SpiffeId) -> Option<(Subject, Scope)> {
    let name = SvidName::from_sans(id, None).ok()?;
    Some((name.subject().clone(), name.scope()?.clone()))
}

fn cover(cover: &CoverRequest) -> Result<Cover, Problem> {
    if cover.servers.is_empty() {
        return Err(wrong("`cover.servers` names nobody"));
    }
    let servers = cover.servers.iter().enumerate();
    let server = |(at, text): (usize, &String)| required(&format!("cover.servers[{at}]"), text);
    let read = Cover {
        servers: servers.map(server).collect::<Result<_, _>>()?,
        since: required("cover.since", &cover.since)?,
        until: required("cover.until", &cover.until)?,
    };
    in_order("cover.until", read.since, read.until)?;
    Ok(read)
}

fn in_order(field: &str, first: Timestamp, last: Timestamp) -> Result<(), Problem> {
    if first <= last {
        return Ok(());
    }
    Err(wrong(&format!(
        "`{field}` lies before the moment that it follows"
    )))
}

fn wrong(detail: &str) -> Problem {
    Problem::new(ProblemKind::Unprocessable, "field", detail)
}

/// The largest report, in bytes of JSON: all lines and servers, with names of usual length.
const USES_BYTES_MAX: usize = 512 * 1024;

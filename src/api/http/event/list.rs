//! `GET /v1/events`: the audit query.
//!
//! Promises: pages end where the ledger ended when the first one was asked for, so they neither
//! skip nor repeat while events arrive; every page and every stream is recorded as a query of its
//! own, so a cursor is no way around the record. An NDJSON stream ends with a trailer, or was cut.
//! Refuses: more than [`STREAM_ROWS_MAX`] rows in one stream; the trailer says where to go on.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::try_unfold;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use crate::api::extract::{Accept, Known, MediaType, Query, optional};
use crate::api::http::event::view;
use crate::api::http::page;
use crate::api::problem::Problem;
use crate::audit::SealedEvent;
use crate::id::{ElevationId, EventNumber};
use crate::identity::{SPIFFE_ID_BYTES_MAX, Subject};
use crate::scope::Scope;
use crate::service::search;
use crate::service::{Call, Service};
use crate::store::EventFilter;
use crate::wire::event::{EventQuery, EventView, StreamEnd, Trailer};
use crate::wire::page::{LedgerCursor, PAGE_ROWS_MAX, Page};
use crate::wire::problem::{ProblemKind, ProblemView};

/// Events that match every filter given.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "listEvents", tag = "events",
    params(EventQuery),
    responses(
        (status = 200, description = "one page, or a stream of lines that ends with a trailer",
            content((Page<EventView> = "application/json"), (EventView = "application/x-ndjson"))),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Known(call): Known,
    accept: Accept,
    Query(query): Query<EventQuery>,
) -> Result<Response, Problem> {
    let media_type = accept.choose(&[MediaType::Json, MediaType::Ndjson])?;
    let place = Place::read(&query)?;
    let limit = match media_type {
        MediaType::Ndjson => query.limit.unwrap_or(STREAM_ROWS_MAX).min(STREAM_ROWS_MAX),
        MediaType::Json | MediaType::PemChain | MediaType::PemFile | MediaType::Pkcs10 => {
            page::limit(query.limit)?
        }
    };
    let mut begun = service.begin_query(&call, filter(&query)?).await?;
    begun.until = place.until.or(begun.until);
    let search = Search {
        service,
        call,
        begun,
        after: place.after,
        left: limit,
        told: 0,
    };
    match media_type {
        MediaType::Ndjson => Ok(search.stream()),
        MediaType::Json | MediaType::PemChain | MediaType::PemFile | MediaType::Pkcs10 => {
            Ok(Json(search.page().await?).into_response())
        }
    }
}

/// Where a query goes on, and where it ends.
#[derive(Clone, Copy, Default)]
struct Place {
    after: Option<EventNumber>,
    until: Option<EventNumber>,
}

impl Place {
    fn read(query: &EventQuery) -> Result<Self, Problem> {
        let Some(cursor) = &query.cursor else {
            let after = query.after.unwrap_or(0);
            if i64::try_from(after).is_err() {
                let detail = "`after`: no event has such a number";
                return Err(Problem::new(ProblemKind::Unprocessable, "field", detail));
            }
            let after = EventNumber::new(after);
            return Ok(Self { after, until: None });
        };
        let cursor: LedgerCursor = cursor.parse().map_err(|_| page::wrong())?;
        Ok(Self {
            after: Some(cursor.after),
            until: Some(cursor.until),
        })
    }
}

/// A query on its way through the ledger.
struct Search {
    service: Arc<Service>,
    call: Call,
    begun: search::Query,
    after: Option<EventNumber>,
    left: u32,
    told: u64,
}

impl Search {
    async fn page(mut self) -> Result<Page<EventView>, Problem> {
        let limit = self.left;
        let items = self.rows(limit).await?;
        let full = usize::try_from(limit).is_ok_and(|limit| limit <= items.len());
        let next = self.cursor().filter(|_| full);
        Ok(Page { items, next })
    }

    async fn rows(&mut self, limit: u32) -> Result<Vec<EventView>, Problem> {
        let rows = self
            .service
            .query_page(&self.call, &self.begun, self.after, limit)
            .await?;
        self.after = rows.last().map(SealedEvent::number).or(self.after);
        Ok(rows.iter().map(view).collect())
    }

    fn cursor(&self) -> Option<String> {
        let (after, until) = (self.after?, self.begun.until?);
        (after < until).then(|| LedgerCursor { after, until }.to_string())
    }

    fn stream(self) -> Response {
        let lines = try_unfold(Some(self), async |search| match search {
            None => Ok(None),
            Some(search) => search.lines().await.map(Some),
        });
        let kind = [(CONTENT_TYPE, MediaType::Ndjson.as_str())];
        (kind, Body::from_stream(lines)).into_response()
    }

    /// The next lines, and the search for those after; the trailer and nothing at the end.
    async fn lines(mut self) -> Result<(Bytes, Option<Self>), StreamError> {
        let limit = self.left.min(PAGE_ROWS_MAX);
        let rows = self.rows(limit).await.map_err(|problem| {
            let why = problem.inner().unwrap_or_else(|| problem.code());
            tracing::warn!(why, "a stream of events broke off");
            StreamError
        })?;
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(count);
        self.told = self.told.saturating_add(count.into());
        let mut text = Vec::new();
        for row in &rows {
            line(&mut text, row)?;
        }
        let more = limit <= count;
        if more && 0 < self.left {
            return Ok((text.into(), Some(self)));
        }
        let trailer = StreamEnd {
            events: self.told,
            next: self.cursor().filter(|_| more),
        };
        line(&mut text, &Trailer { trailer })?;
        Ok((text.into(), None))
    }
}

/// The stream cannot go on; it ends without a trailer.
#[derive(Debug, thiserror::Error)]
#[error("the stream of events broke off")]
struct StreamError;

fn line<T: Serialize>(text: &mut Vec<u8>, row: &T) -> Result<(), StreamError> {
    serde_json::to_writer(&mut *text, row).map_err(|_| StreamError)?;
    text.push(b'\n');
    Ok(())
}

/// What is looked for. Every query is an event, so no filter is longer than what it can find.
fn filter(query: &EventQuery) -> Result<EventFilter, Problem> {
    Ok(EventFilter {
        kind: optional("kind", query.kind.as_deref())?,
        caller: bounded("caller", query.caller.as_deref(), CALLER_BYTES_MAX)?,
        subject: optional("subject", query.subject.as_deref())?.map(|s: Subject| s.to_string()),
        scope: optional("scope", query.scope.as_deref())?.map(|s: Scope| s.as_str().to_owned()),
        serial: hex_digits("serial", query.serial.as_deref())?,
        fingerprint: hex_digits("fingerprint", query.fingerprint.as_deref())?,
        elevation: optional("elevation", query.elevation.as_deref())?
            .map(|id: ElevationId| id.to_string()),
        policy: bounded("policy", query.policy.as_deref(), FILTER_BYTES_MAX)?,
        outcome: bounded("outcome", query.outcome.as_deref(), FILTER_BYTES_MAX)?,
        from: optional("from", query.from.as_deref())?,
        to: optional("to", query.to.as_deref())?,
    })
}

fn bounded(name: &str, text: Option<&str>, bytes_max: usize) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if bytes_max < text.len() => {
            let detail = format!("`{name}` is longer than {bytes_max} bytes");
            Err(Problem::new(ProblemKind::Unprocessable, "field", detail))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

/// Hex digits as other programs print them: `openssl` in upper case, with colons between bytes. A
/// look-up that found nothing because of its spelling would be read as "was never minted".
fn hex_digits(name: &'static str, text: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(text) = bounded(name, text, FILTER_BYTES_MAX)? else {
        return Ok(None);
    };
    let digits: String = text
        .chars()
        .filter(|c| *c != ':')
        .collect::<String>()
        .to_lowercase();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Some(digits));
    }
    let detail = format!("`{name}` is written in hexadecimal digits, as openssl prints it");
    Err(Problem::new(ProblemKind::Unprocessable, "field", detail))
}

/// The most rows of one stream.
const STREAM_ROWS_MAX: u32 = 1_000_000;
/// A word or digits that events are looked up by.
const FILTER_BYTES_MAX: usize = 256;
/// A caller: a SPIFFE ID, what he is, and the scope of an elevated one.
const CALLER_BYTES_MAX: usize = SPIFFE_ID_BYTES_MAX + 128;

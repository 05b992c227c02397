//! `POST /v1/svids`: mints one SVID.
//!
//! Promises: takes JSON, or the CSR as it is with the rest in the query, so that openssl and curl
//! suffice; answers JSON, or the chain as PEM where `Accept` says so.
//! Refuses: a question in both places; join tokens for anything but a base SVID (the walk does).

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use base64ct::{Base64, Encoding as _};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use crate::api::extract::{Accept, Arriving, IdempotencyKey, MediaType, Query, Raw, optional};
use crate::api::problem::Problem;
use crate::api::request::Noted;
use crate::audit::Key;
use crate::service::Service;
use crate::service::issue::{IssueRequest, Issued};
use crate::wire::problem::{ProblemKind, ProblemView};
use crate::wire::svid::{SvidQuery, SvidRequest, SvidView};

/// Mints one SVID: base, or elevated under an elevation that is open.
///
/// The body is JSON, or a PKCS#10 request as `application/pkcs10` (DER) or `application/x-pem-file`
/// with the rest of the question in the query.
#[utoipa::path(
    post, path = "/v1/svids", operation_id = "mintSvid", tag = "svids",
    params(SvidQuery, ("Idempotency-Key" = Option<String>, Header,
        description = "makes a repeated request find the first one's certificate; at most 64 \
                       visible ASCII characters")),
    request_body(content(
        (SvidRequest = "application/json"),
        (String = "application/pkcs10"),
        (String = "application/x-pem-file"),
    )),
    responses(
        (status = 201, description = "minted", content(
            (SvidView = "application/json"),
            (String = "application/pem-certificate-chain"),
        )),
        (status = "default", body = ProblemView, content_type = "application/problem+json",
            description = "refused"),
    ),
)]
pub(crate) async fn answer(
    State(service): State<Arc<Service>>,
    Arriving(call): Arriving,
    Extension(noted): Extension<Noted>,
    IdempotencyKey(key): IdempotencyKey,
    accept: Accept,
    Query(query): Query<SvidQuery>,
    body: Raw,
) -> Result<Response, Problem> {
    let media_type = accept.choose(&[MediaType::Json, MediaType::PemChain])?;
    let (csr, query) = question(query, &body)?;
    let request = request(csr, &query, key)?;
    let _place = service.admitted(&call).await?;
    let issued = service.issue(&call, request).await?;
    let view = view(&issued);
    noted.event(view.event);
    noted.serial(&view.serial);
    Ok(match media_type {
        MediaType::PemChain => {
            let kind = [(CONTENT_TYPE, MediaType::PemChain.as_str())];
            (StatusCode::CREATED, kind, view.chain).into_response()
        }
        MediaType::Json | MediaType::Ndjson | MediaType::PemFile | MediaType::Pkcs10 => {
            (StatusCode::CREATED, axum::Json(view)).into_response()
        }
    })
}

/// The CSR's bytes and the rest of the question, from where the body's media type puts them.
fn question(query: SvidQuery, body: &Raw) -> Result<(Vec<u8>, SvidQuery), Problem> {
    match body.media_type {
        MediaType::Json if query == SvidQuery::default() => from_json(body.json()?),
        MediaType::Json => Err(Problem::new(
            ProblemKind::Malformed,
            "query",
            "a JSON body says everything; the query must be empty",
        )),
        MediaType::PemFile | MediaType::Pkcs10 => Ok((body.bytes.to_vec(), query)),
        MediaType::Ndjson | MediaType::PemChain => Err(Problem::new(
            ProblemKind::UnsupportedMediaType,
            "content_type",
            "send `application/json`, `application/pkcs10` or `application/x-pem-file`",
        )),
    }
}

pub(crate) fn request(
    csr: Vec<u8>,
    query: &SvidQuery,
    key: Option<String>,
) -> Result<IssueRequest, Problem> {
    Ok(IssueRequest {
        csr,
        subject: optional("subject", query.subject.as_deref())?,
        scope: optional("scope", query.scope.as_deref())?,
        elevation: optional("elevation", query.elevation.as_deref())?,
        life: optional("ttl", query.ttl.as_deref())?,
        holder: optional("holder", query.holder.as_deref())?,
        idempotency_key: key,
    })
}

/// The CSR's bytes, and the rest of the question as the query would put it.
pub(crate) fn from_json(request: SvidRequest) -> Result<(Vec<u8>, SvidQuery), Problem> {
    let text = request.csr.trim();
    let csr = if text.starts_with(PEM) {
        text.as_bytes().to_vec()
    } else {
        Base64::decode_vec(text).map_err(|_| {
            Problem::new(
                ProblemKind::Unprocessable,
                "field",
                "`csr`: neither PEM nor base64",
            )
        })?
    };
    let query = SvidQuery {
        scope: request.scope,
        elevation: request.elevation,
        subject: request.subject,
        ttl: request.ttl,
        holder: request.holder,
    };
    Ok((csr, query))
}

pub(crate) fn view(issued: &Issued) -> SvidView {
    let svid = &issued.svid;
    let tbs = svid.certificate.tbs();
    let event = svid.intent.event();
    let key = |key| event.key(key).map(str::to_owned);
    let names = tbs.alt_names.iter();
    SvidView {
        spiffe_id: names
            .filter_map(|names| names.uris.first())
            .cloned()
            .collect(),
        subject: key(Key::Subject).unwrap_or_default(),
        scope: key(Key::Scope),
        elevation: key(Key::Elevation),
        serial: key(Key::Serial).unwrap_or_default(),
        fingerprint: svid.certificate.fingerprint().to_string(),
        not_before: tbs.not_before.rfc3339(),
        not_after: tbs.not_after.rfc3339(),
        chain: svid.chain_pem.clone(),
        event: svid.intent.number().value(),
        ignored: issued
            .ignored
            .iter()
            .map(|ignored| ignored.as_str().to_owned())
            .collect(),
    }
}

const PEM: &str = "-----BEGIN ";

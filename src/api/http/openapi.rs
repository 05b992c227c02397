//! `GET /v1/openapi.json`: the description of this API, and how it is made.
//!
//! Promises: made from the endpoint files; the committed `src/api/openapi.json` is what is served,
//! and a test compares it with what the endpoints say.
//! Refuses: to describe what is not there.

use axum::response::{IntoResponse as _, Response};
use http::header::CONTENT_TYPE;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::api::extract::MediaType;
use crate::api::http::{
    bundle, clock, elevation, entry, event, minting, policy, revocation, svid, token, uses,
};
use crate::wire::event::Trailer;

/// The description of the API (OpenAPI 3.1), as JSON with a final line feed.
pub fn document() -> String {
    let mut text = Document::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The description of this API.
#[utoipa::path(
    get, path = "/v1/openapi.json", operation_id = "readOpenApi", tag = "openapi",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")),
)]
pub(crate) async fn answer() -> Response {
    ([(CONTENT_TYPE, MediaType::Json.as_str())], COMMITTED).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "protem",
        description = "Mints minutes-long SPIFFE X.509 SVIDs. Times are RFC 3339 in UTC with \
                       milliseconds, spans are texts such as `5m`, refusals are problem documents \
                       (RFC 9457). Callers are proved by a TLS client certificate that protem \
                       minted, by an operator credential, or, at the mint alone, by a join token.",
    ),
    paths(
        answer,
        bundle::answer,
        clock::answer,
        elevation::cancel::answer,
        elevation::list::answer,
        elevation::open::answer,
        elevation::read::answer,
        elevation::revoke::answer,
        elevation::wait::answer,
        entry::list::answer,
        entry::put::answer,
        entry::read::answer,
        entry::remove::answer,
        event::list::answer,
        event::read::answer,
        minting::read::answer,
        minting::release::answer,
        policy::activate::answer,
        policy::explain::answer,
        policy::files::answer,
        policy::read::answer,
        revocation::answer,
        svid::batch::answer,
        svid::mint::answer,
        token::list::answer,
        token::make::answer,
        token::remove::answer,
        uses::answer,
    ),
    components(schemas(Trailer)),
    modifiers(&Proofs),
    security(("svid" = []), ("bearer" = [])),
)]
struct Document;

/// The two ways to prove who calls.
struct Proofs;

impl Modify for Proofs {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let svid = SecurityScheme::MutualTls {
            description: Some("a current SVID that protem minted".to_owned()),
            deprecated: None,
            extensions: None,
        };
        components.add_security_scheme("bearer", bearer);
        components.add_security_scheme("svid", svid);
    }
}

const COMMITTED: &str = include_str!("../openapi.json");

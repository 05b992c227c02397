//! Rules on the way from a request to the secret that it goes out with: filter state, routes.

use crate::mesh::lint::envoy::typed;
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::rule::client::{
    CLIENT_RETRIES, HEADER_STAYS, KEY_UNSET, NOT_HASHABLE, NOT_SHARED,
};
use crate::mesh::lint::tree::At;

/// Asks the rules of a whole configuration: what sets the state stands far from what reads it.
pub(super) fn lint(root: At<'_>, findings: &mut Findings) {
    let mut readers = Vec::new();
    let mut set = false;
    for at in root.everything().filter(|at| at.is_map()) {
        if typed(at, ".filter_state_override.v3.Config").is_some() {
            readers.push(at);
        }
        if let Some(state) = typed(at, ".set_filter_state.v3.Config") {
            for value in STAGES.iter().flat_map(|stage| state.list(stage)) {
                set |= lint_value(value, findings);
            }
        }
        if let Some(state) = scope_state(at) {
            route(at, state, findings);
        }
    }
    for reader in readers {
        if !set {
            let words = format!("no filter sets `{KEY}`");
            findings.tell(&KEY_UNSET, reader, words);
        }
    }
}

/// Asks the rules of one value of filter state; whether it is the secret's name.
fn lint_value(value: At<'_>, findings: &mut Findings) -> bool {
    if value.word("object_key") != Some(KEY) {
        return false;
    }
    let factory = value.field("factory_key");
    if factory.and_then(At::text) != Some(FACTORY) {
        let words = match factory.and_then(At::text) {
            Some(text) => format!("`factory_key` is `{text}`"),
            None => "`factory_key` is missing".to_owned(),
        };
        findings.tell(&NOT_HASHABLE, factory.unwrap_or(value), words);
    }
    let shared = value.field("shared_with_upstream");
    if !matches!(
        shared.and_then(At::text),
        Some("ONCE" | "TRANSITIVE" | "1" | "2")
    ) {
        let place = shared.unwrap_or(value);
        findings.tell(&NOT_SHARED, place, "`shared_with_upstream` is not `ONCE`");
    }
    true
}

/// The value that names a scope for the requests of a route.
fn scope_state(route: At<'_>) -> Option<At<'_>> {
    route.field("match")?;
    let filters = route.field("typed_per_filter_config")?;
    let mut states = filters
        .entries()
        .filter_map(|one| typed(one, ".set_filter_state.v3.Config"));
    states.find_map(|state| {
        let mut values = STAGES.iter().flat_map(|stage| state.list(stage));
        values.find(|value| value.word("object_key") == Some(KEY))
    })
}

fn route(route: At<'_>, state: At<'_>, findings: &mut Findings) {
    if let Some(policy) = route.fields(&["route", "retry_policy"]) {
        findings.tell(
            &CLIENT_RETRIES,
            policy,
            "a route that names a scope has a `retry_policy`",
        );
    }
    let format = state.fields(&["format_string", "text_format_source", "inline_string"]);
    let Some(header) = format.and_then(At::text).and_then(header_of) else {
        return;
    };
    let mut removed = route.list("request_headers_to_remove").filter_map(At::text);
    if !removed.any(|name| name.eq_ignore_ascii_case(header)) {
        let words = format!("`{header}` is not removed");
        findings.tell(&HEADER_STAYS, route.field("match").unwrap_or(route), words);
    }
}

/// The header that a format reads: of `scope/%REQ(X-PROTEM-SCOPE)%`, the name.
fn header_of(format: &str) -> Option<&str> {
    let (_, after) = format.split_once("%REQ(")?;
    let (name, _) = after.split_once(')')?;
    name.split([':', '?']).next()
}

const KEY: &str = "envoy.tls.certificate_mappers.on_demand_secret";
const FACTORY: &str = "envoy.hashable_string";
const STAGES: [&str; 4] = [
    "on_request_headers",
    "on_new_connection",
    "on_downstream_tls_handshake",
    "on_downstream_data",
];

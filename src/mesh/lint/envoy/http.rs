//! Rules on HTTP connection managers: the recipe that ends requests at notAfter, and the bounds
//! that hold where it is lost.
//!
//! The recipe: a `header_mutation` writes the milliseconds that the peer's certificate still has
//! into `x-envoy-upstream-stream-duration-ms`, RBAC after it asks that there be some, and the
//! router resets the stream after so many.

use crate::mesh::lint::envoy::rbac::Rbac;
use crate::mesh::lint::envoy::{millis, typed_config};
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::rule::bounds::{
    CONNECTION, DRAIN, EDGE, HTTP1_SAFE, NO_RECIPE, RECIPE_APPENDS, RECIPE_EARLY, RECIPE_UNASKED,
    RETRIES, STREAM,
};
use crate::mesh::lint::rule::trust::SHADOW;
use crate::mesh::lint::tree::At;

/// Asks the rules; `scoped` says that a rule of this chain speaks of a scope, `module` that a
/// module in it may end connections.
pub(super) fn lint(manager: At<'_>, scoped: bool, module: bool, findings: &mut Findings) {
    let common = manager.field("common_http_protocol_options");
    let common_or_manager = common.unwrap_or(manager);
    if let Some(safe) = manager.field("http1_safe_max_connection_duration")
        && safe.text() == Some("true")
    {
        let words = "`http1_safe_max_connection_duration` is `true`";
        findings.tell(&HTTP1_SAFE, safe, words);
    }
    if !scoped {
        return;
    }
    let has = |name: &str| common.is_some_and(|common| common.field(name).is_some());
    if !has("max_connection_duration") {
        let words = "`max_connection_duration` is missing";
        findings.tell(&CONNECTION, common_or_manager, words);
    } else if !module {
        drain(manager, findings);
    }
    if !has("max_stream_duration") {
        let words = "`max_stream_duration` is missing";
        findings.tell(&STREAM, common_or_manager, words);
    }
    if !module {
        recipe(manager, findings);
    }
}

fn drain(manager: At<'_>, findings: &mut Findings) {
    let drain = manager.field("drain_timeout");
    let long = drain
        .and_then(At::text)
        .and_then(millis)
        .is_none_or(|millis| DRAIN_MS_MAX < millis);
    if long {
        let words = match drain.and_then(At::text) {
            Some(text) => format!("`drain_timeout` is `{text}`"),
            None => "`drain_timeout` is missing".to_owned(),
        };
        findings.tell(&DRAIN, drain.unwrap_or(manager), words);
    }
}

fn recipe(manager: At<'_>, findings: &mut Findings) {
    let Some(list) = manager.field("http_filters") else {
        findings.tell(&NO_RECIPE, manager, "there are no HTTP filters");
        return;
    };
    let filters: Vec<At<'_>> = list.items().collect();
    if filters.iter().any(|filter| is_scripted(*filter)) {
        return;
    }
    let writes = |filter: &At<'_>| {
        let body = typed_config(*filter, ".HeaderMutation");
        body.and_then(duration_mutation).is_some()
    };
    let Some(position) = filters.iter().position(writes) else {
        let words = format!("no filter writes `{HEADER}`");
        findings.tell(&NO_RECIPE, list, words);
        return;
    };
    disabled(&filters, findings);
    let filters = filters.iter().enumerate();
    let rules = filters
        .filter_map(|(number, filter)| Some((number, Rbac::of(filter.field("typed_config")?)?)));
    let rules: Vec<(usize, Rbac<'_>)> = rules.filter(|(_, rbac)| rbac.allows()).collect();
    let asked_of_all = rules.iter().any(|(number, rbac)| {
        position < *number && rbac.policies().all(|policy| policy.asks_time(HEADER))
    });
    for (number, rbac) in rules {
        if asked_of_all {
            break;
        }
        for policy in rbac.policies().filter(|policy| policy.speaks_of_scope()) {
            if number < position {
                let words = format!("the rule stands before the filter that writes `{HEADER}`");
                findings.tell(&RECIPE_UNASKED, policy.at, words);
            } else if !policy.asks_time(HEADER) {
                let words = format!("no permission asks for `{HEADER}`");
                findings.tell(&RECIPE_UNASKED, policy.at, words);
            }
        }
    }
    retries(manager, findings);
}

/// How the milliseconds are written, by a filter of a listener or of a patch.
pub(super) fn written(filter: At<'_>, findings: &mut Findings) {
    let Some(mutation) = duration_mutation(filter) else {
        return;
    };
    for append in filter.everything().filter(|at| at.key() == Some("append")) {
        let header = append.field("header");
        let key = header
            .and_then(|header| header.word("key"))
            .unwrap_or_default();
        let ours = append.is(mutation) || key.contains("protem");
        let action = append
            .field("append_action")
            .or_else(|| append.field("appendAction"));
        let word = action.and_then(At::text);
        if ours && !matches!(word, Some("OVERWRITE_IF_EXISTS_OR_ADD" | "2")) {
            let words = format!("`{key}` is not overwritten");
            findings.tell(&RECIPE_APPENDS, action.unwrap_or(append), words);
        }
        if let Some(value) = header.and_then(|header| header.field("value")) {
            let text = value.text().unwrap_or_default();
            if let Some(early) = EARLY.iter().find(|early| text.contains(*early)) {
                let words = format!("`{early}` is the first byte of the request");
                findings.tell(&RECIPE_EARLY, value, words);
            }
        }
    }
}

/// RBAC filters that are there and switched off.
fn disabled(filters: &[At<'_>], findings: &mut Findings) {
    for filter in filters.iter().filter(|filter| filter.is_on("disabled")) {
        let rbac = filter.field("typed_config").and_then(Rbac::of);
        if let (Some(_), Some(at)) = (rbac, filter.field("disabled")) {
            findings.tell(&SHADOW, at, "the filter is `disabled`");
        }
    }
}

fn retries(manager: At<'_>, findings: &mut Findings) {
    for at in manager.everything() {
        if let Some(policy) = at.field("retry_policy") {
            findings.tell(
                &RETRIES,
                policy,
                "a route, or its host, has a `retry_policy`",
            );
        }
    }
    if !manager.is_on("use_remote_address") {
        findings.want_on(&EDGE, manager, "use_remote_address");
    }
}

/// The mutation of a filter that writes the stream's limit.
fn duration_mutation(body: At<'_>) -> Option<At<'_>> {
    let mutations = body.fields(&["mutations", "request_mutations"])?;
    mutations.items().find_map(|mutation| {
        let append = mutation.field("append")?;
        let key = append.fields(&["header", "key"])?.text()?;
        key.eq_ignore_ascii_case(HEADER).then_some(append)
    })
}

/// Whether a script reads notAfter and writes the stream's limit.
fn is_scripted(filter: At<'_>) -> bool {
    typed_config(filter, ".Lua").is_some_and(|lua| {
        lua.everything()
            .filter_map(At::text)
            .any(|code| code.contains("expirationPeerCertificate") && code.contains(HEADER))
    })
}

const HEADER: &str = "x-envoy-upstream-stream-duration-ms";
const EARLY: [&str; 2] = ["%START_TIME", "request.time"];
/// How long a draining connection may be served.
const DRAIN_MS_MAX: u64 = 2000;

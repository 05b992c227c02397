//! Rules on clusters that show an elevated SVID.

use std::collections::{BTreeMap, BTreeSet};

use crate::mesh::lint::Run;
use crate::mesh::lint::envoy::listener::{FLOOR, words_of_floor};
use crate::mesh::lint::envoy::{millis, typed_config};
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name::is_scope_secret;
use crate::mesh::lint::rule::client::{
    ANY_SERVER, CLIENT_SESSIONS, CLIENT_TLS, DEFAULT_ELEVATED, POOL, POOL_LONG, PREFETCH,
    SILENT_REFUSAL,
};
use crate::mesh::lint::tree::At;

/// Whether a map is a cluster whose certificate may carry a scope.
pub(super) fn presents(cluster: At<'_>) -> bool {
    contexts(cluster).any(|context| {
        let common = context.field("common_tls_context");
        common.is_some_and(|common| selector(common).is_some() || shows_scope(common))
    })
}

/// Asks the rules.
pub(super) fn lint(
    cluster: At<'_>,
    bounded: &BTreeSet<&str>,
    run: &Run<'_>,
    findings: &mut Findings,
) {
    let proxied = cluster
        .word("name")
        .is_some_and(|name| bounded.contains(name));
    if let Some(bound) = bound(cluster) {
        let longest = run.pool_ms_longest(secret(cluster));
        if bound.text().and_then(millis).is_some_and(|ms| longest < ms) {
            let words = format!(
                "`max_connection_duration` is `{}`, half of the life is {} s",
                bound.text().unwrap_or_default(),
                longest / 1000
            );
            findings.tell(&POOL_LONG, bound, words);
        }
    } else if !is_patch(cluster) && !proxied {
        let place = cluster.field("name").unwrap_or(cluster);
        let words = "`max_connection_duration` is missing";
        findings.tell(&POOL, place, words);
    }
    for context in contexts(cluster) {
        let Some(common) = context.field("common_tls_context") else {
            continue;
        };
        let params = common.field("tls_params");
        let floor = params.and_then(|params| params.word(FLOOR));
        if !matches!(floor, Some("TLSv1_3" | "4")) {
            let place = params.and_then(|params| params.field(FLOOR));
            let place = place.or(params).unwrap_or(common);
            findings.tell(&CLIENT_TLS, place, words_of_floor(floor));
        }
        if context.word("max_session_keys") != Some("0") {
            let place = context.field("max_session_keys").unwrap_or(context);
            findings.tell(&CLIENT_SESSIONS, place, "`max_session_keys` is not 0");
        }
        if !matches_server(common) {
            let words = "no `match_typed_subject_alt_names`";
            findings.tell(&ANY_SERVER, common, words);
        }
        if let Some(selector) = selector(common) {
            on_demand(selector, findings);
        }
    }
}

fn on_demand(selector: At<'_>, findings: &mut Findings) {
    if let Some(kind) = selector.fields(&["config_source", "api_config_source", "api_type"])
        && matches!(kind.text(), Some("GRPC" | "2"))
    {
        findings.tell(&SILENT_REFUSAL, kind, "`api_type` is `GRPC`");
    }
    for secret in selector.list("prefetch_secret_names") {
        if secret.text().is_some_and(is_scope_secret) {
            let words = format!("`{}` is prefetched", secret.text().unwrap_or_default());
            findings.tell(&PREFETCH, secret, words);
        }
    }
    let default = selector.fields(&["certificate_mapper", "typed_config", "default_value"]);
    if let Some(default) = default
        && default.text().is_some_and(is_scope_secret)
    {
        let words = format!("the default is `{}`", default.text().unwrap_or_default());
        findings.tell(&DEFAULT_ELEVATED, default, words);
    }
}

/// The TLS contexts of a cluster, of its socket and of its socket matches.
fn contexts(cluster: At<'_>) -> impl Iterator<Item = At<'_>> {
    let matches = cluster.list("transport_socket_matches");
    let sockets = matches.filter_map(|one| one.field("transport_socket"));
    let sockets = cluster.field("transport_socket").into_iter().chain(sockets);
    sockets.filter_map(|socket| typed_config(socket, ".UpstreamTlsContext"))
}

/// The selector that asks for a secret when a request needs it.
fn selector(common: At<'_>) -> Option<At<'_>> {
    let selector = common.field("custom_tls_certificate_selector")?;
    typed_config(selector, ".on_demand_secret.v3.Config")
}

fn shows_scope(common: At<'_>) -> bool {
    let mut secrets = common.list("tls_certificate_sds_secret_configs");
    secrets.any(|secret| secret.word("name").is_some_and(is_scope_secret))
}

fn matches_server(common: At<'_>) -> bool {
    common.everything().any(|at| {
        ["match_typed_subject_alt_names", "match_subject_alt_names"]
            .iter()
            .any(|name| at.field(name).is_some_and(|list| !list.is_empty()))
    })
}

/// The longest life of its connections, by its own options.
fn bound(cluster: At<'_>) -> Option<At<'_>> {
    let options = cluster.field("typed_extension_protocol_options");
    let mut options = options.into_iter().flat_map(At::entries).chain([cluster]);
    options.find_map(|options| {
        options.fields(&["common_http_protocol_options", "max_connection_duration"])
    })
}

/// The one secret that it shows; none where requests choose.
fn secret(cluster: At<'_>) -> Option<&str> {
    let commons = contexts(cluster).filter_map(|context| context.field("common_tls_context"));
    let mut secrets = commons.flat_map(|common| common.list("tls_certificate_sds_secret_configs"));
    secrets.find_map(|secret| secret.word("name").filter(|name| is_scope_secret(name)))
}

/// Whether it is the part of a cluster that a patch adds: the rest stands elsewhere.
fn is_patch(cluster: At<'_>) -> bool {
    let parent = cluster.parent().and_then(At::key);
    cluster.key() == Some("value") && parent == Some("patch")
}

/// Clusters whose connections are bounded by every TCP proxy that uses them.
pub(super) fn bounded_by_proxies(root: At<'_>) -> BTreeSet<&str> {
    let mut bounded = BTreeMap::new();
    for proxy in root.everything() {
        let kind = proxy.word("@type");
        if kind.is_some_and(|kind| kind.ends_with(".TcpProxy"))
            && let Some(cluster) = proxy.word("cluster")
        {
            let own = proxy.field("max_downstream_connection_duration").is_some();
            *bounded.entry(cluster).or_insert(true) &= own;
        }
    }
    let bounded = bounded.into_iter().filter(|(_, bounded)| *bounded);
    bounded.map(|(cluster, _)| cluster).collect()
}

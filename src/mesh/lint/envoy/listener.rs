//! Rules on listeners: handshakes, and what bounds the connections that they open.

use crate::mesh::lint::envoy::rbac::Rbac;
use crate::mesh::lint::envoy::{http, typed, typed_config};
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::rule::bounds::TCP;
use crate::mesh::lint::rule::trust::{
    NO_CLIENT_CERTIFICATE, NO_RBAC, SERVER_TLS, SESSION_IDS, TICKETS,
};
use crate::mesh::lint::tree::At;

/// Asks the rules of every filter chain.
pub(super) fn lint(listener: At<'_>, findings: &mut Findings) {
    let chains = listener.list("filter_chains");
    for chain in chains.chain(listener.field("default_filter_chain")) {
        lint_chain(chain, findings);
    }
}

fn lint_chain(chain: At<'_>, findings: &mut Findings) {
    let filters = Rbac::below(chain);
    let scoped = filters.iter().any(|filter| filter.speaks_of_scope());
    if let Some(context) = downstream(chain) {
        handshake(chain, context, &filters, scoped, findings);
    }
    let modules = chain.list("filters").any(is_expiry_module);
    for filter in chain.list("filters") {
        if let Some(manager) = typed_config(filter, "HttpConnectionManager") {
            http::lint(manager, scoped, modules, findings);
        }
        if let Some(proxy) = typed_config(filter, ".TcpProxy")
            && scoped
            && !modules
            && proxy.field("max_downstream_connection_duration").is_none()
        {
            let words = "`max_downstream_connection_duration` is missing";
            findings.tell(&TCP, proxy, words);
        }
    }
}

fn handshake(
    chain: At<'_>,
    context: At<'_>,
    filters: &[Rbac<'_>],
    scoped: bool,
    findings: &mut Findings,
) {
    let common = context.field("common_tls_context");
    let validation = common.and_then(|common| VALIDATIONS.iter().find_map(|n| common.field(n)));
    let required = context.is_on("require_client_certificate");
    if !required && validation.is_none() {
        if filters.iter().any(|filter| filter.asks_name()) {
            findings.want_on(&NO_CLIENT_CERTIFICATE, context, REQUIRE);
        }
        return;
    }
    findings.want_on(&TICKETS, context, "disable_stateless_session_resumption");
    findings.want_on(&SESSION_IDS, context, "disable_stateful_session_resumption");
    let named = filters.iter().any(|filter| filter.asks_name());
    if named && !required {
        findings.want_on(&NO_CLIENT_CERTIFICATE, context, REQUIRE);
    }
    let matched = validation.is_some_and(matches_names);
    if required && filters.is_empty() && !matched && !is_authorised_elsewhere(chain) {
        let place = context.field(REQUIRE).unwrap_or(context);
        findings.tell(&NO_RBAC, place, "no filter of this chain asks for a name");
    }
    if scoped {
        let floor = common.and_then(|common| common.field("tls_params"));
        let floor_word = floor.and_then(|params| params.word(FLOOR));
        if !matches!(floor_word, Some("TLSv1_3" | "4")) {
            let place = floor.and_then(|params| params.field(FLOOR));
            let place = place.or(floor).or(common).unwrap_or(context);
            findings.tell(&SERVER_TLS, place, words_of_floor(floor_word));
        }
    }
}

/// What is said of a floor of TLS that is too low.
pub(super) fn words_of_floor(floor: Option<&str>) -> String {
    floor.map_or_else(
        || format!("`{FLOOR}` is missing"),
        |floor| format!("`{FLOOR}` is `{floor}`"),
    )
}

/// The TLS context of a chain, also the one inside QUIC's.
fn downstream(chain: At<'_>) -> Option<At<'_>> {
    let socket = chain.field("transport_socket")?;
    typed_config(socket, ".DownstreamTlsContext").or_else(|| {
        typed_config(socket, ".QuicDownstreamTransport")?.field("downstream_tls_context")
    })
}

/// Whether TLS itself matches names.
fn matches_names(validation: At<'_>) -> bool {
    validation.everything().any(|at| {
        ["match_typed_subject_alt_names", "match_subject_alt_names"]
            .iter()
            .any(|name| at.field(name).is_some_and(|list| !list.is_empty()))
    })
}

/// Whether another filter may ask for names: an authoriser outside, or rules by discovery.
fn is_authorised_elsewhere(chain: At<'_>) -> bool {
    chain.everything().any(|at| {
        let discovered = at.field("config_discovery").is_some_and(|discovery| {
            let mut kinds = discovery.list("type_urls").filter_map(At::text);
            kinds.any(|kind| kind.rsplit('.').next() == Some("RBAC"))
        });
        let deny_list = at
            .word("name")
            .is_some_and(|name| name.starts_with(DENY_LIST));
        let outside = typed(at, ".ExtAuthz").is_some();
        outside || (discovered && !deny_list)
    })
}

fn is_expiry_module(filter: At<'_>) -> bool {
    typed_config(filter, ".DynamicModuleNetworkFilter")
        .or_else(|| typed_config(filter, ".DynamicModuleFilter"))
        .is_some()
}

/// The floor of TLS, in `tls_params`.
pub(super) const FLOOR: &str = "tls_minimum_protocol_version";
const REQUIRE: &str = "require_client_certificate";
/// The agent's deny list, of HTTP and of TCP: it says who is out, not who is in.
const DENY_LIST: &str = "protem.deny_list";
const VALIDATIONS: [&str; 3] = [
    "combined_validation_context",
    "validation_context",
    "validation_context_sds_secret_config",
];

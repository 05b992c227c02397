//! Who may, as Envoy's RBAC: `mtls_authenticated` with exact names, two of them under `dns`.
//!
//! Promises: one principal for each identity; nothing is matched by its beginning or its end.
//! Refuses: `principal_name`, which takes one kind of name for another.

use crate::mesh::right::{Holder, Right};
use crate::mesh::template::fill;

/// The policies of a filter, for HTTP or for raw TCP.
pub(crate) fn policies(right: &Right, is_tcp: bool) -> String {
    let (elevated, base) = if is_tcp {
        (
            include_str!("policies_tcp.yaml"),
            include_str!("policies_tcp_base.yaml"),
        )
    } else {
        (
            include_str!("policies_http.yaml"),
            include_str!("policies_http_base.yaml"),
        )
    };
    let holders: Vec<_> = right.holders().iter().map(elevated_principal).collect();
    let scope = right.scope().as_str();
    let mut text = fill(
        elevated,
        &[("scope", scope), ("elevated", &listed(&holders))],
    );
    let bases: Vec<_> = right
        .base()
        .iter()
        .map(|subject| principal("URI", &subject.to_string()))
        .collect();
    if !bases.is_empty() {
        text.push_str(&fill(base, &[("base", &listed(&bases))]));
    }
    text
}

/// The certificate of a holder.
fn elevated_principal(holder: &Holder) -> String {
    let uri = principal("URI", &holder.sans.uri.to_string());
    match &holder.sans.dns {
        None => uri,
        Some(name) => fill(
            include_str!("principal_both.yaml"),
            &[("uri", &uri), ("dns", &principal("DNS", name))],
        ),
    }
}

/// One exact name.
pub(crate) fn principal(kind: &str, name: &str) -> String {
    fill(
        include_str!("principal.yaml"),
        &[("kind", kind), ("name", name)],
    )
}

/// Every name that may show itself in a handshake.
pub(crate) fn names(right: &Right) -> String {
    let holders = right
        .holders()
        .iter()
        .map(|holder| holder.sans.uri.to_string());
    let base = right.base().iter().map(ToString::to_string);
    let name = |name: String| format!("- {{san_type: URI, matcher: {{exact: \"{name}\"}}}}\n");
    holders.chain(base).map(name).collect()
}

fn listed(items: &[String]) -> String {
    let listed = items
        .iter()
        .map(|item| fill("- {{item}}", &[("item", item)]));
    listed.collect()
}

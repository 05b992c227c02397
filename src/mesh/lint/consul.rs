//! Rules on Consul: intentions, as resources of Kubernetes or as entries of its own, and the
//! settings of its proxies and its certificate authority.
//!
//! Consul compares a client's name with a pattern that ends after the service.
//!
//! Refuses: HCL; its JSON form is read.

use crate::mesh::lint::Named;
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name::Elevated;
use crate::mesh::lint::rule::identity::ESCAPES;
use crate::mesh::lint::rule::meshes::{
    ANY_SOURCE, BELOW_THE_FLOOR, CONSUL_PERMISSIVE, UNMATCHABLE,
};
use crate::mesh::lint::tree::At;
use crate::scope::Encoding;

/// Asks all rules; how many documents are Consul's.
pub(super) fn lint<'a>(
    documents: &[At<'a>],
    findings: &mut Findings,
    named: &mut Named<'a>,
) -> usize {
    let mut known = 0;
    for document in documents {
        let resource = document
            .word("apiVersion")
            .is_some_and(|version| version.starts_with("consul.hashicorp.com/"));
        let kind = either(*document, "kind", "Kind").and_then(At::text);
        let entry = document.field("apiVersion").is_none() && is_entry(kind);
        let settings = document.field("connect").is_some();
        if !resource && !entry && !settings {
            continue;
        }
        known += 1;
        let body = document
            .field("spec")
            .filter(|_| resource)
            .unwrap_or(*document);
        match kind {
            Some("ServiceIntentions" | "service-intentions") => {
                intentions(body, findings, named);
            }
            _ => proxies(body, findings),
        }
    }
    known
}

fn is_entry(kind: Option<&str>) -> bool {
    matches!(
        kind,
        Some("service-intentions" | "service-defaults" | "proxy-defaults" | "mesh")
    )
}

fn intentions<'a>(body: At<'a>, findings: &mut Findings, named: &mut Named<'a>) {
    let sources = either(body, "sources", "Sources");
    let sources: Vec<Source<'a>> = sources
        .into_iter()
        .flat_map(At::items)
        .filter_map(Source::of)
        .collect();
    let scoped = sources.iter().any(|source| source.scope().is_some());
    let open = sources
        .iter()
        .find(|source| source.name == "*" && source.allows);
    if let Some(open) = open.filter(|_| scoped) {
        findings.tell(&ANY_SOURCE, open.at, "`*` is allowed");
    }
    for source in &sources {
        let name = source.name;
        if name.contains('/') {
            findings.tell(&UNMATCHABLE, source.at, format!("source `{name}`"));
        }
        if open.is_some() && !source.allows && name != "*" && source.scope().is_none() {
            let words = format!("`{name}` is denied, `{name}_...` is not");
            findings.tell(&ESCAPES, source.at, words);
        }
        if let Some(elevated) = source.scope() {
            named.push((elevated, source.at));
        }
    }
}

/// Whom an intention is about.
struct Source<'a> {
    /// Where it is named.
    at: At<'a>,
    name: &'a str,
    allows: bool,
}

impl<'a> Source<'a> {
    fn of(source: At<'a>) -> Option<Self> {
        let at = either(source, "name", "Name")?;
        let permissions = either(source, "permissions", "Permissions");
        let actions = permissions.into_iter().flat_map(At::items).chain([source]);
        let mut actions = actions.filter_map(|one| either(one, "action", "Action")?.text());
        Some(Self {
            at,
            name: at.text()?,
            allows: actions.any(|action| action == "allow"),
        })
    }

    fn scope(&self) -> Option<Elevated<'a>> {
        let (base, scope) = self.name.split_once('_')?;
        Some(Elevated {
            base,
            scope: scope.parse().ok()?,
            encoding: Encoding::Folded,
        })
    }
}

fn proxies(body: At<'_>, findings: &mut Findings) {
    for at in body.everything() {
        let key = at.key().unwrap_or_default();
        let text = at.text().unwrap_or_default();
        match key {
            "mutualTLSMode" | "MutualTLSMode" if text == "permissive" => {
                findings.tell(&CONSUL_PERMISSIVE, at, format!("`{key}` is `permissive`"));
            }
            "leafCertTTL" | "LeafCertTTL" | "leaf_cert_ttl" if is_below_an_hour(text) => {
                findings.tell(&BELOW_THE_FLOOR, at, format!("`{key}` is `{text}`"));
            }
            _ => {}
        }
    }
}

/// Whether a span of Go is below an hour: it has no hours, and no sixty minutes.
fn is_below_an_hour(text: &str) -> bool {
    let minutes = text.split_once('m').map_or("0", |(minutes, _)| minutes);
    let ends = text.ends_with(['m', 's']);
    ends && !text.contains('h') && minutes.parse::<u32>().is_ok_and(|minutes| minutes < 60)
}

fn either<'a>(at: At<'a>, first: &str, second: &str) -> Option<At<'a>> {
    at.field(first).or_else(|| at.field(second))
}

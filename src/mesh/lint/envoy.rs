//! Rules on Envoy: bootstraps, files of dynamic configuration, dumps, and what an `EnvoyFilter`
//! patches in.
//!
//! Parts are known by their shape and type wherever they stand, so that a dump, a bootstrap and a
//! patch are looked at by the same rules.
//!
//! Refuses: Lua, Wasm and dynamic modules beyond the question whether they may be the recipe.

mod cluster;
mod http;
mod listener;
mod mapper;
mod rbac;
mod trust;

use std::collections::BTreeSet;

use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::rule::trust::IN_PLACE;
use crate::mesh::lint::tree::{At, Tree};
use crate::mesh::lint::{Named, Run};

/// Asks all rules of a file; how many documents are Envoy's own.
pub(super) fn lint<'a>(
    tree: &'a Tree,
    run: &Run<'_>,
    findings: &mut Findings,
    named: &mut Named<'a>,
) -> usize {
    let mut known = 0;
    for document in tree.documents() {
        let own = OWN.iter().any(|name| document.field(name).is_some());
        known += usize::from(own);
        for root in roots(document) {
            let bounded = cluster::bounded_by_proxies(root);
            for at in root.everything() {
                look(at, &bounded, run, findings, named);
            }
            mapper::lint(root, findings);
        }
    }
    known
}

fn look<'a>(
    at: At<'a>,
    bounded: &BTreeSet<&str>,
    run: &Run<'_>,
    findings: &mut Findings,
    named: &mut Named<'a>,
) {
    if !at.is_map() {
        return;
    }
    if at.field("filter_chains").is_some_and(At::is_list) {
        listener::lint(at, findings);
    }
    if let Some(filter) = rbac::Rbac::of(at) {
        filter.lint(run, findings, named);
    }
    if cluster::presents(at) {
        cluster::lint(at, bounded, run, findings);
    }
    if let Some(mutation) = typed(at, ".HeaderMutation") {
        http::written(mutation, findings);
    }
    trust::lint(at, findings, named);
    if let Some(source) = at.field("path_config_source")
        && source.field("watched_directory").is_none()
        && under_secret(at)
    {
        let words = "`watched_directory` is missing";
        findings.tell(&IN_PLACE, source, words);
    }
}

/// Whether a source of configuration brings certificates or roots.
fn under_secret(source: At<'_>) -> bool {
    let config = source.parent().filter(|_| SOURCES.contains(&source.key()));
    config.is_some_and(|config| {
        let list = config.parent().and_then(At::key);
        SECRETS.contains(&config.key()) || SECRETS.contains(&list)
    })
}

/// The parts of a document that are looked at. A dump holds its bootstrap beside the listeners
/// that came of it: those are told once.
fn roots(document: At<'_>) -> Vec<At<'_>> {
    let configs: Vec<At<'_>> = document.list("configs").collect();
    let is = |at: &At<'_>, name: &str| at.word("@type").is_some_and(|kind| kind.ends_with(name));
    if configs.iter().any(|at| is(at, ".ListenersConfigDump")) {
        let parts = configs.into_iter();
        return parts.filter(|at| !is(at, ".BootstrapConfigDump")).collect();
    }
    vec![document]
}

/// The body of a typed value whose type ends so, unwrapped where it comes as a `TypedStruct`.
fn typed<'a>(at: At<'a>, ending: &str) -> Option<At<'a>> {
    let kind = at.word("@type")?;
    if kind.ends_with(ending) {
        return Some(at);
    }
    let body = at.field("value")?;
    let kind = at.word("type_url")?;
    kind.ends_with(ending).then_some(body)
}

/// The body of the typed configuration under a map, whose type ends so.
fn typed_config<'a>(at: At<'a>, ending: &str) -> Option<At<'a>> {
    typed(at.field("typed_config")?, ending)
}

/// A span as Envoy writes it, in milliseconds.
fn millis(text: &str) -> Option<u64> {
    let text = text.strip_suffix('s')?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part: String = format!("{part}000").chars().take(3).collect();
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(1000)?.checked_add(part.parse().ok()?)
}

const SOURCES: [Option<&str>; 2] = [Some("sds_config"), Some("sdsConfig")];
const SECRETS: [Option<&str>; 4] = [
    Some("tls_certificate_sds_secret_configs"),
    Some("tlsCertificateSdsSecretConfigs"),
    Some("validation_context_sds_secret_config"),
    Some("validationContextSdsSecretConfig"),
];
const OWN: [&str; 5] = [
    "static_resources",
    "dynamic_resources",
    "configs",
    "resources",
    "filter_chains",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_to_the_millisecond() {
        assert_eq!(millis("5s"), Some(5000));
        assert_eq!(millis("0.25s"), Some(250));
        assert_eq!(millis("1.0005s"), Some(1000));
        assert_eq!(millis("5"), None);
    }
}

//! Rules on `DestinationRule`: how an elevated SVID goes out, and what the server makes of it.

use super::Resource;
use crate::mesh::lint::Run;
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name::is_scope_secret;
use crate::mesh::lint::rule::client::POOL_LONG;
use crate::mesh::lint::rule::meshes::{
    NO_BOUND, NO_SELECTOR, NO_SERVER_NAME, NOT_STRICT, PERMISSIVE, UNVERIFIED,
};
use crate::mesh::lint::tree::At;
use crate::time::Seconds;

/// Asks the rules of all destinations.
pub(super) fn lint(resources: &[Resource<'_>], run: &Run<'_>, findings: &mut Findings) {
    for rule in resources.iter().filter(|one| one.is("DestinationRule")) {
        let Some(spec) = rule.spec() else { continue };
        for tls in elevated(spec) {
            lint_tls(spec, tls, run, findings);
            server(rule, spec, tls, resources, findings);
        }
    }
}

/// The TLS settings that send a scope's credential.
fn elevated(spec: At<'_>) -> impl Iterator<Item = At<'_>> {
    spec.everything().filter(|at| {
        let credential = at.word("credentialName");
        at.key() == Some("tls") && credential.is_some_and(is_scope_secret)
    })
}

fn lint_tls(spec: At<'_>, tls: At<'_>, run: &Run<'_>, findings: &mut Findings) {
    let credential = tls.field("credentialName").unwrap_or(tls);
    if spec.field("workloadSelector").is_none() {
        findings.tell(&NO_SELECTOR, credential, "`workloadSelector` is missing");
    }
    let policies = [tls.parent(), spec.field("trafficPolicy")];
    let bound = policies
        .into_iter()
        .flatten()
        .find_map(|policy| policy.fields(&["connectionPool", "tcp", "maxConnectionDuration"]));
    if let Some(bound) = bound {
        let span = bound.text().and_then(|text| text.parse::<Seconds>().ok());
        let longest = run.pool_ms_longest(credential.text()) / 1000;
        if span.is_some_and(|span| longest < u64::from(span.count())) {
            let text = bound.text().unwrap_or_default();
            let words =
                format!("`maxConnectionDuration` is `{text}`, half of the life is {longest} s");
            findings.tell(&POOL_LONG, bound, words);
        }
    } else {
        let words = "`connectionPool.tcp.maxConnectionDuration` is missing";
        findings.tell(&NO_BOUND, tls, words);
    }
    if tls.field("subjectAltNames").is_none_or(At::is_empty) {
        findings.tell(&NO_SERVER_NAME, tls, "`subjectAltNames` is missing");
    }
    if tls.is_on("insecureSkipVerify") {
        let place = tls.field("insecureSkipVerify").unwrap_or(tls);
        findings.tell(&UNVERIFIED, place, "`insecureSkipVerify` is `true`");
    }
}

/// What the namespace of the server says of plain text.
fn server(
    rule: &Resource<'_>,
    spec: At<'_>,
    tls: At<'_>,
    resources: &[Resource<'_>],
    findings: &mut Findings,
) {
    let mutual = tls
        .field("mode")
        .filter(|mode| mode.text() == Some("MUTUAL"));
    let host = spec
        .word("host")
        .and_then(|host| namespace_of(host, rule.namespace));
    let (Some(mode), Some(namespace)) = (mutual, host) else {
        return;
    };
    let peers = resources.iter().filter(|one| one.is("PeerAuthentication"));
    let peers = peers.filter(|one| one.reaches(namespace));
    let modes: Vec<At<'_>> = peers.flat_map(modes).collect();
    let mut strict = false;
    for peer in modes {
        match peer.text() {
            Some("DISABLE" | "PERMISSIVE") => {
                let words = format!(
                    "`{}` in `{namespace}`, and `{}` goes there with MUTUAL",
                    peer.text().unwrap_or_default(),
                    rule.head().text().unwrap_or_default(),
                );
                findings.tell(&PERMISSIVE, peer, words);
                strict = true;
            }
            Some("STRICT") => strict = true,
            _ => {}
        }
    }
    if !strict {
        let words = format!("no PeerAuthentication of `{namespace}` says STRICT");
        findings.tell(&NOT_STRICT, mode, words);
    }
}

fn modes<'a>(peer: &Resource<'a>) -> Vec<At<'a>> {
    let Some(spec) = peer.spec() else {
        return Vec::new();
    };
    let ports = spec
        .field("portLevelMtls")
        .into_iter()
        .flat_map(At::entries);
    let all = spec.field("mtls").into_iter().chain(ports);
    all.filter_map(|mtls| mtls.field("mode")).collect()
}

/// The namespace of a host in the mesh; none of a host outside.
fn namespace_of<'a>(host: &'a str, own: &'a str) -> Option<&'a str> {
    let mut parts = host.split('.');
    let _service = parts.next()?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => Some(own),
        (Some(namespace), None | Some("svc"), _) => Some(namespace),
        _ => None,
    }
}

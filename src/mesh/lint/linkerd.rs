//! Rules on Linkerd's policy resources.
//!
//! Linkerd's server takes the first SAN for the client's identity and compares a SPIFFE ID whole.
//!
//! Refuses: `HTTPRoute` and its like: they choose requests, not identities.

use crate::mesh::lint::Named;
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name;
use crate::mesh::lint::rule::meshes::{
    DNS_PATTERN, EVERY_IDENTITY, NEVER_FIRST, OPEN_SERVER, UNAUTHENTICATED,
};
use crate::mesh::lint::tree::At;

/// Asks all rules; how many documents are Linkerd's.
pub(super) fn lint<'a>(
    documents: &[At<'a>],
    findings: &mut Findings,
    named: &mut Named<'a>,
) -> usize {
    let own = documents.iter().filter(|one| {
        let version = one.word("apiVersion").unwrap_or_default();
        version.starts_with("policy.linkerd.io/")
    });
    let mut known = 0;
    for document in own {
        known += 1;
        let Some(spec) = document.field("spec") else {
            continue;
        };
        match document.word("kind") {
            Some("MeshTLSAuthentication") => identities(spec, findings, named),
            Some("Server") => server(spec, findings),
            Some("ServerAuthorization") => client(spec, findings, named),
            _ => {}
        }
    }
    known
}

fn identities<'a>(spec: At<'a>, findings: &mut Findings, named: &mut Named<'a>) {
    for at in spec.list("identities") {
        let Some(text) = at.text() else { continue };
        if text == "*" {
            findings.tell(&EVERY_IDENTITY, at, "`*` means every identity");
        } else if text.contains('*') {
            findings.tell(&DNS_PATTERN, at, format!("`{text}` has a wildcard"));
        } else if !text.contains('/') && name::speaks_of_scope(text) {
            findings.tell(&NEVER_FIRST, at, format!("`{text}` is the second SAN"));
        }
        if let Some(elevated) = name::elevated(text) {
            named.push((elevated, at));
        }
    }
}

fn server(spec: At<'_>, findings: &mut Findings) {
    let policy = spec.field("accessPolicy");
    if let Some(at) = policy
        && let Some(word) = at.text()
        && (word.ends_with("unauthenticated") || word == "audit")
    {
        findings.tell(&OPEN_SERVER, at, format!("`accessPolicy` is `{word}`"));
    }
}

fn client<'a>(spec: At<'a>, findings: &mut Findings, named: &mut Named<'a>) {
    let Some(client) = spec.field("client") else {
        return;
    };
    let mesh = client.field("meshTLS");
    for (map, switch) in [
        (Some(client), "unauthenticated"),
        (mesh, "unauthenticatedTLS"),
    ] {
        if let Some(map) = map
            && map.is_on(switch)
            && let Some(at) = map.field(switch)
        {
            findings.tell(&UNAUTHENTICATED, at, format!("`{switch}` is `true`"));
        }
    }
    if let Some(mesh) = mesh {
        identities(mesh, findings, named);
    }
}

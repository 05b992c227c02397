//! Rules on `AuthorizationPolicy`: whom `principals` let in, and what enforces them in a sidecar.

use super::Resource;
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name;
use crate::mesh::lint::rule::identity::{ESCAPES, INHERITS, PREFIX, SUFFIX};
use crate::mesh::lint::rule::meshes::{
    ALIAS, ALLOW_ALL, AMBIENT, AUDIT_ONLY, ISTIO_NO_RECIPE, ISTIO_RESUMES, SCHEME,
};
use crate::mesh::lint::tree::At;
use crate::mesh::lint::{Named, Run};
use crate::scope::Encoding;

/// Asks the rules of all policies.
pub(super) fn lint<'a>(
    resources: &[Resource<'a>],
    run: &Run,
    findings: &mut Findings,
    named: &mut Named<'a>,
) {
    let policies = resources.iter().filter(|one| one.is("AuthorizationPolicy"));
    let policies: Vec<Policy<'a>> = policies.filter_map(|one| Policy::of(*one)).collect();
    for policy in &policies {
        for source in policy.sources() {
            policy.source(source, run, findings, named);
        }
        if policy.speaks_of_scope() {
            policy.enforced(resources, findings);
            policy.ambient(resources, findings);
        }
        policy.open(&policies, findings);
    }
}

#[derive(Clone, Copy)]
struct Policy<'a> {
    resource: Resource<'a>,
    spec: At<'a>,
    action: &'a str,
}

impl<'a> Policy<'a> {
    fn of(resource: Resource<'a>) -> Option<Self> {
        let spec = resource.spec()?;
        Some(Self {
            resource,
            spec,
            action: spec.word("action").unwrap_or("ALLOW"),
        })
    }

    fn sources(self) -> impl Iterator<Item = At<'a>> {
        let from = self.spec.list("rules").flat_map(|rule| rule.list("from"));
        from.filter_map(|from| from.field("source"))
    }

    fn names(self) -> impl Iterator<Item = &'a str> {
        let lists = |source: At<'a>| {
            let names = source
                .list("principals")
                .chain(source.list("notPrincipals"));
            names.filter_map(At::text)
        };
        self.sources().flat_map(lists)
    }

    fn speaks_of_scope(self) -> bool {
        let mut names = self.names();
        names.any(name::speaks_of_scope)
    }

    fn source(self, source: At<'a>, run: &Run, findings: &mut Findings, named: &mut Named<'a>) {
        let allows = self.action == "ALLOW";
        for (list, positive) in [("principals", true), ("notPrincipals", false)] {
            let all: Vec<At<'a>> = source.list(list).collect();
            let lets_in = allows == positive && matches!(self.action, "ALLOW" | "DENY");
            for at in &all {
                let Some(text) = at.text() else { continue };
                if let Some(elevated) = name::elevated(text)
                    && !text.contains('*')
                {
                    if elevated.base.starts_with("cluster.local/") {
                        let words = format!("`{text}` begins with `cluster.local`");
                        findings.tell(&ALIAS, *at, words);
                    }
                    named.push((elevated, *at));
                }
                if text.starts_with("spiffe://") {
                    findings.tell(&SCHEME, *at, format!("`{text}`"));
                }
                if lets_in {
                    loose(*at, text, run, findings);
                } else if run.scoped && escapes(text, &all) {
                    let words = format!("`{text}` is kept out, `{text}/scope/...` is not");
                    findings.tell(&ESCAPES, *at, words);
                }
            }
        }
        for list in ["namespaces", "serviceAccounts"] {
            if allows
                && run.scoped
                && let Some(at) = source.field(list)
            {
                let words = format!("`{list}` also means every elevated name in it");
                findings.tell(&INHERITS, at, words);
            }
        }
    }

    /// What a sidecar needs beside the policy, so that a right ends.
    fn enforced(self, resources: &[Resource<'a>], findings: &mut Findings) {
        let head = self.resource.head();
        let dry = self.resource.annotation("istio.io/dry-run");
        if let Some(dry) = dry.filter(|dry| dry.text() == Some("true")) {
            findings.tell(&AUDIT_ONLY, dry, "the policy is a dry run");
        }
        if self.action == "AUDIT" {
            let place = self.spec.field("action").unwrap_or(head);
            findings.tell(&AUDIT_ONLY, place, "`action` is `AUDIT`");
        }
        let namespace = self.resource.namespace;
        let filters = resources.iter().filter(|one| one.is("EnvoyFilter"));
        let filters: Vec<At<'a>> = filters
            .filter(|one| one.reaches(namespace))
            .filter_map(Resource::spec)
            .collect();
        let any = |check: fn(At<'a>) -> bool| {
            let mut all = filters.iter().flat_map(|filter| filter.everything());
            all.any(check)
        };
        if !any(|at| SWITCHES.iter().all(|name| at.is_on(name))) {
            let words = format!("no EnvoyFilter of `{namespace}` sets both switches");
            findings.tell(&ISTIO_RESUMES, head, words);
        }
        if !any(|at| at.text().is_some_and(|text| text.contains(HEADER))) {
            let words = format!("no EnvoyFilter of `{namespace}` writes `{HEADER}`");
            findings.tell(&ISTIO_NO_RECIPE, head, words);
        }
    }

    fn ambient(self, resources: &[Resource<'a>], findings: &mut Findings) {
        let refs = self
            .spec
            .list("targetRefs")
            .chain(self.spec.field("targetRef"));
        let waypoint = refs.into_iter().any(|one| is_waypoint(one, resources));
        let ambient = resources.iter().any(|one| {
            one.kind == "Namespace"
                && one.label("istio.io/dataplane-mode") == Some("ambient")
                && one.head().text() == Some(self.resource.namespace)
        });
        if !waypoint && !ambient {
            return;
        }
        let principals = self.sources().flat_map(|source| source.list("principals"));
        for at in principals {
            let elevated = at.text().and_then(name::elevated);
            if elevated.is_some_and(|one| one.encoding == Encoding::Path) {
                let words = format!("`{}`", at.text().unwrap_or_default());
                findings.tell(&AMBIENT, at, words);
            }
        }
    }

    /// A policy that allows everything, beside one that asks for a scope.
    fn open(self, all: &[Self], findings: &mut Findings) {
        if self.action != "ALLOW" {
            return;
        }
        let beside = all.iter().any(|other| {
            other.action == "ALLOW"
                && other.speaks_of_scope()
                && self.resource.reaches(other.resource.namespace)
                && (self.selector().is_empty() || self.selector() == other.selector())
        });
        let mut rules = self.spec.list("rules");
        if let Some(rule) = rules.find(|rule| rule.is_empty()).filter(|_| beside) {
            findings.tell(&ALLOW_ALL, rule, "an empty rule allows everything");
        }
    }

    fn selector(self) -> Vec<(&'a str, &'a str)> {
        let labels = self.spec.fields(&["selector", "matchLabels"]);
        let labels = labels.into_iter().flat_map(At::entries);
        let mut pairs: Vec<_> = labels
            .filter_map(|at| Some((at.key()?, at.text()?)))
            .collect();
        pairs.sort_unstable();
        pairs
    }
}

fn is_waypoint(target: At<'_>, resources: &[Resource<'_>]) -> bool {
    let name = target.word("name").unwrap_or_default();
    match target.word("kind").unwrap_or_default() {
        "Service" | "ServiceEntry" => true,
        "GatewayClass" => name == WAYPOINT,
        "Gateway" => {
            let known = resources.iter().filter(|one| one.kind == "Gateway");
            let mut named = known.filter(|one| one.head().text() == Some(name));
            named.any(|one| {
                let class = one.spec().and_then(|spec| spec.word("gatewayClassName"));
                class == Some(WAYPOINT)
            })
        }
        _ => false,
    }
}

/// A name that lets in more than one.
fn loose(at: At<'_>, text: &str, run: &Run, findings: &mut Findings) {
    if text == "*" {
        if run.scoped {
            findings.tell(&PREFIX, at, "`*` means every name");
        }
    } else if text.starts_with('*') {
        let words = format!("names are matched by their end: `{text}`");
        findings.tell(&SUFFIX, at, words);
    } else if text.ends_with('*') && run.scoped {
        let words = format!("names are matched by their beginning: `{text}`");
        findings.tell(&PREFIX, at, words);
    }
}

/// Whether an elevated form of an exact base name is missed by all names of a list.
fn escapes(text: &str, all: &[At<'_>]) -> bool {
    let whole = text.contains('/') && !text.contains('*') && !name::speaks_of_scope(text);
    let below = format!("{text}/scope/");
    let covered = all.iter().filter_map(|at| at.text()).any(|other| {
        let prefix = other.strip_suffix('*');
        prefix.is_some_and(|prefix| below.starts_with(prefix))
    });
    whole && !covered
}

const SWITCHES: [&str; 2] = [
    "disable_stateless_session_resumption",
    "disable_stateful_session_resumption",
];
const HEADER: &str = "x-envoy-upstream-stream-duration-ms";
const WAYPOINT: &str = "istio-waypoint";

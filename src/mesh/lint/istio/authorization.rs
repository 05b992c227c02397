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
    run: &Run<'_>,
    findings: &mut Findings,
    named: &mut Named<'a>,
) {
    let policies = resources.iter().filter(|one| one.is("AuthorizationPolicy"));
    let policies: Vec<Policy<'a>> = policies.filter_map(|one| Policy::of(*one)).collect();
    let filters = resources.iter().filter(|one| one.is("EnvoyFilter"));
    let patches: Vec<Patches<'a>> = filters.filter_map(|one| Patches::of(*one)).collect();
    let scoped: Vec<&Policy<'a>> = policies
        .iter()
        .filter(|one| one.speaks_of_scope())
        .collect();
    for policy in &policies {
        for (list, positive) in policy.lists() {
            policy.list(&list, positive, run, findings, named);
        }
        for source in policy.sources() {
            policy.source(source, run, findings);
        }
        if policy.speaks_of_scope() {
            policy.enforced(&patches, findings);
            policy.ambient(resources, findings);
        }
        policy.open(&scoped, findings);
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

    /// The lists of names, each with whether it means those in it or all others.
    fn lists(self) -> Vec<(Vec<At<'a>>, bool)> {
        let mut lists = Vec::new();
        let mut add = |at: At<'a>, list: &str, positive| {
            lists.push((at.list(list).collect(), positive));
        };
        for source in self.sources() {
            add(source, "principals", true);
            add(source, "notPrincipals", false);
        }
        for when in self.spec.list("rules").flat_map(|rule| rule.list("when")) {
            if when.word("key") == Some("source.principal") {
                add(when, "values", true);
                add(when, "notValues", false);
            }
        }
        lists
    }

    fn names(self) -> impl Iterator<Item = &'a str> {
        let names = self.lists().into_iter().flat_map(|(list, _)| list);
        names.filter_map(At::text)
    }

    fn speaks_of_scope(self) -> bool {
        let mut names = self.names();
        names.any(name::speaks_of_scope)
    }

    /// One list of names, of which a match lets in or keeps out.
    fn list(
        self,
        all: &[At<'a>],
        positive: bool,
        run: &Run<'_>,
        findings: &mut Findings,
        named: &mut Named<'a>,
    ) {
        let lets_in = (self.action == "ALLOW") == positive;
        for at in all {
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
            if !matches!(self.action, "ALLOW" | "DENY") {
                continue;
            }
            if lets_in {
                loose(*at, text, run, findings);
            } else if run.scoped && escapes(text, all) {
                let words = format!("`{text}` is kept out, `{text}/scope/...` is not");
                findings.tell(&ESCAPES, *at, words);
            }
        }
    }

    fn source(self, source: At<'a>, run: &Run<'_>, findings: &mut Findings) {
        let allows = self.action == "ALLOW";
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
    fn enforced(self, patches: &[Patches<'a>], findings: &mut Findings) {
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
        let patches = || patches.iter().filter(|one| one.resource.reaches(namespace));
        if !patches().any(|one| one.switches) {
            let words = format!("no EnvoyFilter of `{namespace}` sets both switches");
            findings.tell(&ISTIO_RESUMES, head, words);
        }
        if !patches().any(|one| one.recipe) {
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
    fn open(self, scoped: &[&Self], findings: &mut Findings) {
        let mut rules = self.spec.list("rules");
        let Some(rule) = rules.find(|rule| rule.is_empty()) else {
            return;
        };
        if self.action != "ALLOW" {
            return;
        }
        let selector = self.selector();
        let beside = scoped.iter().any(|other| {
            other.action == "ALLOW"
                && self.resource.reaches(other.resource.namespace)
                && (selector.is_empty() || selector == other.selector())
        });
        if beside {
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

/// What the patches of an `EnvoyFilter` bring.
struct Patches<'a> {
    resource: Resource<'a>,
    /// Both resumption switches.
    switches: bool,
    /// A filter that writes the stream's limit.
    recipe: bool,
}

impl<'a> Patches<'a> {
    fn of(resource: Resource<'a>) -> Option<Self> {
        let spec = resource.spec()?;
        let (mut switches, mut recipe) = (false, false);
        for at in spec.everything() {
            switches |= SWITCHES.iter().all(|name| at.is_on(name));
            recipe |= at.text().is_some_and(|text| text.contains(HEADER));
        }
        Some(Self {
            resource,
            switches,
            recipe,
        })
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
fn loose(at: At<'_>, text: &str, run: &Run<'_>, findings: &mut Findings) {
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
    let texts = all.iter().filter_map(|at| at.text());
    let covered = texts.take(COVERS_MAX).any(|other| {
        let prefix = other.strip_suffix('*');
        prefix.is_some_and(|prefix| below.starts_with(prefix))
    });
    whole && !covered
}

/// How many names of a list are asked whether they cover another one: each is, of each.
const COVERS_MAX: usize = 1000;
const SWITCHES: [&str; 2] = [
    "disable_stateless_session_resumption",
    "disable_stateful_session_resumption",
];
const HEADER: &str = "x-envoy-upstream-stream-duration-ms";
const WAYPOINT: &str = "istio-waypoint";

//! Rules on Envoy's RBAC filters: whom a name lets in.

use crate::mesh::lint::envoy::trust::how;
use crate::mesh::lint::envoy::typed;
use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name;
use crate::mesh::lint::principal::{Form, Matcher, Reads, is_anybody, matchers};
use crate::mesh::lint::rule::Rule;
use crate::mesh::lint::rule::identity::{
    ANYBODY, DNS_ALONE, ESCAPES, FIRST_SAN, PREFIX, PRINCIPAL_NAME, REGEX, SUFFIX,
};
use crate::mesh::lint::rule::trust::SHADOW;
use crate::mesh::lint::tree::At;
use crate::mesh::lint::{Named, Run};

/// An RBAC filter, of HTTP, of the network, or of one route.
#[derive(Clone, Copy)]
pub(super) struct Rbac<'a> {
    /// The typed value.
    pub(super) at: At<'a>,
    body: Option<At<'a>>,
}

/// One policy of a filter.
#[derive(Clone, Copy)]
pub(super) struct Policy<'a> {
    pub(super) at: At<'a>,
}

impl<'a> Rbac<'a> {
    /// The filter, if a typed value is one.
    pub(super) fn of(at: At<'a>) -> Option<Self> {
        if let Some(body) = typed(at, ".rbac.v3.RBAC") {
            let body = Some(body);
            return Some(Self { at, body });
        }
        let body = typed(at, ".rbac.v3.RBACPerRoute")?.field("rbac");
        Some(Self { at, body })
    }

    /// All filters below a value.
    pub(super) fn below(at: At<'a>) -> Vec<Self> {
        at.everything().filter_map(Self::of).collect()
    }

    fn rules(self) -> Option<At<'a>> {
        self.body?.field("rules")
    }

    /// Whether a match lets in.
    pub(super) fn allows(self) -> bool {
        let action = self.rules().and_then(|rules| rules.word("action"));
        matches!(action, None | Some("ALLOW" | "0"))
    }

    fn denies(self) -> bool {
        let action = self.rules().and_then(|rules| rules.word("action"));
        matches!(action, Some("DENY" | "1"))
    }

    pub(super) fn policies(self) -> impl Iterator<Item = Policy<'a>> {
        let policies = self.rules().and_then(|rules| rules.field("policies"));
        let policies = policies.into_iter().flat_map(At::entries);
        policies.map(|at| Policy { at })
    }

    /// Whether a policy speaks of a scope.
    pub(super) fn speaks_of_scope(self) -> bool {
        self.policies().any(Policy::speaks_of_scope)
    }

    /// Whether a policy asks for any name.
    pub(super) fn asks_name(self) -> bool {
        let mut policies = self.policies();
        policies.any(|policy| !policy.matchers().is_empty()) || self.matcher().is_some()
    }

    fn matcher(self) -> Option<At<'a>> {
        self.body?.field("matcher")
    }

    /// Asks the rules.
    pub(super) fn lint(self, run: &Run<'_>, findings: &mut Findings, named: &mut Named<'a>) {
        let enforces = self.rules().is_some() || self.matcher().is_some();
        if !enforces {
            // Istio asks an authoriser outside with what the shadow says.
            if self.body.is_some_and(|body| {
                let prefix = body.word("shadow_rules_stat_prefix").unwrap_or_default();
                prefix.contains("ext_authz")
            }) {
                return;
            }
            // A route without rules is a door that somebody opened: a hole where scopes are.
            if self
                .at
                .word("@type")
                .is_some_and(|kind| kind.ends_with("RBAC"))
                || run.scoped
            {
                findings.tell(&SHADOW, self.at, "`rules` is missing");
            }
            return;
        }
        for input in self.matcher().into_iter().flat_map(At::everything) {
            let kind = input.word("@type").unwrap_or_default();
            if kind.ends_with("UriSanInput") || kind.ends_with("DnsSanInput") {
                let words = "SANs are matched as one text, joined by commas";
                findings.tell(&FIRST_SAN, input, words);
            }
        }
        let scoped = self.speaks_of_scope();
        for policy in self.policies() {
            let matchers = policy.matchers();
            for matcher in &matchers {
                self.matcher_rules(matcher, &matchers, run, findings);
                if matcher.form == Form::Exact {
                    named.extend(name::elevated(matcher.text).map(|e| (e, matcher.at)));
                }
            }
            policy.expressions(findings);
            if scoped && self.allows() && policy.is_open() {
                let words = "this policy permits anything to anybody";
                findings.tell(&ANYBODY, policy.at, words);
            }
        }
    }

    fn matcher_rules(
        self,
        matcher: &Matcher<'_>,
        all: &[Matcher<'_>],
        run: &Run<'_>,
        findings: &mut Findings,
    ) {
        let (text, at) = (matcher.text, matcher.at);
        let lets_in = (self.allows() && !matcher.negated) || (self.denies() && matcher.negated);
        let keeps_out = (self.denies() && !matcher.negated) || (self.allows() && matcher.negated);
        if matcher.reads == Reads::Other {
            return;
        }
        if matcher.reads == Reads::Name && run.scoped {
            let words = format!("`{text}` is asked of `principal_name`");
            findings.tell(&PRINCIPAL_NAME, at, words);
        }
        if lets_in && let Some(rule) = loose(matcher.form) {
            let words = format!("names are matched by {}: `{text}`", how(matcher.form));
            findings.tell(rule, at, words);
        }
        if lets_in
            && matcher.reads == Reads::Dns
            && matcher.speaks_of_scope()
            && !matcher.beside_uri
        {
            let words = format!("`{text}` without an exact URI beside it");
            findings.tell(&DNS_ALONE, at, words);
        }
        if run.scoped && keeps_out && escapes(matcher, all) {
            let words = format!("`{text}` is denied, `{text}/scope/...` is not");
            findings.tell(&ESCAPES, at, words);
        }
    }
}

impl<'a> Policy<'a> {
    /// The matchers on names of all its principals.
    pub(super) fn matchers(self) -> Vec<Matcher<'a>> {
        self.at.list("principals").flat_map(matchers).collect()
    }

    /// Whether it speaks of a scope.
    pub(super) fn speaks_of_scope(self) -> bool {
        self.matchers().iter().any(Matcher::speaks_of_scope)
    }

    /// Whether it asks how many milliseconds are left.
    pub(super) fn asks_time(self, header: &str) -> bool {
        self.at.list("permissions").any(|permission| {
            permission.everything().any(|at| {
                at.field("range_match").is_some()
                    && at
                        .word("name")
                        .is_some_and(|name| name.eq_ignore_ascii_case(header))
            })
        })
    }

    fn is_open(self) -> bool {
        let mut permissions = self.at.list("permissions");
        let mut principals = self.at.list("principals");
        permissions.any(|permission| permission.is_on("any")) && principals.any(is_anybody)
    }

    fn expressions(self, findings: &mut Findings) {
        for name in ["condition", "checked_condition"] {
            let all = self.at.field(name).into_iter().flat_map(At::everything);
            for at in all {
                let text = at.text().unwrap_or_default();
                if SAN_ATTRIBUTES.iter().any(|name| text.contains(name)) {
                    findings.tell(&FIRST_SAN, at, format!("an expression reads `{text}`"));
                }
            }
        }
    }
}

/// Whether an elevated form of an exact base name is missed by all matchers of a policy.
fn escapes(matcher: &Matcher<'_>, all: &[Matcher<'_>]) -> bool {
    let base = matcher.text;
    let whole = matcher.form == Form::Exact && base.contains('/') && !matcher.speaks_of_scope();
    let below = format!("{base}/scope/");
    let covered = all.iter().take(COVERS_MAX).any(|other| match other.form {
        Form::Prefix => below.starts_with(other.text),
        Form::Contains => base.contains(other.text),
        Form::Regex => other.text.ends_with(".*"),
        Form::Exact | Form::Suffix => false,
    });
    whole && !covered
}

const fn loose(form: Form) -> Option<&'static Rule> {
    match form {
        Form::Exact => None,
        Form::Prefix => Some(&PREFIX),
        Form::Contains | Form::Regex => Some(&REGEX),
        Form::Suffix => Some(&SUFFIX),
    }
}

/// How many matchers of a policy are asked whether they cover another one: each is, of each.
const COVERS_MAX: usize = 1000;
const SAN_ATTRIBUTES: [&str; 2] = ["uri_san_peer_certificate", "dns_san_peer_certificate"];

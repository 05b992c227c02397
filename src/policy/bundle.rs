//! A compiled bundle: everything parsed, validated strictly, checked and indexed by scope.
//!
//! Promises: a [`Bundle`] that exists has no fault; its digest is that of its source. A policy
//! whose head says `resource == Scope::"x"` costs only those who ask for `x`.
//! Refuses: a bundle with any fault, telling all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};

use cedar_policy::ffi::DetailedError;
use cedar_policy::{PolicySet, ValidationMode, Validator};

use crate::policy::catalogue::Catalogue;
use crate::policy::check::check;
use crate::policy::fault::{BundleFaults, FAULTS_MAX, Fault, Place};
use crate::policy::model::{ContextReads, Model, SCHEMA};
use crate::policy::nesting::on_deep_stack;
use crate::policy::question::Action;
use crate::policy::rule::{PolicyId, Read, Rule, cedar_fault, read_file};
use crate::policy::source::{BundleSource, PolicyDigest, SCOPES_FILE, is_cedar_file};
use crate::scope::Scope;

/// Policy in force, or ready to be. Cloning shares it.
#[derive(Clone)]
pub struct Bundle(Arc<Inner>);

struct Inner {
    digest: PolicyDigest,
    catalogue: Catalogue,
    model: Model,
    rules: BTreeMap<PolicyId, Rule>,
    /// Guardrails, and policies that are pinned to no scope.
    general: RuleSet,
    by_scope: BTreeMap<Scope, RuleSet>,
    warnings: Vec<Fault>,
}

/// Policies that are asked together.
#[derive(Default)]
pub(crate) struct RuleSet {
    pub(crate) policies: PolicySet,
    /// Permits of `elevate` with `@route`.
    pub(crate) routes: Vec<PolicyId>,
    /// Actions for which some policy reads the caller's address.
    sourced: BTreeSet<Action>,
    /// Actions for which some policy reads the time.
    timed: BTreeSet<Action>,
}

impl Bundle {
    /// Compiles a bundle.
    ///
    /// # Errors
    /// Every fault of the bundle, with its place and remedy.
    pub fn compile(source: &BundleSource) -> Result<Self, BundleFaults> {
        let mut faults = Vec::new();
        match on_deep_stack(|| Self::assemble(source, &mut faults)) {
            Some(bundle) if faults.is_empty() => Ok(bundle),
            _ => Err(BundleFaults::new(faults).unwrap_or_else(|| {
                let place = Place::of(SCOPES_FILE, "", 0);
                BundleFaults::of(Fault::at(place, "the bundle cannot be read", "report this"))
            })),
        }
    }

    fn assemble(source: &BundleSource, faults: &mut Vec<Fault>) -> Option<Self> {
        let model = match Model::read() {
            Ok(model) => model,
            Err(wrong) => {
                let place = Place::of("schema.cedarschema", "", 0);
                faults.push(Fault::at(
                    place,
                    wrong.to_string(),
                    "report this: it is compiled in",
                ));
                return None;
            }
        };
        let mut warnings = Vec::new();
        let scopes = source.file(SCOPES_FILE).unwrap_or_default();
        let catalogue = Catalogue::read(scopes, faults, &mut warnings);
        let mut read = read_file(GUARDRAILS_FILE, GUARDRAILS, faults);
        for (file, text) in source.files().filter(|(file, _)| is_cedar_file(file)) {
            let own = read_file(file, text, faults);
            for policy in own.iter().filter(|own| is_guardrail(&own.rule.id)) {
                let place = policy.rule.place.clone();
                let text = format!("id `{}` is kept for guardrails", policy.rule.id);
                faults.push(Fault::at(place, text, "choose an id without `guardrail-`"));
            }
            read.extend(own);
        }
        let read = once_each(read, faults);
        validate(&read, &model, source, faults, &mut warnings);
        for policy in &read {
            check(policy, &catalogue, &model.kinds, faults);
        }
        let mut inner = Inner {
            digest: source.digest(),
            catalogue,
            model,
            rules: BTreeMap::new(),
            general: RuleSet::default(),
            by_scope: BTreeMap::new(),
            warnings,
        };
        for policy in read {
            inner.admit(policy, faults);
        }
        Some(Self(Arc::new(inner)))
    }

    /// The digest of the source.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        self.0.digest
    }

    /// The scopes that exist.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// What is allowed but should be looked at.
    pub fn warnings(&self) -> impl Iterator<Item = &Fault> {
        self.0.warnings.iter()
    }

    /// Every policy with its place, guardrails included, in the order of ids.
    pub fn policies(&self) -> impl Iterator<Item = (&PolicyId, &Place)> {
        self.0.rules.iter().map(|(id, rule)| (id, &rule.place))
    }

    pub(crate) fn model(&self) -> &Model {
        &self.0.model
    }

    pub(crate) fn rule(&self, id: &str) -> Option<&Rule> {
        self.0.rules.get(id)
    }

    /// The sets that a question about this scope, or about none, is put to.
    pub(crate) fn sets(&self, scope: Option<&Scope>) -> impl Iterator<Item = &RuleSet> + Clone {
        let own = scope.and_then(|scope| self.0.by_scope.get(scope));
        std::iter::once(&self.0.general).chain(own)
    }

    /// What of the context some policy reads; the rest need not be built.
    pub(crate) fn reads(&self, action: Action, scope: Option<&Scope>) -> ContextReads {
        ContextReads {
            source: self.sets(scope).any(|set| set.sourced.contains(&action)),
            time: self.is_timed(action, scope),
        }
    }

    /// Whether a verdict on the action may change with time alone.
    pub(crate) fn is_timed(&self, action: Action, scope: Option<&Scope>) -> bool {
        self.sets(scope).any(|set| set.timed.contains(&action))
    }
}

impl Inner {
    fn admit(&mut self, read: Read, faults: &mut Vec<Fault>) {
        let Read {
            rule,
            policy,
            pinned,
            ..
        } = read;
        // A pin to something that is no scope is a fault already told by `check`.
        let scope = pinned.and_then(|name| name.parse::<Scope>().ok());
        let set = match scope {
            Some(scope) => self.by_scope.entry(scope).or_default(),
            None => &mut self.general,
        };
        if let Err(wrong) = set.policies.add(policy) {
            faults.push(Fault::at(
                rule.place.clone(),
                wrong.to_string(),
                "give it another `@id`",
            ));
        }
        if rule.reads_source {
            set.sourced.extend(&rule.actions);
        }
        if rule.reads_time {
            set.timed.extend(&rule.actions);
        }
        if !rule.forbids && !rule.approvals.is_empty() {
            set.routes.push(rule.id.clone());
        }
        self.rules.insert(rule.id.clone(), rule);
    }
}

/// Keeps the first policy of each id and tells of the others.
fn once_each(read: Vec<Read>, faults: &mut Vec<Fault>) -> Vec<Read> {
    let mut places: BTreeMap<PolicyId, Place> = BTreeMap::new();
    let mut kept = Vec::new();
    for policy in read {
        let rule = &policy.rule;
        if let Some(first) = places.get(&rule.id) {
            let text = format!("the id `{}` is taken by {first}", rule.id);
            faults.push(Fault::at(rule.place.clone(), text, "give it another `@id`"));
        } else {
            places.insert(rule.id.clone(), rule.place.clone());
            kept.push(policy);
        }
    }
    kept
}

fn validate(
    read: &[Read],
    model: &Model,
    source: &BundleSource,
    faults: &mut Vec<Fault>,
    warnings: &mut Vec<Fault>,
) {
    let Ok(set) = PolicySet::from_policies(read.iter().map(|read| read.policy.clone())) else {
        // Ids are unique by now, so this is a template or the like, told where it was read.
        return;
    };
    let places: BTreeMap<&str, &Read> = read.iter().map(|r| (r.rule.id.as_str(), r)).collect();
    let told = |id: &str, detail: &DetailedError| {
        let place = places.get(id).map(|read| &read.rule.place);
        let file = place.map_or(SCOPES_FILE, |place| place.file.as_str());
        let text = source.file(file).unwrap_or(GUARDRAILS);
        let mut fault = cedar_fault(
            file,
            text,
            detail,
            "use only what the schema of policies knows",
        );
        if let (true, Some(place)) = (detail.source_locations.is_empty(), place) {
            fault.place = place.clone();
        }
        fault.within(id)
    };
    let result = Validator::new(model.schema.clone()).validate(&set, ValidationMode::Strict);
    for wrong in result.validation_errors().take(FAULTS_MAX) {
        faults.push(told(
            wrong.policy_id().as_ref(),
            &DetailedError::from(wrong),
        ));
    }
    for warning in result.validation_warnings().take(FAULTS_MAX) {
        warnings.push(told(
            warning.policy_id().as_ref(),
            &DetailedError::from(warning),
        ));
    }
}

fn is_guardrail(id: &PolicyId) -> bool {
    id.as_str().starts_with("guardrail-")
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle")
            .field("digest", &self.0.digest)
            .field("policies", &self.0.rules.len())
            .finish_non_exhaustive()
    }
}

/// What no bundle can permit, in Cedar; for `protem policy guardrails`.
#[must_use]
pub const fn guardrails_text() -> &'static str {
    GUARDRAILS
}

/// The schema that bundles are validated against, in Cedar.
#[must_use]
pub const fn schema_text() -> &'static str {
    SCHEMA
}

/// The digest of what is compiled in, schema and guardrails: with the bundle's digest it names
/// every word that a verdict rests on.
#[must_use]
pub fn built_in_digest() -> PolicyDigest {
    static DIGEST: LazyLock<PolicyDigest> =
        LazyLock::new(|| PolicyDigest::of([SCHEMA, "\n", GUARDRAILS].concat().as_bytes()));
    *DIGEST
}

const GUARDRAILS: &str = include_str!("guardrails.cedar");
/// The name under which guardrails are told about; no bundle file has it.
const GUARDRAILS_FILE: &str = "(guardrails)";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{POLICIES, SCOPES, asked, at, bundle_with, elevate, parts, permit};

    const SCOPE: &str = "[scope.\"db.read\"]\ndescription = \"d\"\nowner = \"data\"\n\
                         servers = []\nsvid_life = \"5m\"\nelevation_longest = \"30m\"\n";

    fn compile(policies: &str) -> Result<Bundle, BundleFaults> {
        let files = [("scopes.toml", SCOPE), ("p.cedar", policies)];
        Bundle::compile(&BundleSource::collect(files).unwrap())
    }

    fn faults(policies: &str) -> Vec<Fault> {
        match compile(policies) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().cloned().collect(),
        }
    }

    /// A policy about `db.read` with the given annotations and condition.
    fn policy(annotations: &str, effect: &str, condition: &str) -> String {
        format!(
            "@id(\"p\") {annotations} {effect} (principal, action == Action::\"elevate\", \
             resource == Scope::\"db.read\") when {{ {condition} }};"
        )
    }

    #[test]
    fn all_faults_are_told_each_with_its_place() {
        let text = "permit (principal, action, resource);\n\
                    @id(\"a\") permit (principal, action == Action::\"elevate\", resource)\n\
                    when { context.haz_reason };\n\
                    @id(\"a\") @rout(\"x\") forbid (principal, action, resource);\n\
                    @id(\"guardrail-b\") permit (principal, action == Action::\"elevate\",\n\
                    resource == Scope::\"db.raed\");";
        let told: Vec<_> = faults(text).iter().map(ToString::to_string).collect();
        for (place, word) in [
            ("p.cedar:1:1", "no `@id`"),
            ("p.cedar:3:8", "haz_reason"),
            ("p.cedar:4:1", "is taken by p.cedar:2:1"),
            ("p.cedar:4:1", "@rout"),
            ("p.cedar:5:1", "kept for guardrails"),
            ("p.cedar:5:1", "`db.raed` is not in scopes.toml"),
        ] {
            let found = told
                .iter()
                .any(|t| t.starts_with(place) && t.contains(word));
            assert!(found, "{place} {word} in {told:#?}");
        }
    }

    #[test]
    fn text_that_is_no_cedar_is_told_with_its_place() {
        let told = faults("@id(\"a\")\npermit (principal, action, resource) whn { true };");
        assert_eq!(told.first().unwrap().place.to_string(), "p.cedar:2:38");
        assert!(
            !faults("@id(\"t\") permit (principal == ?principal, action, resource);").is_empty()
        );
    }

    #[test]
    fn guardrails_and_an_empty_bundle_compile_without_a_warning() {
        let bundle = compile("").unwrap();
        assert_eq!(bundle.warnings().count(), 0);
        assert!(bundle.policies().all(|(id, _)| is_guardrail(id)));
        assert!(bundle.policies().count() >= 4);
    }

    #[test]
    fn a_condition_nested_beyond_the_bound_is_refused_and_not_followed() {
        let nested = |links: usize| {
            let condition = "!(context.has_reason && ".repeat(links);
            policy(
                "",
                "permit",
                &format!("{condition} true{}", ")".repeat(links)),
            )
        };
        assert_eq!(faults(&nested(100)), vec![]);
        for links in [200, 10_000] {
            let told = faults(&nested(links));
            assert!(
                told.iter()
                    .any(|fault| fault.text.contains("more than 512 operators"))
            );
        }
        let chain = "context.has_reason || ".repeat(165);
        assert_eq!(
            faults(&policy("", "permit", &format!("{chain} true"))),
            vec![]
        );
    }
    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn no_text_makes_compiling_panic(
            words in proptest::collection::vec(proptest::sample::select(WORDS), 0..40),
        ) {
            if let Err(faults) = compile(&words.join(" ")) {
                proptest::prop_assert!(faults.iter().all(|fault| fault.place.line >= 1));
            }
        }
    }

    const WORDS: &[&str] = &[
        "@id(\"a\")",
        "@route(\"sre:1\")",
        "@needs(\"x:1\")",
        "permit",
        "forbid",
        "(",
        ")",
        ";",
        "principal",
        "action",
        "resource",
        ",",
        "==",
        "in",
        "is",
        "Workload",
        "Scope::\"db.read\"",
        "Action::\"elevate\"",
        "?principal",
        "when",
        "unless",
        "{",
        "}",
        "context",
        ".",
        "has",
        "elevation",
        "signals",
        "hasTag",
        "getTag",
        "\"sre\"",
        "\"ä\u{1F600}",
        "&&",
        "||",
        "!",
        ">=",
        "1",
        "if",
        "then",
        "else",
        "// x\n",
        "permit (principal, action, resource);",
        "\n",
    ];

    #[test]
    fn policies_of_other_scopes_change_no_verdict() {
        let scope = |n: u32| {
            format!(
                "[scope.\"s{n}\"]\ndescription = \"d\"\nowner = \"data\"\nservers = []\n\
                 svid_life = \"5m\"\nelevation_longest = \"30m\"\n"
            )
        };
        let policy = |n: u32| {
            format!(
                "@id(\"s{n}\") permit (principal, action == Action::\"elevate\", \
                 resource == Scope::\"s{n}\");\n"
            )
        };
        let scopes: String = (0..2_000).map(scope).collect();
        let policies: String = (0..2_000).map(policy).collect();
        let files = [
            ("scopes.toml", [SCOPES, &scopes].concat()),
            ("p.cedar", [POLICIES, &policies].concat()),
        ];
        let large = Bundle::compile(&BundleSource::collect(files).unwrap()).unwrap();
        let small = bundle_with("");
        for scope in ["db.read", "db.write"] {
            let ids = |bundle: &Bundle| {
                let now = at("2026-01-07T12:00:00Z");
                let permit = permit(asked(bundle, elevate(scope), parts(bundle), now));
                permit
                    .policies()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            };
            assert_eq!(ids(&small), ids(&large));
            let scope = scope.parse().unwrap();
            let looked_at = large.sets(Some(&scope));
            let count: usize = looked_at.map(|set| set.policies.num_of_policies()).sum();
            assert!(count < 20, "{count}");
        }
    }
}

//! A compiled bundle: everything parsed, validated strictly, checked and indexed by scope.
//!
//! Promises: a [`Bundle`] that exists has no fault; its digest is that of its source. A policy
//! whose head says `resource == Scope::"x"` costs only those who ask for `x`.
//! Refuses: a bundle with any fault, telling all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{PolicySet, ValidationMode, Validator};

use crate::policy::catalogue::Catalogue;
use crate::policy::check::check;
use crate::policy::fault::{BundleFaults, Fault, Place};
use crate::policy::model::{Model, SCHEMA};
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
        match Self::assemble(source, &mut faults) {
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
        let mut fault = cedar_fault(file, text, detail, "see `protem policy schema`");
        if let (true, Some(place)) = (detail.source_locations.is_empty(), place) {
            fault.place = place.clone();
        }
        fault.within(id)
    };
    let result = Validator::new(model.schema.clone()).validate(&set, ValidationMode::Strict);
    for wrong in result.validation_errors() {
        faults.push(told(
            wrong.policy_id().as_ref(),
            &DetailedError::from(wrong),
        ));
    }
    for warning in result.validation_warnings() {
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
    PolicyDigest::of([SCHEMA, "\n", GUARDRAILS].concat().as_bytes())
}

const GUARDRAILS: &str = include_str!("guardrails.cedar");
/// The name under which guardrails are told about; no bundle file has it.
const GUARDRAILS_FILE: &str = "(guardrails)";

//! One look at one question: what policy says at one moment with some approvals.
//!
//! Promises: forbid wins; no permit means no; a forbid that cannot be evaluated forbids; what
//! needs no policy to refuse (no entry, stopped minting, unknown scope) is refused before.

use std::collections::BTreeSet;
use std::fmt;

use cedar_policy::{AuthorizationError, Authorizer, Decision};

use crate::policy::bundle::Bundle;
use crate::policy::facts::FactParts;
use crate::policy::model::{Put, Supposed};
use crate::policy::need::{Approvals, Need, WaitsFor, Way, raise};
use crate::policy::question::{Act, Ask};
use crate::policy::rule::PolicyId;
use crate::time::Timestamp;

/// Why policy says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DenialReason {
    /// The elevation is another's, or for another scope: its approvals say nothing here.
    ElevationForeign,
    /// No registration entry, or one that names somebody else.
    EntryMissing,
    /// A forbid could not be evaluated.
    EvaluationFailed,
    /// At least one policy forbids.
    Forbidden,
    /// The kill switch is on.
    MintingStopped,
    /// No policy permits.
    NoPermit,
    /// Another policy came into force meanwhile.
    PolicyChanged,
    /// The scope is not in the catalogue.
    ScopeUnknown,
}

/// What policy says, and which policies made it say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// None for yes.
    pub(crate) refused: Option<DenialReason>,
    pub(crate) policies: BTreeSet<PolicyId>,
}

/// A question with its facts, to be looked at as often as needed.
#[derive(Clone, Copy)]
pub(crate) struct Bench<'a> {
    pub(crate) bundle: &'a Bundle,
    pub(crate) ask: &'a Ask,
    pub(crate) parts: &'a FactParts,
}

impl Bench<'_> {
    /// The approvals that the facts hold.
    pub(crate) fn approvals(&self) -> Approvals {
        let elevation = self.parts.elevation.as_ref();
        elevation.map_or_else(Approvals::new, |elevation| elevation.approvals.clone())
    }

    /// What policy says at a moment, with the given approvals.
    pub(crate) fn judge(&self, approvals: &Approvals, at: Timestamp) -> Judgement {
        self.look(approvals)(at)
    }

    /// The same for several moments: what does not change with time is set up once.
    pub(crate) fn look<'a>(&'a self, approvals: &'a Approvals) -> impl Fn(Timestamp) -> Judgement {
        let supposed = Supposed {
            ask: self.ask,
            parts: self.parts,
            terms: self
                .ask
                .scope()
                .and_then(|s| self.bundle.catalogue().terms(s)),
            approvals,
            reads: self.bundle.reads(self.ask.act.action(), self.ask.scope()),
        };
        let scene = match self.refused_unasked() {
            Some(reason) => Err(reason),
            None => match self.bundle.model().scene(supposed) {
                Ok(scene) => Ok(scene),
                Err(_) => Err(DenialReason::EvaluationFailed),
            },
        };
        move |at| {
            let put = match &scene {
                Ok(scene) => scene
                    .put(at, None)
                    .map_err(|_| DenialReason::EvaluationFailed),
                Err(reason) => Err(*reason),
            };
            match put {
                Ok(put) => self.rule(&put),
                Err(reason) => Judgement {
                    refused: Some(reason),
                    policies: BTreeSet::new(),
                },
            }
        }
    }

    fn refused_unasked(&self) -> Option<DenialReason> {
        if self.parts.policy.digest != self.bundle.digest() {
            return Some(DenialReason::PolicyChanged);
        }
        if self.ask.mints() && self.parts.minting.stopped {
            return Some(DenialReason::MintingStopped);
        }
        if let Act::Elevate(act) = &self.ask.act {
            if self.bundle.catalogue().terms(&act.scope).is_none() {
                return Some(DenialReason::ScopeUnknown);
            }
            let elevation = self.parts.elevation.as_ref();
            if elevation.is_some_and(|e| (&e.subject, &e.scope) != (&act.subject, &act.scope)) {
                return Some(DenialReason::ElevationForeign);
            }
        }
        let named = self.parts.entry.as_ref().map(|entry| &entry.subject);
        let wanted = self.ask.entry_subject();
        (wanted.is_some() && wanted != named).then_some(DenialReason::EntryMissing)
    }

    /// Asks the general policies and the scope's own, and joins what they say.
    fn rule(&self, put: &Put) -> Judgement {
        let mut permits = BTreeSet::new();
        let mut forbids = BTreeSet::new();
        let mut failed = BTreeSet::new();
        let authorizer = Authorizer::new();
        for set in self.bundle.sets(self.ask.scope()) {
            let answer = authorizer.is_authorized(&put.request, &set.policies, &put.entities);
            // On allow the reasons are all permits that hold, on deny all forbids that do.
            let reasons = match answer.decision() {
                Decision::Allow => &mut permits,
                Decision::Deny => &mut forbids,
            };
            let known = |id: &cedar_policy::PolicyId| self.bundle.rule(id.as_ref());
            reasons.extend(
                answer
                    .diagnostics()
                    .reason()
                    .filter_map(known)
                    .map(|r| r.id.clone()),
            );
            for AuthorizationError::PolicyEvaluationError(wrong) in answer.diagnostics().errors() {
                let rule = known(wrong.policy_id());
                failed.extend(rule.filter(|rule| rule.forbids).map(|rule| rule.id.clone()));
            }
        }
        let (refused, policies) = if !forbids.is_empty() {
            (Some(DenialReason::Forbidden), forbids)
        } else if !failed.is_empty() {
            (Some(DenialReason::EvaluationFailed), failed)
        } else if permits.is_empty() {
            (Some(DenialReason::NoPermit), permits)
        } else {
            (None, permits)
        };
        Judgement { refused, policies }
    }

    /// Every way of approvals to a permit, when the answer without them is no.
    pub(crate) fn waits_for(&self, at: Timestamp) -> Option<WaitsFor> {
        if !matches!(self.ask.act, Act::Elevate(_)) || self.refused_unasked().is_some() {
            return None;
        }
        let sets = self.bundle.sets(self.ask.scope());
        let routes = sets
            .flat_map(|set| &set.routes)
            .filter_map(|id| self.bundle.rule(id.as_str()));
        let by_routes = routes.filter_map(|rule| self.way(Some(&rule.id), &rule.approvals, at));
        WaitsFor::new(
            self.way(None, &[], at)
                .into_iter()
                .chain(by_routes)
                .collect(),
        )
    }

    /// Supposes a route, then what each forbid that still stands needs, until policy permits.
    fn way(&self, route: Option<&PolicyId>, wanted: &[Need], at: Timestamp) -> Option<Way> {
        let mut approvals = self.approvals();
        raise(&mut approvals, wanted);
        let mut needs: BTreeSet<Need> = BTreeSet::new();
        loop {
            let judged = self.judge(&approvals, at);
            match judged.refused {
                None if route.is_some_and(|id| !judged.policies.contains(id)) => return None,
                None => {
                    return Some(Way {
                        route: wanted.to_vec(),
                        needs: needs.into_iter().collect(),
                    });
                }
                Some(DenialReason::Forbidden) => {}
                Some(_) => return None,
            }
            let standing = judged
                .policies
                .iter()
                .filter_map(|id| self.bundle.rule(id.as_str()));
            let before = needs.len();
            for rule in standing {
                if rule.approvals.is_empty() {
                    return None;
                }
                needs.extend(rule.approvals.iter().cloned());
            }
            if needs.len() == before {
                return None;
            }
            raise(&mut approvals, &needs.iter().cloned().collect::<Vec<_>>());
        }
    }

    /// The reason in the caller's words.
    pub(crate) fn words(&self, judgement: &Judgement) -> String {
        let Some(reason) = judgement.refused else {
            return "policy permits it".to_owned();
        };
        match reason {
            DenialReason::ElevationForeign => {
                "the elevation named is for another subject or scope".to_owned()
            }
            DenialReason::EntryMissing => match self.ask.entry_subject() {
                Some(subject) => format!("`{subject}` has no registration entry"),
                None => "there is no registration entry".to_owned(),
            },
            DenialReason::EvaluationFailed => {
                "policy could not be evaluated, so it counts as a no; tell whoever writes it"
                    .to_owned()
            }
            DenialReason::Forbidden => {
                let told = judgement.policies.iter().map(|id| {
                    let reason = self
                        .bundle
                        .rule(id.as_str())
                        .and_then(|r| r.reason.as_deref());
                    reason.map_or_else(|| format!("policy `{id}` forbids it"), str::to_owned)
                });
                told.collect::<Vec<_>>().join("; ")
            }
            DenialReason::MintingStopped => {
                "minting is stopped; an operator must run `protem minting release`".to_owned()
            }
            DenialReason::NoPermit => format!("no policy permits {}", self.wish()),
            DenialReason::PolicyChanged => "policy changed meanwhile; ask again".to_owned(),
            DenialReason::ScopeUnknown => match self.ask.scope() {
                Some(scope) => format!("scope `{scope}` is not in the catalogue"),
                None => "the scope is not in the catalogue".to_owned(),
            },
        }
    }

    fn wish(&self) -> String {
        let who = &self.ask.principal;
        match &self.ask.act {
            Act::Elevate(act) => format!("`{}` to hold scope `{}`", act.subject, act.scope),
            Act::Issue { subject } => format!("a base SVID for `{subject}`"),
            Act::Operate(verb) => format!("`{who}` to {}", verb.as_str().replace('_', " ")),
            Act::ReadAudit { of: None } => format!("`{who}` to read all events"),
            Act::ReadAudit { of: Some(of) } => format!("`{who}` to read the events of `{of}`"),
            Act::Revoke(_) => format!("`{who}` to revoke these elevations"),
        }
    }
}

impl DenialReason {
    /// A stable word for programs and events.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::ElevationForeign => "elevation_foreign",
            Self::EntryMissing => "entry_missing",
            Self::EvaluationFailed => "evaluation_failed",
            Self::Forbidden => "forbidden",
            Self::MintingStopped => "minting_stopped",
            Self::NoPermit => "no_permit",
            Self::PolicyChanged => "policy_changed",
            Self::ScopeUnknown => "scope_unknown",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Subject;
    use crate::policy::tests::{ask, asked, at, bundle_with, denial, elevate, parts, permit, web};
    use crate::policy::{EntryFact, PolicyDigest, Principal};

    #[test]
    fn what_is_missing_or_stopped_is_denied_before_policy() {
        let bundle = bundle_with("");
        let now = at("2026-01-07T12:00:00Z");
        let reason = |ask: Ask, change: &dyn Fn(&mut FactParts)| {
            let mut facts = parts(&bundle);
            change(&mut facts);
            denial(asked(&bundle, ask, facts, now)).reason()
        };
        let issue = || ask(Act::Issue { subject: web() });
        assert_eq!(
            reason(issue(), &|f| f.entry = None),
            DenialReason::EntryMissing
        );
        let other: Subject = "spiffe://td.test/other".parse().unwrap();
        let of_another = |f: &mut FactParts| {
            let mut entry = EntryFact::clone(f.entry.as_ref().unwrap());
            entry.subject = other.clone();
            f.entry = Some(entry.into());
        };
        assert_eq!(reason(issue(), &of_another), DenialReason::EntryMissing);
        assert_eq!(
            reason(issue(), &|f| f.minting.stopped = true),
            DenialReason::MintingStopped
        );
        assert_eq!(
            reason(issue(), &|f| f.policy.digest = PolicyDigest::of(b"other")),
            DenialReason::PolicyChanged
        );
        let foreign = |f: &mut FactParts| f.elevation.as_mut().unwrap().subject = other.clone();
        let reasons = reason(elevate("db.write"), &foreign);
        assert_eq!(reasons, DenialReason::ElevationForeign);
        assert_eq!(
            reason(elevate("no.scope"), &|_| ()),
            DenialReason::ScopeUnknown
        );
        assert_eq!(
            reason(elevate("db.write"), &|f| f.signals.clear()),
            DenialReason::Forbidden
        );
    }

    #[test]
    fn pending_says_whom_it_waits_for_and_a_forbid_without_needs_for_nobody() {
        let bundle = bundle_with("");
        let denied = |frozen| {
            let mut facts = parts(&bundle);
            facts.elevation = None;
            facts.signals[0].active = frozen;
            let now = at("2026-01-07T12:00:00Z");
            denial(asked(&bundle, elevate("db.write"), facts, now))
        };
        let waits = denied(false).waits_for().map(ToString::to_string);
        assert_eq!(waits.unwrap(), "sre:2");
        assert_eq!(denied(true).waits_for(), None);
        assert_eq!(denied(true).text(), "writing is frozen");
    }

    #[test]
    fn a_forbid_that_fails_forbids() {
        let failing = r#"
            @id("overflow") forbid (principal, action == Action::"elevate", resource)
            when { context.asked_s * 9223372036854775807 > 9223372036854775806 };
        "#;
        let bundle = bundle_with(failing);
        let facts = parts(&bundle);
        let verdict = asked(
            &bundle,
            elevate("db.write"),
            facts,
            at("2026-01-07T12:00:00Z"),
        );
        let denial = denial(verdict);
        assert_eq!(denial.reason(), DenialReason::EvaluationFailed);
        let ids: Vec<_> = denial.policies().map(PolicyId::as_str).collect();
        assert_eq!(ids, ["overflow"]);
    }

    #[test]
    fn an_elevated_caller_gets_nothing_more() {
        let bundle = bundle_with("");
        for mut ask in [elevate("db.write"), ask(Act::Issue { subject: web() })] {
            ask.principal = Principal::Workload {
                subject: web(),
                elevated: true,
            };
            let verdict = asked(&bundle, ask, parts(&bundle), at("2026-01-07T12:00:00Z"));
            assert!(denial(verdict).text().contains("base SVID"));
        }
    }

    #[test]
    fn the_deepest_policy_that_is_let_through_is_evaluated() {
        let nested = "!(context.has_reason && ".repeat(100);
        let bundle = bundle_with(&format!(
            "@id(\"deep\") permit (principal, action == Action::\"elevate\", resource) \
             when {{ {nested} true{} }};",
            ")".repeat(100)
        ));
        let verdict = asked(
            &bundle,
            elevate("db.read"),
            parts(&bundle),
            at("2026-01-07T00:00:00Z"),
        );
        let permit = permit(verdict);
        assert_eq!(
            permit.policies().map(PolicyId::as_str).collect::<Vec<_>>(),
            ["deep"]
        );
    }
}

//! The verdict: the one place where a [`Permit`] is made.
//!
//! Promises (DESIGN section 3): a permit rests on facts that the store observed, and names the
//! version of each (1); it tells the last second at which the same question would still be
//! permitted with the facts that will hold then (3).
//! Refuses: suppositions. What only asks "what if" gets an outlook, of another type.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::bundle::{Bundle, built_in_digest};
use crate::policy::catalogue::ScopeTerms;
use crate::policy::facts::{FactVersion, Facts};
use crate::policy::judge::{Bench, DenialReason, Judgement};
use crate::policy::need::{Approvals, WaitsFor};
use crate::policy::question::{Act, Ask};
use crate::policy::record::{Record, record_question};
use crate::policy::rule::PolicyId;
use crate::policy::source::PolicyDigest;
use crate::time::{Seconds, Timestamp};

/// What policy answers.
#[derive(Debug)]
pub enum Verdict {
    /// No, or not yet.
    Denial(Denial),
    /// Yes, at this moment.
    Permit(Permit),
}

/// Policy's yes, good for one plan: it cannot be copied, kept or read from anywhere.
///
/// ```compile_fail
/// fn twice(permit: protem::policy::Permit) -> [protem::policy::Permit; 2] {
///     [permit.clone(), permit]
/// }
/// ```
#[derive(Debug)]
pub struct Permit {
    question: Question,
    last_second: Timestamp,
    terms: Option<ScopeTerms>,
}

/// Policy's no, with what would turn it.
#[derive(Debug)]
pub struct Denial {
    question: Question,
    reason: DenialReason,
    text: String,
    waits_for: Option<WaitsFor>,
}

/// What was asked, with everything that the answer rests on.
#[derive(Debug)]
struct Question {
    ask: Ask,
    facts: Facts,
    digest: PolicyDigest,
    at: Timestamp,
    horizon: Seconds,
    policies: BTreeSet<PolicyId>,
}

/// Asks policy.
///
/// `now` is the moment the question is about: the clock's, or the start of a scheduled elevation.
/// `horizon` is how far ahead of it a permit's last second is wanted, at most
/// [`HORIZON_MAX`]; the caller caps it by every life and end that it knows.
#[must_use]
pub fn decide(
    bundle: &Bundle,
    ask: Ask,
    facts: Facts,
    now: Timestamp,
    horizon: Seconds,
) -> Verdict {
    let bench = Bench {
        bundle,
        ask: &ask,
        parts: facts.parts(),
    };
    let horizon = horizon.min(HORIZON_MAX);
    let approvals = bench.approvals();
    let judged = bench.judge(&approvals, now);
    let Some(reason) = judged.refused else {
        let last_second = last_second(bench, &approvals, now, horizon);
        let terms = match &ask.act {
            Act::Elevate(act) => bundle.catalogue().terms(&act.scope).cloned(),
            Act::Issue { .. } | Act::Operate(_) | Act::ReadAudit { .. } | Act::Revoke(_) => None,
        };
        return Verdict::Permit(Permit {
            question: Question::asked(bundle, ask, facts, now, horizon, judged),
            last_second,
            terms,
        });
    };
    let (text, waits_for) = (bench.words(&judged), bench.waits_for(now));
    Verdict::Denial(Denial {
        question: Question::asked(bundle, ask, facts, now, horizon, judged),
        reason,
        text,
        waits_for,
    })
}

/// The last whole second up to the horizon at which the question is still permitted.
///
/// A verdict can change only where a minute begins, if policy reads the time at all, and where a
/// signal ends: nothing else that is known now changes by itself.
pub(crate) fn last_second(
    bench: Bench<'_>,
    approvals: &Approvals,
    now: Timestamp,
    horizon: Seconds,
) -> Timestamp {
    let end = now.plus(horizon);
    let mut turns = BTreeSet::new();
    if bench
        .bundle
        .is_timed(bench.ask.act.action(), bench.ask.scope())
    {
        let minutes = 1..=horizon.count().div_euclid(60).saturating_add(1);
        let start = |minute: u32| {
            now.whole_minute()
                .plus(Seconds::new(minute.saturating_mul(60)))
        };
        turns.extend(minutes.map(start));
    }
    turns.extend(
        bench
            .parts
            .signals
            .iter()
            .filter_map(|signal| signal.ends_at),
    );
    turns.retain(|turn| now < *turn && *turn <= end);
    if turns.is_empty() {
        return end.whole_second();
    }
    let look = bench.look(approvals);
    for turn in turns {
        if look(turn).refused.is_some() {
            let whole = turn.whole_second();
            return if whole == turn {
                turn.minus(Seconds::new(1))
            } else {
                whole
            };
        }
    }
    end.whole_second()
}

impl Question {
    fn asked(
        bundle: &Bundle,
        ask: Ask,
        facts: Facts,
        at: Timestamp,
        horizon: Seconds,
        judged: Judgement,
    ) -> Self {
        Self {
            ask,
            facts,
            digest: bundle.digest(),
            at,
            horizon,
            policies: judged.policies,
        }
    }

    fn fact_versions(&self) -> Vec<FactVersion> {
        let parts = self.facts.parts();
        let mut versions = vec![FactVersion::Policy(parts.policy.version)];
        if self.ask.mints() {
            versions.push(FactVersion::Minting(parts.minting.version));
        }
        if self.ask.entry_subject().is_some()
            && let Some(entry) = &parts.entry
        {
            versions.push(FactVersion::Entry(entry.id, entry.version));
        }
        if matches!(self.ask.act, Act::Elevate(_))
            && let Some(elevation) = &parts.elevation
        {
            versions.push(FactVersion::Elevation(elevation.id, elevation.version));
        }
        versions
    }

    fn record(&self) -> Record {
        let mut record = record_question(&self.ask, self.facts.parts());
        let ids: Vec<_> = self.policies.iter().map(ToString::to_string).collect();
        record.extend(BTreeMap::from([
            ("at".to_owned(), self.at.rfc3339().into()),
            ("horizon_s".to_owned(), self.horizon.count().into()),
            ("policies".to_owned(), ids.into()),
            ("policy_digest".to_owned(), self.digest.to_string().into()),
            (
                "built_in_digest".to_owned(),
                built_in_digest().to_string().into(),
            ),
        ]));
        record
    }
}

impl Permit {
    /// What was asked.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        &self.question.ask
    }

    /// The facts that it rests on, as they were observed.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.question.facts
    }

    /// The version of each fact that it rests on. The transaction that records what follows from
    /// this permit refuses when any has changed.
    #[must_use]
    pub fn fact_versions(&self) -> Vec<FactVersion> {
        self.question.fact_versions()
    }

    /// The policies that permit, in the order of ids.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyId> {
        self.question.policies.iter()
    }

    /// The digest of the bundle that was asked.
    #[must_use]
    pub const fn digest(&self) -> PolicyDigest {
        self.question.digest
    }

    /// The moment that the question was about.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.question.at
    }

    /// The last whole second at which the same question is permitted, as far as is known now and
    /// up to the horizon. A certificate's notAfter must not be later.
    #[must_use]
    pub const fn last_second(&self) -> Timestamp {
        self.last_second
    }

    /// The terms of the scope, when the permit is for an elevation.
    #[must_use]
    pub const fn terms(&self) -> Option<&ScopeTerms> {
        self.terms.as_ref()
    }

    /// The question, the facts and the answer for the event: texts, whole numbers, truths and
    /// lists of texts; enough to derive the verdict again with nothing but the bundle.
    #[must_use]
    pub fn record(&self) -> Record {
        let mut record = self.question.record();
        record.insert("decision".to_owned(), "permit".into());
        record.insert("last_second".to_owned(), self.last_second.rfc3339().into());
        record
    }
}

impl Denial {
    /// What was asked.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        &self.question.ask
    }

    /// The facts that it rests on, as they were observed.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.question.facts
    }

    /// The version of each fact that it rests on.
    #[must_use]
    pub fn fact_versions(&self) -> Vec<FactVersion> {
        self.question.fact_versions()
    }

    /// Why not.
    #[must_use]
    pub const fn reason(&self) -> DenialReason {
        self.reason
    }

    /// Why not, in the caller's words.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The policies that forbid, in the order of ids; none where none permits.
    pub fn policies(&self) -> impl Iterator<Item = &PolicyId> {
        self.question.policies.iter()
    }

    /// The digest of the bundle that was asked.
    #[must_use]
    pub const fn digest(&self) -> PolicyDigest {
        self.question.digest
    }

    /// The moment that the question was about.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.question.at
    }

    /// The approvals that would permit: with any, the elevation is pending and not denied.
    #[must_use]
    pub const fn waits_for(&self) -> Option<&WaitsFor> {
        self.waits_for.as_ref()
    }

    /// As [`Permit::record`]; the caller's words are left out, the reason's code stands for them.
    #[must_use]
    pub fn record(&self) -> Record {
        let mut record = self.question.record();
        record.insert("decision".to_owned(), "denial".into());
        record.insert("reason".to_owned(), self.reason.code().into());
        let ways = self.waits_for.iter().flat_map(WaitsFor::ways);
        let ways: Vec<_> = ways.map(ToString::to_string).collect();
        record.insert("waits_for".to_owned(), ways.into());
        record
    }
}

/// The furthest that a verdict looks ahead: the longest life of a base SVID.
pub const HORIZON_MAX: Seconds = Seconds::new(24 * 3_600);

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

    use super::*;
    use crate::id::PolicyVersion;
    use crate::policy::tests::{
        ask, asked, asked_for, at, bundle_once, bundle_with, denial, elevate, parts, permit, web,
    };

    #[test]
    fn a_right_ends_the_second_before_policy_turns() {
        let bundle = bundle_with("");
        let last = |now| {
            let verdict = asked(&bundle, elevate("db.read"), parts(&bundle), at(now));
            permit(verdict).last_second()
        };
        assert_eq!(last("2026-01-07T17:50:30.250Z"), at("2026-01-07T17:59:59Z"));
        assert_eq!(last("2026-01-07T17:59:59.999Z"), at("2026-01-07T17:59:59Z"));
        assert_eq!(last("2026-01-07T12:00:00.900Z"), at("2026-01-07T12:15:00Z"));
        let late = asked(
            &bundle,
            elevate("db.read"),
            parts(&bundle),
            at("2026-01-07T18:00:00Z"),
        );
        assert_eq!(denial(late).reason(), DenialReason::NoPermit);
    }

    #[test]
    fn a_right_ends_with_the_word_of_a_signal() {
        let bundle = bundle_with("");
        let mut facts = parts(&bundle);
        facts.signals[0].ends_at = Some(at("2026-01-07T12:03:07.500Z"));
        let now = at("2026-01-07T12:00:00Z");
        let verdict = asked(&bundle, elevate("db.write"), facts, now);
        assert_eq!(permit(verdict).last_second(), at("2026-01-07T12:03:07Z"));
    }

    #[test]
    fn a_permit_names_every_fact_that_it_rests_on() {
        let bundle = bundle_with("");
        let facts = parts(&bundle);
        let (entry, elevation) = (
            facts.entry.clone().unwrap(),
            facts.elevation.clone().unwrap(),
        );
        let verdict = asked(
            &bundle,
            elevate("db.write"),
            facts,
            at("2026-01-07T12:00:00Z"),
        );
        let permit = permit(verdict);
        assert_eq!(
            permit.fact_versions(),
            [
                FactVersion::Policy(PolicyVersion::new(3).unwrap()),
                FactVersion::Minting(4),
                FactVersion::Entry(entry.id, 5),
                FactVersion::Elevation(elevation.id, 6),
            ]
        );
        let ids: Vec<_> = permit.policies().map(PolicyId::as_str).collect();
        assert_eq!(ids, ["writes"]);
        assert_eq!(permit.terms().unwrap().svid_life, Seconds::new(300));
    }

    fn moments() -> impl Strategy<Value = Timestamp> {
        // Some days of January 2026, to the millisecond.
        (1_767_744_000_000_i64..1_768_000_000_000)
            .prop_map(|ms| Timestamp::from_unix_ms(ms).unwrap())
    }

    proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn the_last_second_is_permitted_and_the_next_is_not_or_is_too_far(
            now in moments(),
            horizon in 0_u32..3_600,
        ) {
            let bundle = bundle_once();
            let verdict = |now, horizon| {
                asked_for(bundle, elevate("db.read"), parts(bundle), now, horizon)
            };
            let horizon = Seconds::new(horizon);
            if let Verdict::Permit(permit) = verdict(now, horizon) {
                let last = permit.last_second();
                prop_assert!(last <= now.plus(horizon));
                prop_assert_eq!(last, last.whole_second());
                let still = verdict(last.max(now), Seconds::new(0));
                prop_assert!(matches!(still, Verdict::Permit(_)));
                let next = last.plus(Seconds::new(1));
                if next <= now.plus(horizon) {
                    prop_assert!(matches!(verdict(next, Seconds::new(0)), Verdict::Denial(_)));
                }
            }
        }

        #[test]
        fn nothing_is_permitted_without_an_entry_or_while_minting_is_stopped(
            now in moments(),
            scope in 0_usize..3,
            stopped in any::<bool>(),
            approvals in 0_u32..5,
        ) {
            let bundle = bundle_once();
            let ask = match scope {
                0 => ask(Act::Issue { subject: web() }),
                1 => elevate("db.read"),
                _ => elevate("db.write"),
            };
            let mut facts = parts(bundle);
            facts.minting.stopped = stopped;
            if !stopped {
                facts.entry = None;
            }
            let elevation = facts.elevation.as_mut().unwrap();
            elevation.approvals.insert("sre".parse().unwrap(), approvals);
            let denial = denial(asked(bundle, ask, facts, now));
            prop_assert!(denial.waits_for().is_none());
        }

        #[test]
        fn approvals_only_ever_help(now in moments(), few in 0_u32..4, more in 0_u32..4) {
            let bundle = bundle_once();
            let permitted = |approvals| {
                let mut facts = parts(bundle);
                let given = [("sre".parse().unwrap(), approvals)];
                facts.elevation.as_mut().unwrap().approvals = given.into();
                matches!(asked(bundle, elevate("db.write"), facts, now), Verdict::Permit(_))
            };
            prop_assert_eq!(permitted(few), few >= 2);
            prop_assert!(!permitted(few) || permitted(few + more));
        }
    }
}

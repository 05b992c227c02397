//! Verdicts put to the test: what ends a right, what denies it, and what cannot change it.

mod world;

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use crate::id::entropy::Entropy;
use crate::id::{OperatorId, PolicyVersion};
use crate::identity::Subject;
use crate::policy::model::Supposed;
use crate::policy::tests::world::{
    POLICIES, SCOPES, ask, asked, asked_for, at, bundle_once, bundle_with, denial, elevate, parts,
    permit, web,
};
use crate::policy::{
    Act, Ask, Bundle, BundleSource, DenialReason, FactParts, FactVersion, OperateVerb,
    PolicyDigest, PolicyId, Principal, RevokeAct, Verdict,
};
use crate::time::{Seconds, Timestamp};

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
    assert_eq!(
        reason(issue(), &|f| f.entry.as_mut().unwrap().subject =
            other.clone()),
        DenialReason::EntryMissing
    );
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

#[test]
fn every_kind_of_question_conforms_to_the_schema() {
    let bundle = bundle_with("");
    let operator = Principal::Operator(OperatorId::random(&Entropy::seeded(1)));
    let workload = ask(Act::Issue { subject: web() }).principal;
    let mut full = elevate("db.write");
    if let Act::Elevate(act) = &mut full.act {
        act.ticket = Some("OPS-1".parse().unwrap());
    }
    let revoke = |subject, scope| Act::Revoke(RevokeAct { subject, scope });
    let mut acts = vec![
        full.act,
        Act::Issue { subject: web() },
        Act::ReadAudit { of: Some(web()) },
        revoke(None, None),
        revoke(Some(web()), Some("db.read".parse().unwrap())),
    ];
    acts.extend(OperateVerb::ALL.map(Act::Operate));
    for (act, principal) in acts
        .iter()
        .flat_map(|act| [(act, &operator), (act, &workload)])
    {
        let ask = Ask {
            principal: principal.clone(),
            act: act.clone(),
            source: Some("2001:db8::1".parse().unwrap()),
        };
        let facts = parts(&bundle);
        let supposed = Supposed {
            ask: &ask,
            parts: &facts,
            terms: ask
                .scope()
                .and_then(|scope| bundle.catalogue().terms(scope)),
            approvals: &facts.elevation.as_ref().unwrap().approvals,
        };
        let model = bundle.model();
        let put = model.scene(supposed).unwrap();
        let put = put.put(at("2026-01-07T12:00:00Z"), Some(&model.schema));
        let put = put.unwrap_or_else(|wrong| panic!("{ask:?}: {wrong}"));
        let entities = put.entities.iter().cloned();
        cedar_policy::Entities::from_entities(entities, Some(&model.schema)).unwrap();
    }
}

#[test]
fn the_record_holds_texts_whole_numbers_truths_and_lists() {
    let bundle = bundle_with("");
    let now = at("2026-01-07T12:00:00Z");
    let permit = permit(asked(&bundle, elevate("db.write"), parts(&bundle), now));
    let record = permit.record();
    for (key, value) in &record {
        let plain = value.is_string() || value.is_boolean() || value.is_u64();
        let list = value
            .as_array()
            .is_some_and(|l| l.iter().all(|item| item.is_string()));
        assert!(plain || list, "{key}: {value}");
    }
    assert_eq!(record.get("decision").unwrap(), "permit");
    assert_eq!(
        record.get("approvals").unwrap(),
        &serde_json::json!(["sre:2"])
    );
    assert_eq!(
        record.get("last_second").unwrap(),
        "2026-01-07T12:15:00.000Z"
    );
}

fn moments() -> impl Strategy<Value = Timestamp> {
    // Some days of January 2026, to the millisecond.
    (1_767_744_000_000_i64..1_768_000_000_000).prop_map(|ms| Timestamp::from_unix_ms(ms).unwrap())
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

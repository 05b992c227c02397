//! Verdicts put to the test: what ends a right, what denies it, and what cannot change it.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use crate::id::entropy::Entropy;
use crate::id::{ElevationId, EntryId, OperatorId, PolicyVersion};
use crate::identity::Subject;
use crate::policy::model::Supposed;
use crate::policy::{
    Act, Approvals, Ask, Bundle, BundleSource, Denial, DenialReason, ElevateAct, ElevationFact,
    EntryFact, FactParts, FactVersion, Facts, MintingFact, OperateVerb, Permit, PolicyDigest,
    PolicyFact, PolicyId, Principal, RevokeAct, SignalFact, Verdict, decide,
};
use crate::time::{Seconds, Timestamp};

const SCOPES: &str = r#"
    [scope."db.read"]
    description = "d"
    owner = "data"
    servers = []
    svid_life = "5m"
    elevation_longest = "30m"
    [scope."db.write"]
    description = "d"
    owner = "data"
    servers = []
    svid_life = "5m"
    elevation_longest = "30m"
"#;

/// Office hours for reading; writing unless frozen, with an sre.
const POLICIES: &str = r#"
    @id("base") permit (principal, action == Action::"issue", resource);
    @id("hours")
    permit (principal in Group::"demo", action == Action::"elevate",
        resource == Scope::"db.read")
    when { context.time.minute_of_day >= 480 && context.time.minute_of_day < 1080 };
    @id("writes") @route("sre:2")
    permit (principal, action == Action::"elevate", resource == Scope::"db.write")
    when { context.elevation.hasTag("sre") && context.elevation.getTag("sre") >= 2 };
    @id("freeze") @reason("writing is frozen")
    forbid (principal, action == Action::"elevate", resource == Scope::"db.write")
    unless { context.signals.hasTag("freeze") &&
        context.signals.getTag("freeze").source_fresh &&
        !context.signals.getTag("freeze").active };
    @id("operators")
    permit (principal is Operator, action, resource);
"#;

fn bundle_with(more: &str) -> Bundle {
    let files = [
        ("scopes.toml", SCOPES.to_owned()),
        ("p.cedar", [POLICIES, more].concat()),
    ];
    let source = BundleSource::collect(files).unwrap();
    Bundle::compile(&source).unwrap_or_else(|faults| panic!("{faults}"))
}

fn web() -> Subject {
    "spiffe://td.test/ns/demo/sa/web".parse().unwrap()
}

fn ask(act: Act) -> Ask {
    Ask {
        principal: Principal::Workload {
            subject: web(),
            elevated: false,
        },
        act,
        source: None,
    }
}

fn elevate(scope: &str) -> Ask {
    ask(Act::Elevate(ElevateAct {
        subject: web(),
        scope: scope.parse().unwrap(),
        asked: Seconds::new(600),
        has_reason: true,
        ticket: None,
        scheduled: false,
        on_demand: false,
        break_glass: false,
    }))
}

fn parts(bundle: &Bundle) -> FactParts {
    let chance = Entropy::seeded(7);
    FactParts {
        policy: PolicyFact {
            version: PolicyVersion::new(3).unwrap(),
            digest: bundle.digest(),
        },
        minting: MintingFact {
            stopped: false,
            version: 4,
        },
        entry: Some(EntryFact {
            id: EntryId::random(&chance),
            version: 5,
            subject: web(),
            selectors: vec!["unix:uid:1000".parse().unwrap()],
            owner: "data".parse().unwrap(),
            groups: vec!["demo".parse().unwrap()],
            deputies: Vec::new(),
            life: Seconds::new(3_600),
        }),
        elevation: Some(ElevationFact {
            id: ElevationId::random(&chance),
            version: 6,
            approvals: Approvals::from([("sre".parse().unwrap(), 2)]),
            requester: Principal::Workload {
                subject: web(),
                elevated: false,
            },
        }),
        signals: vec![SignalFact {
            name: "freeze".to_owned(),
            active: false,
            source_fresh: true,
            ends_at: None,
        }],
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn asked(bundle: &Bundle, ask: Ask, parts: FactParts, now: Timestamp) -> Verdict {
    decide(bundle, ask, Facts::observed(parts), now, Seconds::new(900))
}

fn permit(verdict: Verdict) -> Permit {
    match verdict {
        Verdict::Permit(permit) => permit,
        Verdict::Denial(denial) => panic!("{denial:?}"),
    }
}

fn denial(verdict: Verdict) -> Denial {
    match verdict {
        Verdict::Denial(denial) => denial,
        Verdict::Permit(permit) => panic!("{permit:?}"),
    }
}

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
fn pending_says_whom_it_waits_for() {
    let bundle = bundle_with("");
    let mut facts = parts(&bundle);
    facts.elevation = None;
    let verdict = asked(
        &bundle,
        elevate("db.write"),
        facts,
        at("2026-01-07T12:00:00Z"),
    );
    let denial = denial(verdict);
    assert_eq!(denial.waits_for().unwrap().to_string(), "sre:2");
    assert_eq!(denial.reason(), DenialReason::NoPermit);
}

#[test]
fn no_approval_lifts_a_forbid_without_needs() {
    let bundle = bundle_with("");
    let mut facts = parts(&bundle);
    facts.signals[0].active = true;
    facts.elevation = None;
    let verdict = asked(
        &bundle,
        elevate("db.write"),
        facts,
        at("2026-01-07T12:00:00Z"),
    );
    let denial = denial(verdict);
    assert_eq!(denial.waits_for(), None);
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
            at: at("2026-01-07T12:00:00Z"),
        };
        if let Err(wrong) = bundle.model().put(supposed, true) {
            panic!("{ask:?}: {wrong}");
        }
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
            let facts = Facts::observed(parts(bundle));
            decide(bundle, elevate("db.read"), facts, now, horizon)
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

fn bundle_once() -> &'static Bundle {
    static BUNDLE: std::sync::LazyLock<Bundle> = std::sync::LazyLock::new(|| bundle_with(""));
    &BUNDLE
}

#[test]
fn zz_timing() {
    let bundle = bundle_once();
    let now = at("2026-01-07T12:00:00Z");
    for name in ["db.read", "db.write"] {
        let start = std::time::Instant::now();
        for _ in 0..2_000 {
            let _ = asked(bundle, elevate(name), parts(bundle), now);
        }
        eprintln!("{name} {:?} each", start.elapsed() / 2_000);
    }
    let start = std::time::Instant::now();
    for _ in 0..2_000 {
        let _ = asked(
            bundle,
            ask(Act::Issue { subject: web() }),
            parts(bundle),
            now,
        );
    }
    eprintln!("issue {:?} each", start.elapsed() / 2_000);
    let start = std::time::Instant::now();
    for _ in 0..2_000 {
        let facts = parts(bundle);
        let ask = elevate("db.write");
        let s = Supposed {
            ask: &ask,
            parts: &facts,
            terms: bundle.catalogue().terms(ask.scope().unwrap()),
            approvals: &facts.elevation.as_ref().unwrap().approvals,
            at: now,
        };
        let _ = bundle.model().put(s, false);
    }
    eprintln!("put {:?} each", start.elapsed() / 2_000);
}

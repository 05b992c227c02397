//! Policy: who may hold which scope, for how long, under which conditions, with whose approval.
//!
//! | File | Holds |
//! |---|---|
//! | `source` | a bundle's files, bounded, with canonical bytes and digest |
//! | `bundle` | the compiled bundle, indexed by scope |
//! | `rule`, `check`, `fold`, `nesting` | how policies are read and checked |
//! | `catalogue` | `scopes.toml` |
//! | `question`, `facts` | what is asked, and what it rests on |
//! | `model` | both in Cedar's words |
//! | `judge` | one look; `decide`: the verdict; `outlook`: the supposition |
//! | `suite` | a bundle's own tests |
//!
//! Promises: a pure function of bundle, question, facts and moment; approvals are facts. Only
//! [`decide`] returns a [`Permit`], only from [`Facts`] that the store observed.
//! Refuses: IO, the clock, free text; a permit where anything is missing or fails.

mod bundle;
mod catalogue;
mod check;
mod decide;
mod facts;
mod fault;
mod fold;
mod judge;
mod model;
mod need;
mod nesting;
mod outlook;
mod question;
mod record;
mod rule;
mod source;
mod suite;

pub use crate::policy::bundle::{Bundle, built_in_digest, guardrails_text, schema_text};
pub use crate::policy::catalogue::{
    Catalogue, ELEVATION_LONGEST_MAX, SCOPES_MAX, SVID_LIFE_MAX, ScopeTerms,
};
pub use crate::policy::decide::{Denial, HORIZON_MAX, Permit, Verdict, decide};
pub use crate::policy::facts::{
    ElevationFact, EntryFact, EntryInView, FactParts, FactVersion, Facts, MintingFact, PolicyFact,
    SignalFact,
};
pub use crate::policy::fault::{BundleFaults, Fault, Place};
pub use crate::policy::judge::DenialReason;
pub use crate::policy::need::{Approvals, NEED_COUNT_MAX, Need, NeedError, WaitsFor, Way};
pub use crate::policy::outlook::{Forecast, Outlook, suppose};
pub use crate::policy::question::{
    Act, Action, Ask, ElevateAct, OperateVerb, Principal, RevokeAct, TICKET_BYTES_MAX, Ticket,
    TicketError,
};
pub use crate::policy::record::Record;
pub use crate::policy::rule::{POLICY_ID_BYTES_MAX, PolicyId, PolicyIdError};
pub use crate::policy::source::{
    BUNDLE_BYTES_MAX, BundleSource, FILE_BYTES_MAX, FILES_MAX, PolicyDigest, PolicyError,
};
pub use crate::policy::suite::{SUITE_TESTS_MAX, TestOutcome, run_tests};

#[cfg(test)]
mod tests {
    //! The world of the room's tests: one bundle, one workload, facts that permit.

    use super::*;
    use crate::id::entropy::Entropy;
    use crate::id::{ElevationId, EntryId, PolicyVersion};
    use crate::identity::Subject;
    use crate::time::{Seconds, Timestamp};

    pub(crate) const SCOPES: &str = r#"
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
    pub(crate) const POLICIES: &str = r#"
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

    pub(crate) fn bundle_with(more: &str) -> Bundle {
        let files = [
            ("scopes.toml", SCOPES.to_owned()),
            ("p.cedar", [POLICIES, more].concat()),
        ];
        let source = BundleSource::collect(files).unwrap();
        Bundle::compile(&source).unwrap_or_else(|faults| panic!("{faults}"))
    }

    pub(crate) fn web() -> Subject {
        "spiffe://td.test/ns/demo/sa/web".parse().unwrap()
    }

    pub(crate) fn ask(act: Act) -> Ask {
        Ask {
            principal: Principal::Workload {
                subject: web(),
                elevated: false,
            },
            act,
            source: None,
        }
    }

    pub(crate) fn elevate(scope: &str) -> Ask {
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

    pub(crate) fn parts(bundle: &Bundle) -> FactParts {
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
            entry: Some(
                EntryFact {
                    id: EntryId::random(&chance),
                    version: 5,
                    subject: web(),
                    selectors: vec!["unix:uid:1000".parse().unwrap()],
                    owner: "data".parse().unwrap(),
                    groups: vec!["demo".parse().unwrap()],
                    deputies: Vec::new(),
                    life: Seconds::new(3_600),
                }
                .into(),
            ),
            elevation: Some(ElevationFact {
                id: ElevationId::random(&chance),
                version: 6,
                subject: web(),
                scope: "db.write".parse().unwrap(),
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

    pub(crate) fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    pub(crate) fn asked(bundle: &Bundle, ask: Ask, parts: FactParts, now: Timestamp) -> Verdict {
        asked_for(bundle, ask, parts, now, Seconds::new(900))
    }

    /// Asks policy about an elevation for the scope that is asked for.
    pub(crate) fn asked_for(
        bundle: &Bundle,
        ask: Ask,
        mut parts: FactParts,
        now: Timestamp,
        horizon: Seconds,
    ) -> Verdict {
        if let (Some(scope), Some(elevation)) = (ask.scope(), parts.elevation.as_mut()) {
            elevation.scope = scope.clone();
        }
        decide(bundle, ask, Facts::observed(parts), now, horizon)
    }

    pub(crate) fn permit(verdict: Verdict) -> Permit {
        match verdict {
            Verdict::Permit(permit) => permit,
            Verdict::Denial(denial) => panic!("{denial:?}"),
        }
    }

    pub(crate) fn denial(verdict: Verdict) -> Denial {
        match verdict {
            Verdict::Denial(denial) => denial,
            Verdict::Permit(permit) => panic!("{permit:?}"),
        }
    }

    pub(crate) fn bundle_once() -> &'static Bundle {
        static BUNDLE: std::sync::LazyLock<Bundle> = std::sync::LazyLock::new(|| bundle_with(""));
        &BUNDLE
    }
}

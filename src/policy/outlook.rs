//! The outlook: what policy would say. It opens nothing.
//!
//! For `explain`, dry runs and the tests of a bundle. Promises: it is found by the same looks as
//! a verdict, and cannot be turned into one.

use crate::policy::bundle::Bundle;
use crate::policy::decide::{HORIZON_MAX, last_second};
use crate::policy::facts::FactParts;
use crate::policy::fault::Place;
use crate::policy::judge::{Bench, DenialReason};
use crate::policy::need::{Approvals, WaitsFor};
use crate::policy::question::{Act, Ask, ElevateAct, Principal};
use crate::policy::rule::PolicyId;
use crate::time::{Seconds, Timestamp};

/// What policy would say to a supposed question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The answer.
    pub forecast: Forecast,
    /// The policies that make it so, each with its place in the bundle.
    pub policies: Vec<(PolicyId, Place)>,
    /// Why not, when it is not permitted.
    pub reason: Option<DenialReason>,
    /// The answer in the caller's words.
    pub text: String,
    /// The approvals that would permit.
    pub waits_for: Option<WaitsFor>,
    /// Until when it would stay permitted.
    pub last_second: Option<Timestamp>,
    /// What would change the answer, each by itself, in words.
    pub changes: Vec<String>,
}

/// The three answers a caller can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forecast {
    /// No, whatever people approve.
    Denied,
    /// Once people approve.
    Pending,
    /// Yes.
    Permitted,
}

/// Supposes a question; facts may be made up.
#[must_use]
pub fn suppose(
    bundle: &Bundle,
    ask: &Ask,
    parts: &FactParts,
    now: Timestamp,
    horizon: Seconds,
) -> Outlook {
    let bench = Bench { bundle, ask, parts };
    let approvals = bench.approvals();
    let judged = bench.judge(&approvals, now);
    let waits_for = match judged.refused {
        None => None,
        Some(_) => bench.waits_for(now),
    };
    let forecast = forecast(judged.refused.is_none(), waits_for.as_ref());
    let permitted = forecast == Forecast::Permitted;
    let rules = judged
        .policies
        .iter()
        .filter_map(|id| bundle.rule(id.as_str()));
    Outlook {
        policies: rules
            .map(|rule| (rule.id.clone(), rule.place.clone()))
            .collect(),
        reason: judged.refused,
        text: bench.words(&judged),
        last_second: permitted
            .then(|| last_second(bench, &approvals, now, horizon.min(HORIZON_MAX))),
        changes: if permitted {
            Vec::new()
        } else {
            changes(bench, &approvals, waits_for.as_ref(), now)
        },
        waits_for,
        forecast,
    }
}

impl Forecast {
    /// Its name in policy tests and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Pending => "pending",
            Self::Permitted => "permit",
        }
    }
}

const fn forecast(permitted: bool, waits_for: Option<&WaitsFor>) -> Forecast {
    match (permitted, waits_for) {
        (true, _) => Forecast::Permitted,
        (false, Some(_)) => Forecast::Pending,
        (false, None) => Forecast::Denied,
    }
}

/// Tries one change after another and tells which would permit, or at least open a way.
fn changes(
    bench: Bench<'_>,
    approvals: &Approvals,
    waits_for: Option<&WaitsFor>,
    now: Timestamp,
) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(waits_for) = waits_for {
        told.push(format!("approvals: {waits_for}"));
    }
    for (words, ask) in variants(bench) {
        let varied = Bench { ask: &ask, ..bench };
        if varied.judge(approvals, now).refused.is_none() {
            told.push(words);
        } else if waits_for.is_none()
            && let Some(ways) = varied.waits_for(now)
        {
            told.push(format!("{words}, then approvals: {ways}"));
        }
    }
    if bench
        .bundle
        .is_timed(bench.ask.act.action(), bench.ask.scope())
    {
        let hour = |hours: u32| {
            let later = now.plus(Seconds::new(hours.saturating_mul(3_600)));
            later.whole_minute().minus(Seconds::new(minute_s(later)))
        };
        let look = bench.look(approvals);
        let permitted = |at: &Timestamp| look(*at).refused.is_none();
        let found = (1..=HOURS_TRIED_MAX).map(hour).find(permitted);
        told.extend(found.map(|at| format!("ask again at {at}")));
    }
    told
}

/// The same question with one thing changed, and the change in words.
fn variants(bench: Bench<'_>) -> Vec<(String, Ask)> {
    let mut variants = Vec::new();
    if let Principal::Workload {
        subject,
        elevated: true,
    } = &bench.ask.principal
    {
        let principal = Principal::Workload {
            subject: subject.clone(),
            elevated: false,
        };
        let ask = Ask {
            principal,
            ..bench.ask.clone()
        };
        variants.push(("ask with the base SVID".to_owned(), ask));
    }
    let Act::Elevate(act) = &bench.ask.act else {
        return variants;
    };
    let mut vary = |words: String, act: ElevateAct| {
        let act = Act::Elevate(act);
        let ask = Ask {
            act,
            ..bench.ask.clone()
        };
        variants.push((words, ask));
    };
    if !act.has_reason {
        let act = ElevateAct {
            has_reason: true,
            ..act.clone()
        };
        vary("give a reason".to_owned(), act);
    }
    if act.on_demand {
        let act = ElevateAct {
            on_demand: false,
            ..act.clone()
        };
        vary("ask by a request, not on demand".to_owned(), act);
    }
    if !act.break_glass {
        let act = ElevateAct {
            break_glass: true,
            ..act.clone()
        };
        vary("break the glass, if this is an emergency".to_owned(), act);
    }
    let terms = bench.bundle.catalogue().terms(&act.scope);
    if let Some(terms) = terms.filter(|terms| terms.elevation_longest < act.asked) {
        let words = format!("ask for at most {}", terms.elevation_longest);
        let asked = terms.elevation_longest;
        vary(
            words,
            ElevateAct {
                asked,
                ..act.clone()
            },
        );
    }
    variants
}

fn minute_s(at: Timestamp) -> u32 {
    u32::from(at.date_time().minute()).saturating_mul(60)
}

/// How many hours ahead a better time is looked for: a week.
const HOURS_TRIED_MAX: u32 = 7 * 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::{at, bundle_once, elevate, parts};

    #[test]
    fn an_outlook_says_what_would_change_it() {
        let bundle = bundle_once();
        let mut facts = parts(bundle);
        facts.elevation = None;
        let look = |scope, now| {
            let horizon = Seconds::new(60);
            suppose(bundle, &elevate(scope), &facts, at(now), horizon)
        };
        let night = look("db.read", "2026-01-07T18:30:00Z");
        assert_eq!(night.forecast, Forecast::Denied);
        assert_eq!(night.changes, ["ask again at 2026-01-08T08:00:00.000Z"]);
        let pending = look("db.write", "2026-01-07T18:30:00Z");
        assert_eq!(pending.forecast, Forecast::Pending);
        assert_eq!(pending.changes, ["approvals: sre:2"]);
        let day = look("db.read", "2026-01-07T12:00:00Z");
        assert_eq!(day.forecast, Forecast::Permitted);
        assert_eq!(day.last_second, Some(at("2026-01-07T12:01:00Z")));
        let (id, place) = day.policies.first().unwrap();
        assert_eq!((id.as_str(), place.file.as_str()), ("hours", "p.cedar"));
    }
}

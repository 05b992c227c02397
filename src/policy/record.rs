//! The question and its facts as the event carries them.
//!
//! Promises: keys in a fixed order; values are texts, whole numbers, truths and lists of texts;
//! no free text; everything that the schema lets a policy see can be built again from it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::policy::facts::{EntryFact, FactParts, SignalFact};
use crate::policy::need::Approvals;
use crate::policy::question::{Act, Ask, ElevateAct, Principal};
use crate::time::Timestamp;

/// Keys and values in the order of keys.
pub type Record = BTreeMap<String, Value>;

/// Everything that goes into a verdict but the bundle and the moment.
pub(crate) fn record_question(ask: &Ask, parts: &FactParts) -> Record {
    let mut record = Record::new();
    let mut put = |key: &str, value: Value| {
        record.insert(key.to_owned(), value);
    };
    put("action", ask.act.action().as_str().into());
    put("principal", ask.principal.to_string().into());
    put("principal_elevated", is_elevated(&ask.principal).into());
    if let Some(source) = ask.source {
        put("source", source.to_string().into());
    }
    match &ask.act {
        Act::Elevate(act) => elevate(act, &mut put),
        Act::Issue { subject } => put("subject", subject.to_string().into()),
        Act::Operate(verb) => put("verb", verb.as_str().into()),
        Act::ReadAudit { of } => {
            if let Some(subject) = of {
                put("subject", subject.to_string().into());
            }
        }
        Act::Revoke(act) => {
            if let Some(subject) = &act.subject {
                put("subject", subject.to_string().into());
            }
            if let Some(scope) = &act.scope {
                put("scope", scope.as_str().into());
            }
        }
    }
    put("policy_version", parts.policy.version.value().into());
    put("minting_stopped", parts.minting.stopped.into());
    put("minting_version", parts.minting.version.into());
    if let Some(fact) = &parts.entry {
        entry(fact, &mut put);
    }
    if let Some(fact) = &parts.elevation {
        put("elevation", fact.id.to_string().into());
        put("elevation_version", fact.version.into());
        put("elevation_subject", fact.subject.to_string().into());
        put("elevation_scope", fact.scope.as_str().into());
        put("elevation_requester", fact.requester.to_string().into());
        put("approvals", approvals(&fact.approvals).into());
    }
    let signals: Vec<_> = parts.signals.iter().map(signal).collect();
    put("signals", signals.into());
    record
}

fn elevate(act: &ElevateAct, put: &mut impl FnMut(&str, Value)) {
    put("subject", act.subject.to_string().into());
    put("scope", act.scope.as_str().into());
    put("asked_s", act.asked.count().into());
    put("has_reason", act.has_reason.into());
    put("scheduled", act.scheduled.into());
    put("on_demand", act.on_demand.into());
    put("break_glass", act.break_glass.into());
    if let Some(ticket) = &act.ticket {
        put("ticket", ticket.as_str().into());
    }
}

fn entry(fact: &EntryFact, put: &mut impl FnMut(&str, Value)) {
    let list = |items: Vec<String>| -> Value { items.into() };
    put("entry", fact.id.to_string().into());
    put("entry_version", fact.version.into());
    put("entry_subject", fact.subject.to_string().into());
    put("entry_owner", fact.owner.as_str().into());
    put("entry_life_s", fact.life.count().into());
    put(
        "entry_groups",
        list(fact.groups.iter().map(ToString::to_string).collect()),
    );
    put(
        "entry_selectors",
        list(fact.selectors.iter().map(ToString::to_string).collect()),
    );
    put(
        "entry_deputies",
        list(fact.deputies.iter().map(ToString::to_string).collect()),
    );
}

fn approvals(approvals: &Approvals) -> Vec<String> {
    approvals
        .iter()
        .map(|(group, count)| format!("{group}:{count}"))
        .collect()
}

fn signal(fact: &SignalFact) -> String {
    let word = |on, yes, no| if on { yes } else { no };
    let ends = fact
        .ends_at
        .map_or_else(|| "open".to_owned(), Timestamp::rfc3339);
    format!(
        "{} {} {} {ends}",
        fact.name,
        word(fact.active, "active", "inactive"),
        word(fact.source_fresh, "fresh", "stale"),
    )
}

const fn is_elevated(principal: &Principal) -> bool {
    matches!(principal, Principal::Workload { elevated: true, .. })
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::{asked, at, bundle_with, elevate, parts, permit};

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
                .is_some_and(|l| l.iter().all(serde_json::Value::is_string));
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
}

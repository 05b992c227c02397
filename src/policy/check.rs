//! What a bundle must keep beyond Cedar's own validation.
//!
//! Promises, by supposing and folding (`fold`), not by matching text:
//! - `@route` and `@needs` say exactly what the condition says: with those approvals it turns,
//!   with one fewer it does not, and with more it stays turned;
//! - a source that died, or never spoke, leaves a forbid forbidding and a permit silent.
//!
//! Every scope that a policy names is in the catalogue, every other name is at least a legal one.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::EntityUid;
use serde_json::{Value, json};

use crate::id::OperatorId;
use crate::identity::{Group, Subject};
use crate::policy::catalogue::Catalogue;
use crate::policy::fault::Fault;
use crate::policy::fold::{Tag, TagUse, fold, signal_field, tag, truth};
use crate::policy::model::Kinds;
use crate::policy::rule::Read;
use crate::scope::Scope;

/// Checks one policy.
pub(crate) fn check(read: &Read, catalogue: &Catalogue, kinds: &Kinds, faults: &mut Vec<Fault>) {
    let mut told = |text: String, remedy: &str| {
        let fault = Fault::at(read.rule.place.clone(), text, remedy);
        faults.push(fault.within(read.rule.id.as_str()));
    };
    for uid in &read.policy.entity_literals() {
        if let Some(wrong) = misnamed(uid, catalogue, kinds) {
            told(wrong, "correct the name, or add it to scopes.toml");
        }
    }
    if read.reads.opaque {
        told(
            "approvals or signals are read in a way that cannot be checked".to_owned(),
            "write `context.elevation.getTag(\"group\")`, \
             `context.signals.getTag(\"name\").active` and the like, with the name as it is",
        );
        return;
    }
    if let Some(wrong) = disagreement(read) {
        told(
            wrong,
            "let annotation and condition name the same groups, each as \
             `context.elevation.hasTag(\"g\") && context.elevation.getTag(\"g\") >= n`",
        );
    }
    for name in signals(read) {
        if read.rule.forbids && silenced(&read.condition, &name) {
            told(
                format!("the forbid would be silenced by a dead source of signal `{name}`"),
                "forbid unless the signal has a tag, `source_fresh` holds and `active` does not",
            );
        }
        if !read.rule.forbids && helped_by_silence(&read.condition, &name) {
            told(
                format!("the permit does not need a live source of signal `{name}`"),
                "permit only when the signal has a tag and `source_fresh` holds; \
                 write what needs no signal as a permit of its own",
            );
        }
    }
}

fn misnamed(uid: &EntityUid, catalogue: &Catalogue, kinds: &Kinds) -> Option<String> {
    let (kind, name) = (uid.type_name(), uid.id().unescaped());
    if *kind == kinds.scope {
        return match name.parse::<Scope>() {
            Ok(scope) if catalogue.terms(&scope).is_some() => None,
            Ok(_) => Some(format!("scope `{name}` is not in scopes.toml")),
            Err(wrong) => Some(wrong.to_string()),
        };
    }
    if *kind == kinds.group {
        return name.parse::<Group>().err().map(|e| e.to_string());
    }
    if *kind == kinds.workload {
        return name.parse::<Subject>().err().map(|e| e.to_string());
    }
    if *kind == kinds.operator {
        return name.parse::<OperatorId>().err().map(|e| e.to_string());
    }
    if *kind == kinds.elevation || *kind == kinds.signals {
        return Some(format!(
            "`{uid}` is named: approvals and signals come from the context"
        ));
    }
    None
}

/// Where annotation and condition disagree about approvals.
fn disagreement(read: &Read) -> Option<String> {
    let of_group = |tag: &Tag| match tag {
        Tag::Approvals(group) => Some(group.clone()),
        Tag::Signal(_) => None,
    };
    let in_condition: BTreeSet<String> = read.reads.tags.iter().filter_map(of_group).collect();
    let needs = &read.rule.approvals;
    let annotated: BTreeSet<String> = needs.iter().map(|need| need.group.to_string()).collect();
    if in_condition != annotated {
        let list = |groups: BTreeSet<String>| match groups.len() {
            0 => "none".to_owned(),
            _ => groups.into_iter().collect::<Vec<_>>().join(", "),
        };
        let (condition, annotation) = (list(in_condition), list(annotated));
        return Some(format!(
            "the condition reads approvals of {condition}, the annotation names {annotation}"
        ));
    }
    if needs.is_empty() {
        return None;
    }
    // A permit must turn from impossible to possible, a forbid from possible to impossible.
    let impossible = |approvals: &BTreeMap<&str, u32>| {
        fold(&read.condition, &|node| approved(node, approvals)) == truth(false)
    };
    let turned = |approvals: &BTreeMap<&str, u32>| impossible(approvals) == read.rule.forbids;
    let exact: BTreeMap<_, _> = needs.iter().map(|n| (n.group.as_str(), n.count)).collect();
    if !turned(&exact) {
        return Some("the approvals that the annotation names do not suffice".to_owned());
    }
    let plenty: BTreeMap<_, _> = exact.keys().map(|group| (*group, PLENTY)).collect();
    if !turned(&plenty) {
        return Some(
            "more approvals than the annotation names do not suffice: use `>=`".to_owned(),
        );
    }
    for need in needs {
        let mut fewer = plenty.clone();
        fewer.insert(need.group.as_str(), need.count.saturating_sub(1));
        if turned(&fewer) {
            return Some(format!(
                "fewer approvals of `{}` than annotated suffice",
                need.group
            ));
        }
    }
    None
}

fn approved(node: &Value, approvals: &BTreeMap<&str, u32>) -> Option<Value> {
    match tag(node)? {
        (tag_use, Tag::Approvals(group)) => {
            let count = approvals.get(group.as_str()).copied().unwrap_or(0);
            Some(match tag_use {
                TagUse::Get => json!({ "Value": count }),
                TagUse::Has => truth(count > 0),
            })
        }
        (_, Tag::Signal(_)) => None,
    }
}

fn signals(read: &Read) -> Vec<String> {
    let of_signal = |tag: &Tag| match tag {
        Tag::Signal(name) => Some(name.clone()),
        Tag::Approvals(_) => None,
    };
    read.reads.tags.iter().filter_map(of_signal).collect()
}

/// A signal's state; none where no source ever told of it.
#[derive(Clone, Copy)]
struct Told {
    active: bool,
    fresh: bool,
}

fn with_signal(condition: &Value, name: &str, state: Option<Told>) -> Value {
    fold(condition, &|node| {
        if let Some((of, field)) = signal_field(node)
            && of == name
        {
            let value = match field {
                "active" => state.is_some_and(|told| told.active),
                _ => state.is_some_and(|told| told.fresh),
            };
            return Some(truth(value));
        }
        match tag(node)? {
            (TagUse::Has, Tag::Signal(of)) if of == name => Some(truth(state.is_some())),
            _ => None,
        }
    })
}

fn dead() -> [Option<Told>; 3] {
    let stale = |active| {
        Some(Told {
            active,
            fresh: false,
        })
    };
    [None, stale(false), stale(true)]
}

/// Whether a forbid differs between an active signal and a dead source.
fn silenced(condition: &Value, name: &str) -> bool {
    let told = Told {
        active: true,
        fresh: true,
    };
    let active = with_signal(condition, name, Some(told));
    let differs = |state: &Option<Told>| with_signal(condition, name, *state) != active;
    dead().iter().any(differs)
}

/// Whether a permit is possible with a dead source.
fn helped_by_silence(condition: &Value, name: &str) -> bool {
    let possible = |state: &Option<Told>| with_signal(condition, name, *state) != truth(false);
    dead().iter().any(possible)
}

/// More approvers than any need may ask for.
const PLENTY: u32 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Bundle, BundleSource};

    const SCOPE: &str = "[scope.\"db.read\"]\ndescription = \"d\"\nowner = \"data\"\n\
                         servers = []\nsvid_life = \"5m\"\nelevation_longest = \"30m\"\n";

    fn faults(policies: &str) -> Vec<Fault> {
        let files = [("scopes.toml", SCOPE), ("p.cedar", policies)];
        match Bundle::compile(&BundleSource::collect(files).unwrap()) {
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

    fn approved(group: &str, comparison: &str) -> String {
        format!(
            "context.elevation.hasTag(\"{group}\") && \
             context.elevation.getTag(\"{group}\") {comparison}"
        )
    }

    #[test]
    fn a_route_says_what_the_condition_says() {
        let agrees = |annotations: &str, effect: &str, condition: &str| {
            let told = faults(&policy(annotations, effect, condition));
            told.is_empty()
        };
        let sre_2 = approved("sre", ">= 2");
        let route = "@route(\"sre:2\")";
        assert!(agrees(route, "permit", &sre_2));
        assert!(agrees(
            route,
            "permit",
            &format!("context.has_reason && {sre_2}")
        ));
        assert!(agrees(route, "permit", &approved("sre", "> 1")));
        assert!(agrees(
            "@route(\"sre:2,data:1\")",
            "permit",
            &format!("{sre_2} && {}", approved("data", ">= 1"))
        ));
        for wrong in [
            approved("sre", ">= 1"),
            approved("sre", ">= 3"),
            approved("sre", "== 2"),
            approved("ops", ">= 2"),
            format!("context.break_glass || ({sre_2})"),
            format!("{sre_2} && {}", approved("data", ">= 1")),
            "true".to_owned(),
        ] {
            assert!(!agrees(route, "permit", &wrong), "{wrong}");
        }
        assert!(!agrees("", "permit", &sre_2));
        assert!(!agrees("@needs(\"sre:2\")", "permit", &sre_2));
    }

    #[test]
    fn a_need_lifts_its_forbid_and_nothing_less_does() {
        let of = |condition: &str| faults(&policy("@needs(\"sre:1\")", "forbid", condition));
        let lifted = approved("sre", ">= 1");
        assert_eq!(of(&format!("!({lifted})")), vec![]);
        assert_eq!(of(&format!("!(context.has_ticket || ({lifted}))")), vec![]);
        assert_eq!(of(&format!("context.scheduled && !({lifted})")), vec![]);
        assert!(!of(&format!("!({})", approved("sre", ">= 2"))).is_empty());
        assert!(!of(&lifted).is_empty());
        assert!(!of(&format!("context.scheduled || !({lifted})")).is_empty());
    }

    #[test]
    fn a_dead_source_neither_silences_a_forbid_nor_helps_a_permit() {
        let has = "context.signals.hasTag(\"freeze\")";
        let active = "context.signals.getTag(\"freeze\").active";
        let fresh = "context.signals.getTag(\"freeze\").source_fresh";
        let told = |effect: &str, condition: String| {
            let told = faults(&policy("", effect, &condition));
            told.first().map(|fault| fault.text.clone())
        };
        let silenced = told("forbid", format!("{has} && {active}")).unwrap();
        assert!(
            silenced.contains("would be silenced by a dead source"),
            "{silenced}"
        );
        assert!(told("forbid", format!("{has} && ({active} || !{fresh})")).is_some());
        assert_eq!(
            told("forbid", format!("!({has} && {fresh} && !{active})")),
            None
        );
        assert_eq!(
            told("permit", format!("{has} && {fresh} && {active}")),
            None
        );
        assert!(told("permit", format!("{has} && {active}")).is_some());
        assert!(
            told(
                "permit",
                format!("context.has_reason || ({has} && {active})")
            )
            .is_some()
        );
    }

    #[test]
    fn approvals_and_signals_that_cannot_be_followed_are_refused() {
        for odd in [
            "(if context.has_reason then context.elevation else context.elevation).hasTag(\"a\")",
            "Elevation::\"a\".hasTag(\"a\") && Elevation::\"a\".getTag(\"a\") >= 1",
            "Signals::\"known\".hasTag(\"a\") && Signals::\"known\".getTag(\"a\").active",
            "context.signals.hasTag(\"a\") && \
             context.signals.getTag(\"a\") == {active: true, source_fresh: true}",
        ] {
            assert!(!faults(&policy("", "forbid", odd)).is_empty(), "{odd}");
        }
    }
}

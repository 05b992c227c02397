//! A policy's condition as Cedar's JSON form, and what is left of it when parts are supposed.
//!
//! The checks of a bundle rest on this: suppose approvals or the state of a signal, fold the
//! constants away, and see whether the rest is `true`, `false`, or still a question.
//!
//! Promises: [`fold`] only replaces what Cedar itself would compute so, except that `x && false`
//! counts as `false` though an error in `x` would win; policies that err count as denials.
//! Recursion here is bounded by `nesting`, which has looked at the text before.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A tag read from one of the two tagged entities of the context.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tag {
    /// `context.elevation`'s tag of a group.
    Approvals(String),
    /// `context.signals`' tag of a signal.
    Signal(String),
}

/// What a condition reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Tags by literal name.
    pub(crate) tags: BTreeSet<Tag>,
    /// `context.source`, or the context as a whole.
    pub(crate) source: bool,
    /// `context.time`, or the context as a whole.
    pub(crate) time: bool,
    /// A use of a tagged entity that is not `.hasTag("literal")` or `.getTag("literal")`, or of a
    /// signal's state that is not one of its fields.
    pub(crate) opaque: bool,
}

/// The whole condition of a policy in Cedar's JSON form: all `when`, no `unless`.
pub(crate) fn condition(policy: &Value) -> Value {
    let clauses = policy.get("conditions").and_then(Value::as_array);
    let mut whole = truth(true);
    for clause in clauses.into_iter().flatten() {
        let body = clause.get("body").cloned().unwrap_or(Value::Null);
        let holds = match clause.get("kind").and_then(Value::as_str) {
            Some("when") => body,
            _ => json!({ "!": { "arg": body } }),
        };
        whole = json!({ "&&": { "left": whole, "right": holds } });
    }
    whole
}

/// What the condition reads.
pub(crate) fn reads(condition: &Value) -> Reads {
    let mut reads = Reads::default();
    look(condition, &mut reads);
    reads
}

/// What is left of a condition when `suppose` gives some of its nodes a value.
pub(crate) fn fold(node: &Value, suppose: &dyn Fn(&Value) -> Option<Value>) -> Value {
    if let Some(value) = suppose(node) {
        return value;
    }
    let folded = match node {
        Value::Object(fields) => Value::Object(fold_fields(fields, suppose)),
        Value::Array(items) => items.iter().map(|item| fold(item, suppose)).collect(),
        other => other.clone(),
    };
    simplify(&folded).unwrap_or(folded)
}

/// `hasTag` or `getTag` of one of the tagged entities, with a literal name.
pub(crate) fn tag(node: &Value) -> Option<(TagUse, Tag)> {
    let (operator, operands) = only_field(node)?;
    let tag_use = match operator.as_str() {
        "hasTag" => TagUse::Has,
        "getTag" => TagUse::Get,
        _ => return None,
    };
    let name = constant(operands.get("right")?)?.as_str()?.to_owned();
    match context_field(operands.get("left")?)? {
        "elevation" => Some((tag_use, Tag::Approvals(name))),
        "signals" => Some((tag_use, Tag::Signal(name))),
        _ => None,
    }
}

/// Which of the two tag operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagUse {
    Get,
    Has,
}

/// A field of a signal's state: its signal and `active` or `source_fresh`.
pub(crate) fn signal_field(node: &Value) -> Option<(String, &str)> {
    let access = node.get(".")?;
    match tag(access.get("left")?)? {
        (TagUse::Get, Tag::Signal(name)) => Some((name, access.get("attr")?.as_str()?)),
        _ => None,
    }
}

/// A constant of Cedar's JSON form.
pub(crate) fn truth(holds: bool) -> Value {
    json!({ "Value": holds })
}

fn fold_fields(
    fields: &Map<String, Value>,
    suppose: &dyn Fn(&Value) -> Option<Value>,
) -> Map<String, Value> {
    let folded = |(key, child): (&String, &Value)| {
        // The fields of a record literal are names, which may look like operators.
        let child = match (key.as_str(), child) {
            ("Record", Value::Object(record)) => {
                let field = |(name, value): (&String, &Value)| (name.clone(), fold(value, suppose));
                Value::Object(record.iter().map(field).collect())
            }
            _ => fold(child, suppose),
        };
        (key.clone(), child)
    };
    fields.iter().map(folded).collect()
}

fn look(node: &Value, reads: &mut Reads) {
    if signal_field(node).is_some() {
        // Its tag is noted below, as a use with a known field.
        if let Some((_, tag)) = node.pointer("/./left").and_then(tag) {
            reads.tags.insert(tag);
        }
        return;
    }
    match tag(node) {
        Some((TagUse::Get, tag @ Tag::Signal(_))) => {
            reads.opaque = true;
            reads.tags.insert(tag);
            return;
        }
        Some((_, tag)) => {
            reads.tags.insert(tag);
            return;
        }
        None => {}
    }
    // `context has x` reads no more than whether x is there, which for these two is enough.
    let asked_for = node.pointer("/has/left").is_some_and(is_context);
    if asked_for {
        let name = node.pointer("/has/attr").and_then(Value::as_str);
        reads.source |= name.is_none_or(|name| name == "source");
        reads.time |= name.is_none_or(|name| name == "time");
    }
    match context_field(node) {
        Some("source") => reads.source = true,
        Some("time") => reads.time = true,
        Some("elevation" | "signals") => reads.opaque = true,
        Some(_) => {}
        None if is_context(node) => {
            reads.source = true;
            reads.time = true;
            reads.opaque = true;
        }
        None => {
            let children: Box<dyn Iterator<Item = &Value>> = match node {
                _ if asked_for => Box::new(std::iter::empty()),
                Value::Object(fields) => Box::new(fields.values()),
                Value::Array(items) => Box::new(items.iter()),
                _ => Box::new(std::iter::empty()),
            };
            for child in children {
                look(child, reads);
            }
        }
    }
}

fn simplify(node: &Value) -> Option<Value> {
    let (operator, operands) = only_field(node)?;
    let operand = |name: &str| operands.get(name);
    match operator.as_str() {
        "&&" => shortcut(operand("left")?, operand("right")?, true),
        "||" => shortcut(operand("left")?, operand("right")?, false),
        "!" => Some(truth(!constant(operand("arg")?)?.as_bool()?)),
        "if-then-else" => {
            let branch = if constant(operand("if")?)?.as_bool()? {
                "then"
            } else {
                "else"
            };
            operand(branch).cloned()
        }
        comparison => {
            let left = constant(operand("left")?)?;
            let right = constant(operand("right")?)?;
            let holds = match (comparison, left.as_i64(), right.as_i64()) {
                ("==", _, _) => left == right,
                ("!=", _, _) => left != right,
                (">=", Some(left), Some(right)) => right <= left,
                (">", Some(left), Some(right)) => right < left,
                ("<=", Some(left), Some(right)) => left <= right,
                ("<", Some(left), Some(right)) => left < right,
                _ => return None,
            };
            Some(truth(holds))
        }
    }
}

/// `&&` (whose neutral value is true) or `||` (false) with at least one constant side.
fn shortcut(left: &Value, right: &Value, neutral: bool) -> Option<Value> {
    let side = |node| constant(node).and_then(Value::as_bool);
    match (side(left), side(right)) {
        (Some(value), _) if value == neutral => Some(right.clone()),
        (_, Some(value)) if value == neutral => Some(left.clone()),
        (None, None) => None,
        _ => Some(truth(!neutral)),
    }
}

fn constant(node: &Value) -> Option<&Value> {
    match only_field(node)? {
        (key, value) if key == "Value" => Some(value),
        _ => None,
    }
}

fn only_field(node: &Value) -> Option<(&String, &Value)> {
    let fields: &Map<String, Value> = node.as_object()?;
    match fields.len() {
        1 => fields.iter().next(),
        _ => None,
    }
}

fn context_field(node: &Value) -> Option<&str> {
    let access = node.get(".")?;
    if is_context(access.get("left")?) {
        access.get("attr")?.as_str()
    } else {
        None
    }
}

fn is_context(node: &Value) -> bool {
    node.get("Var").and_then(Value::as_str) == Some("context")
}

#[cfg(test)]
mod tests {
    use cedar_policy::Policy;

    use super::*;

    fn of(when: &str) -> Value {
        let text = format!("permit (principal, action, resource) when {{ {when} }};");
        condition(&Policy::parse(None, text).unwrap().to_json().unwrap())
    }

    #[test]
    fn tags_time_and_what_hides_them_are_seen() {
        let read = |when| reads(&of(when));
        let sre = Tag::Approvals("sre".into());
        let freeze = Tag::Signal("freeze".into());
        assert_eq!(
            read("context.elevation.hasTag(\"sre\") && context.elevation.getTag(\"sre\") >= 2")
                .tags,
            BTreeSet::from([sre])
        );
        assert_eq!(
            read("context.signals.getTag(\"freeze\").active"),
            Reads {
                tags: BTreeSet::from([freeze]),
                ..Reads::default()
            }
        );
        assert!(read("context.time.weekday < 6").time);
        assert!(read("context == context").time);
        for source in [
            "context has source",
            "context has source && context.source.isLoopback()",
            "context == context",
        ] {
            assert!(read(source).source, "{source}");
        }
        assert!(!read("context.time.weekday < 6").source);
        assert!(read("context.elevation.getTag(context.ticket) > 1").opaque);
        assert!(
            read("(if true then context.elevation else context.elevation).hasTag(\"x\")").opaque
        );
        assert_eq!(
            read("context has ticket && context.asked_s < 5"),
            Reads::default()
        );
    }

    #[test]
    fn constants_fold_away() {
        let suppose = |node: &Value| tag(node).map(|_| json!({ "Value": 2 }));
        let folded = |when| fold(&of(when), &suppose);
        assert_eq!(folded("context.elevation.getTag(\"a\") >= 2"), truth(true));
        assert_eq!(
            folded("!(context.elevation.getTag(\"a\") >= 2) && context.x"),
            truth(false)
        );
        let rest = folded("if context.elevation.getTag(\"a\") > 2 then false else context.x");
        assert_eq!(rest, folded("context.x"));
        assert_eq!(
            folded("context.x || context.elevation.getTag(\"a\") == 2"),
            truth(true)
        );
    }
}

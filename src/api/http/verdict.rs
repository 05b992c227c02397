//! Policy's answers, as the wire shows them.
//!
//! Promises: what the event says of a verdict, and nothing that it does not say.
//! Refuses: to decide.

use crate::audit::{Event, Value};
use crate::elevation;
use crate::policy::{Forecast, Outlook, WaitsFor};
use crate::service::InForce;
use crate::time::Timestamp;
use crate::wire::verdict::{OutlookAnswer, OutlookView, RouteView, VerdictView};

/// The verdict that an event records.
pub(crate) fn of_event(event: &Event) -> VerdictView {
    let verdict = match event.field("verdict") {
        Some(Value::Map(fields)) => Some(fields),
        Some(_) | None => None,
    };
    let field = |name: &str| verdict.and_then(|fields| fields.get(name));
    let text = |name: &str| field(name).and_then(Value::as_text);
    let policies = match field("policies") {
        Some(Value::List(ids)) => ids.iter().filter_map(Value::as_text).collect(),
        Some(_) | None => Vec::new(),
    };
    let waits = matches!(field("waits_for"), Some(Value::List(ways)) if !ways.is_empty());
    let decision = match text("decision") {
        Some("permit") => "permit",
        Some(_) if waits => "pending",
        Some(_) | None => "deny",
    };
    VerdictView {
        decision: decision.to_owned(),
        policies: policies.into_iter().map(str::to_owned).collect(),
        digest: text("policy_digest").unwrap_or_default().to_owned(),
        version: version(event).unwrap_or_default(),
        reason: text("reason").map(str::to_owned),
    }
}

/// The version of the policy that decided, as an event records it.
pub(crate) fn version(event: &Event) -> Option<u64> {
    match event.field("verdict")? {
        Value::Map(fields) => match fields.get("policy_version")? {
            Value::Integer(version) => u64::try_from(*version).ok(),
            Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Text(_) => None,
        },
        Value::Bool(_) | Value::Integer(_) | Value::List(_) | Value::Text(_) => None,
    }
}

/// One way to a permit.
pub(crate) fn route(way: &elevation::WaitsFor) -> RouteView {
    RouteView {
        route: way.route.clone(),
        needs: way.needs.clone(),
    }
}

/// What policy would say, were it asked at `moment`.
pub(crate) fn outlook(outlook: &Outlook, policy: &InForce, moment: Timestamp) -> OutlookAnswer {
    let decision = match outlook.forecast {
        Forecast::Denied => "deny",
        Forecast::Pending => "pending",
        Forecast::Permitted => "permit",
    };
    let ways = outlook.waits_for.iter().flat_map(WaitsFor::ways);
    let verdict = VerdictView {
        decision: decision.to_owned(),
        policies: outlook
            .policies
            .iter()
            .map(|(id, _)| id.to_string())
            .collect(),
        digest: policy.bundle.digest().to_string(),
        version: policy.version.value(),
        reason: outlook.reason.map(|_| outlook.text.clone()),
    };
    let view = OutlookView {
        verdict,
        waits_for: ways
            .map(|way| RouteView {
                route: way.route.iter().map(ToString::to_string).collect(),
                needs: way.needs.iter().map(ToString::to_string).collect(),
            })
            .collect(),
        duration: outlook
            .last_second
            .map(|last| last.since(moment).to_string()),
        changes: outlook.changes.clone(),
    };
    OutlookAnswer { outlook: view }
}

//! Events of the ledger, as the wire shows them.
//!
//! Promises: what stands in the event's bytes; the line for people is made of them too.
//! Refuses: to add what the ledger does not hold.

pub(crate) mod list;
pub(crate) mod read;

use crate::api::http::verdict;
use crate::audit::{Event, Key, SealedEvent, Value};
use crate::wire::event::EventView;

pub(crate) fn view(sealed: &SealedEvent) -> EventView {
    let event = sealed.event();
    let key = |key| event.key(key).map(str::to_owned);
    let not_after = event.field("not_after").and_then(Value::as_text);
    EventView {
        number: sealed.number().value(),
        at: event.at().rfc3339(),
        kind: event.kind().to_string(),
        caller: key(Key::Caller).unwrap_or_default(),
        subject: key(Key::Subject),
        scope: key(Key::Scope),
        elevation: key(Key::Elevation),
        serial: key(Key::Serial),
        fingerprint: key(Key::Fingerprint),
        outcome: key(Key::Outcome),
        policy_version: verdict::version(event),
        policy_digest: key(Key::Policy),
        not_after: not_after.map(str::to_owned),
        text: line(event),
    }
}

/// What the event's kind does not say, in one line: whom, what, how it came out, by whom.
fn line(event: &Event) -> String {
    let parts = [
        ("", Key::Subject),
        ("scope ", Key::Scope),
        ("elevation ", Key::Elevation),
        ("serial ", Key::Serial),
        ("-> ", Key::Outcome),
        ("by ", Key::Caller),
    ];
    let told = parts
        .into_iter()
        .filter_map(|(word, key)| Some(format!("{word}{}", event.key(key)?)));
    told.collect::<Vec<_>>().join(" ")
}

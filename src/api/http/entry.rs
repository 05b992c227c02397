//! Registration entries, as the wire shows them.
//!
//! Promises: every field of the entry.
//! Refuses: nothing of its own.

pub(crate) mod list;
pub(crate) mod put;
pub(crate) mod read;
pub(crate) mod remove;

use crate::attestation::Entry;
use crate::wire::entry::EntryView;

pub(crate) fn view(entry: &Entry) -> EntryView {
    let terms = &entry.terms;
    EntryView {
        id: entry.id.to_string(),
        subject: terms.subject.to_string(),
        selectors: texts(&terms.selectors),
        obtained_by: texts(&terms.obtained_by),
        owner: terms.owner.to_string(),
        groups: texts(&terms.groups),
        life: terms.life.to_string(),
        hint: terms.hint.clone(),
        federates_with: texts(&terms.federates_with),
        version: entry.version,
    }
}

fn texts<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

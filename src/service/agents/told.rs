//! What one agent was told, by id and version.
//!
//! Promises: tells whether something is new for the agent; what is over is forgotten once it is
//! told.
//! Refuses: more than [`ENTRIES_MAX`] entries for one agent.

use std::collections::HashMap;

use crate::attestation::{AGENT_ENTRIES_MAX, Entry};
use crate::elevation::Elevation;
use crate::id::{ElevationId, EntryId};
use crate::identity::Subject;
use crate::service::ServiceError;

/// What was told.
#[derive(Default)]
pub(crate) struct Told {
    entries: HashMap<Subject, ToldEntry>,
    /// Those that are open.
    elevations: HashMap<ElevationId, ToldElevation>,
    /// Rises when everything is looked at anew.
    round: u64,
}

struct ToldEntry {
    id: EntryId,
    version: u64,
    round: u64,
}

struct ToldElevation {
    version: u64,
    subject: Subject,
    round: u64,
}

impl Told {
    /// Everything is about to be looked at anew.
    pub(crate) fn begin_round(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// Whether the agent knows an entry of the subject.
    pub(crate) fn knows(&self, subject: &Subject) -> bool {
        self.entries.contains_key(subject)
    }

    /// The entry that the subject had before this one, which came in its place. With it the agent
    /// drops what was open for the subject, so that is to be told again.
    pub(crate) fn other_entry(&mut self, entry: &Entry) -> Option<EntryId> {
        let subject = &entry.terms.subject;
        let is_other = self.entries.get(subject)?.id != entry.id;
        is_other.then(|| self.forget(subject)).flatten()
    }

    /// Whether the entry is new for the agent; from now on it is not.
    pub(crate) fn entry(&mut self, entry: &Entry) -> Result<bool, ServiceError> {
        let round = self.round;
        if let Some(told) = self.entries.get_mut(&entry.terms.subject) {
            let newer = told.version < entry.version;
            told.version = told.version.max(entry.version);
            told.round = round;
            return Ok(newer);
        }
        if ENTRIES_MAX <= self.entries.len() {
            return Err(ServiceError::NotAllowed(
                "more entries name this agent than one agent may have; name others in some",
            ));
        }
        let told = ToldEntry {
            id: entry.id,
            version: entry.version,
            round,
        };
        self.entries.insert(entry.terms.subject.clone(), told);
        Ok(true)
    }

    /// Forgets the entry of a subject, and what was open for it. Answers its id, if it was told.
    pub(crate) fn forget(&mut self, subject: &Subject) -> Option<EntryId> {
        let told = self.entries.remove(subject)?;
        self.elevations.retain(|_, one| one.subject != *subject);
        Some(told.id)
    }

    /// Whether an elevation, as it stands, is new for the agent. One that is over and was never
    /// told is new where it has just moved: the agent may have opened it himself.
    pub(crate) fn elevation(&mut self, elevation: &Elevation, moved: bool) -> bool {
        let open = elevation.runs_out_at().is_some();
        let told = self.elevations.get(&elevation.id);
        let newer = told.map_or(open || moved, |told| told.version < elevation.version);
        if open {
            let version = told.map_or(0, |told| told.version).max(elevation.version);
            let told = ToldElevation {
                version,
                subject: elevation.request.subject.clone(),
                round: self.round,
            };
            self.elevations.insert(elevation.id, told);
        } else {
            self.elevations.remove(&elevation.id);
        }
        newer
    }

    /// Forgets an elevation.
    pub(crate) fn forget_elevation(&mut self, id: ElevationId) {
        self.elevations.remove(&id);
    }

    /// One of the subjects whose entry was told in an earlier round and not seen in this one.
    pub(crate) fn unseen_entry(&self) -> Option<Subject> {
        let mut entries = self.entries.iter();
        let unseen = entries.find(|(_, told)| told.round != self.round);
        unseen.map(|(subject, _)| subject.clone())
    }

    /// One of the elevations that were told in an earlier round and not seen in this one.
    pub(crate) fn unseen_elevation(&self) -> Option<ElevationId> {
        let mut elevations = self.elevations.iter();
        let unseen = elevations.find(|(_, told)| told.round != self.round);
        unseen.map(|(id, _)| *id)
    }
}

const ENTRIES_MAX: usize = AGENT_ENTRIES_MAX;

//! The facts that every decision asks for, remembered between their changes.
//!
//! Promises: what is answered from here is what the file says at that moment. The writer, which
//! alone changes the file, forgets everything after a commit that changed a policy, the kill
//! switch or an entry, before anybody hears of that commit; what a reader brings from before is
//! not taken. A permit's guards are asked by the writer, inside the transaction, of the file or of
//! what it has read there since the last change.
//! Refuses: elevations, whose facts change with every mint; more than a bounded number of entries.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::attestation::Entry;
use crate::identity::Subject;
use crate::policy::{EntryInView, MintingFact, PolicyFact};

/// What is remembered, shared by those who read and the one who writes.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Known>);

/// The policy that decides and the kill switch.
#[derive(Clone, Copy)]
pub(super) struct Ground {
    pub(super) policy: PolicyFact,
    pub(super) minting: MintingFact,
}

/// A registration entry, for the walk and for policy.
#[derive(Clone)]
pub(super) struct Registered {
    pub(super) entry: Arc<Entry>,
    pub(super) fact: Arc<EntryInView>,
}

/// A state of the facts; another one comes with every change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Age(u64);

#[derive(Default)]
struct Known {
    age: u64,
    ground: Option<Ground>,
    entries: HashMap<Subject, Registered>,
}

impl Remembered {
    /// The state that is remembered now; ask before reading what shall be remembered.
    pub(super) fn age(&self) -> Age {
        Age(self.known().age)
    }

    /// Ground and entry, where both are known.
    pub(super) fn of(&self, subject: &Subject) -> Option<(Ground, Registered)> {
        let known = self.known();
        let registered = known.entries.get(subject)?.clone();
        Some((known.ground?, registered))
    }

    /// Keeps what was read while the facts were of this age.
    pub(super) fn keep(&self, age: Age, ground: Ground, registered: &Registered) {
        let mut known = self.known();
        if known.age != age.0 {
            return;
        }
        if ENTRIES_MAX <= known.entries.len() {
            known.entries.clear();
        }
        known.ground = Some(ground);
        let subject = registered.entry.terms.subject.clone();
        known.entries.insert(subject, registered.clone());
    }

    /// The facts have changed.
    pub(super) fn forget(&self) {
        let mut known = self.known();
        known.age = known.age.wrapping_add(1);
        known.ground = None;
        known.entries.clear();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change leaves it whole, also in a thread that panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The most entries that are remembered, about 1 KiB each; one more begins anew.
const ENTRIES_MAX: usize = 16_384;

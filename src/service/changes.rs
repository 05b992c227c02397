//! What changes, told to whoever watches.
//!
//! Promises: a change is told after it is durable. It names what to look at and carries no state:
//! whoever hears it reads that as it stands, so it does not matter in which order two changes are
//! told. Who is too slow to hear them all is told that he missed some, and looks at everything
//! anew. While nobody watches, nothing is kept.
//! Refuses: to keep more than [`CHANGES_MAX`] changes for the slowest.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::attestation::Obtainer;
use crate::id::ElevationId;
use crate::identity::Subject;
use crate::service::Service;
use crate::service::denials::Denial;

/// Something that agents must hear of.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The bundle of a trust domain.
    Bundles,
    /// Certificates were denied before their end, and whether their holder gave them back.
    Denied(Arc<[Denial]>, bool),
    /// An elevation was opened, moved or bound.
    Elevation(ElevationId, Arc<Subject>),
    /// An entry was put, with these obtainers, or removed, with none.
    Entry(Arc<Subject>, Arc<[Obtainer]>),
}

/// Where changes are told.
pub(crate) struct Changes(broadcast::Sender<Change>);

impl Default for Changes {
    fn default() -> Self {
        Self(broadcast::Sender::new(CHANGES_MAX))
    }
}

impl Changes {
    /// Hears every change from now on. Whoever then reads the state misses none: a change that is
    /// told to nobody was durable before.
    pub(crate) fn hear(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }

    /// Tells a change that is durable; it is made only where somebody hears it.
    pub(crate) fn tell(&self, change: impl FnOnce() -> Change) {
        if 0 < self.0.receiver_count() {
            // The last one who heard may have gone meanwhile.
            let _ = self.0.send(change());
        }
    }
}

impl Service {
    /// Tells that an elevation was opened, moved or bound: who waits for it wakes, and agents of
    /// its subject hear of it.
    pub(crate) fn elevation_moved(&self, id: ElevationId, subject: &Subject) {
        self.wake(id);
        self.changes
            .tell(|| Change::Elevation(id, Arc::new(subject.clone())));
    }

    /// Tells that the entry of a subject names these obtainers now.
    pub(crate) fn entry_changed(&self, subject: &Subject, obtained_by: &[Obtainer]) {
        self.changes
            .tell(|| Change::Entry(Arc::new(subject.clone()), obtained_by.into()));
    }
}

/// How many changes wait for the slowest watcher: a few seconds of a busy server.
pub(crate) const CHANGES_MAX: usize = 4_096;

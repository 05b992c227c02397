//! The one way from a plan to something that may be signed.
//!
//! Promises: a [`Recorded`] exists only for bytes that are durable together with their event
//! (DESIGN promise 2). Its makers are [`record`] and, after a crash, [`leftovers`].
//! Refuses: Clone, Default and serde: one record is signed once.

use crate::audit::SealedEvent;
use crate::id::EventNumber;
use crate::store::{Intended, Intent, Store, StoreError};

/// A plan that can say what is to be recorded of it.
pub trait Recordable {
    /// What of the plan is still needed once it is recorded.
    type Kept;

    /// The exact bytes with their event, and the rest.
    fn into_parts(self) -> (Intent, Self::Kept);
}

/// A plan whose exact bytes are durable and may now be signed, once.
#[derive(Debug)]
pub struct Recorded<K> {
    kept: K,
    event: SealedEvent,
    tbs: Vec<u8>,
}

/// An intent that a crash left without outcome.
#[derive(Clone, Copy, Debug)]
pub struct Leftover;

/// What came of recording a plan.
#[derive(Debug)]
pub enum Record<K> {
    /// It is durable and may be signed.
    New(Recorded<K>),
    /// The same request was recorded before, as this event.
    Repeated(SealedEvent),
}

/// Makes a plan durable.
///
/// # Errors
/// Why the store refused or could not record; nothing was recorded then.
pub async fn record<P: Recordable>(
    store: &dyn Store,
    plan: P,
) -> Result<Record<P::Kept>, StoreError> {
    let (intent, kept) = plan.into_parts();
    let Intended {
        event,
        tbs,
        repeated,
    } = store.intend(intent).await?;
    if repeated {
        return Ok(Record::Repeated(event));
    }
    Ok(Record::New(Recorded { kept, event, tbs }))
}

/// The intents without outcome, oldest first; at most `limit`. While serving, a young one has its
/// outcome under way; two that finish one intent get one outcome, and the second hears
/// [`StoreError::Concluded`].
///
/// # Errors
/// When the store cannot be read.
pub async fn leftovers(
    store: &dyn Store,
    limit: u32,
) -> Result<Vec<Recorded<Leftover>>, StoreError> {
    let found = store.unfinished(limit).await?;
    let recorded = |Intended { event, tbs, .. }| Recorded {
        kept: Leftover,
        event,
        tbs,
    };
    Ok(found.into_iter().map(recorded).collect())
}

impl<K> Recorded<K> {
    /// What was kept of the plan.
    pub const fn kept(&self) -> &K {
        &self.kept
    }

    /// What was kept apart from what is recorded, which can still be signed once.
    pub fn part(self) -> (Recorded<()>, K) {
        let Self { kept, event, tbs } = self;
        let recorded = Recorded {
            kept: (),
            event,
            tbs,
        };
        (recorded, kept)
    }

    /// The intent's event, when nothing is to be signed any more.
    pub fn into_event(self) -> SealedEvent {
        self.event
    }

    /// The intent's event.
    pub const fn event(&self) -> &SealedEvent {
        &self.event
    }

    /// The intent's number.
    pub const fn number(&self) -> EventNumber {
        self.event.number()
    }

    /// The bytes to sign.
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }
}

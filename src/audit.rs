//! The event: one audit record, and the exact bytes that stand for it for ever.
//!
//! Promises: an event has one canonical text (JSON with sorted keys, no floats, no insignificant
//! space); reading takes exactly what writing gives; an event holds no free text and no secret,
//! only commitments (DESIGN promise 9).
//! Refuses: to number itself: the store does that in the transaction that makes it durable.

mod canonical;
mod event;
mod kind;

pub use crate::audit::canonical::{CanonicalError, Value};
pub use crate::audit::event::{Commitment, EVENT_BYTES_MAX, Event, EventError, Key, SealedEvent};
pub use crate::audit::kind::{EventKind, UnknownKind};

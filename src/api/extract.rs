//! What a handler takes from a request, parsed and bounded.
//!
//! Promises: a body is bounded in bytes and time before it is read, and its media type is what the
//! handler reads; every wrong key or value is named in the problem.
//! Refuses: unknown and double keys, compressed bodies, and bodies that trickle in (assurance H1,
//! H6).

mod body;
mod caller;
mod field;
mod idempotency;
mod json;
mod media;
mod path;
mod query;

pub(crate) use crate::api::extract::body::read;
pub use crate::api::extract::body::{BODY_BYTES_MAX, Raw};
pub use crate::api::extract::caller::{Arriving, Known};
pub(crate) use crate::api::extract::caller::{known, names_operator};
pub(crate) use crate::api::extract::field::{optional, required};
pub use crate::api::extract::idempotency::IdempotencyKey;
pub use crate::api::extract::json::Json;
pub use crate::api::extract::media::{Accept, MediaType};
pub use crate::api::extract::path::Segment;
pub use crate::api::extract::query::Query;

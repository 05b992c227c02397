//! The elevation: one request for one scope by one subject, and all that becomes of it.
//!
//! ```text
//! pending -> approved -> active -> ended (expired | revoked | unused | signal_lost | withdrawn)
//!    |          |
//!    |          +-> cancelled | ended(unused | revoked)
//!    +-> denied | cancelled | lapsed
//! ```
//!
//! Promises: a transition takes the elevation and gives back another one or says why not; no
//! clock restarts; `ends_at` is fixed at activation and never moves (DESIGN section 8), whatever is
//! told of the elevation's use.
//! Refuses: to read a clock, to know policy, to touch a store.

mod name;
mod request;
mod state;
mod used;

pub use crate::elevation::name::{End, StateName, UnknownState};
pub use crate::elevation::request::{
    DURATION_MIN, Instances, REASON_BYTES_MAX, Request, RequestError, Requester,
    SCHEDULE_AHEAD_MAX, TICKET_BYTES_MAX, Ticket,
};
pub use crate::elevation::state::{
    ACTIVATE_WITHIN, DECIDE_WITHIN, Elevation, Move, MoveError, State, WaitsFor,
};
pub use crate::elevation::used::Used;

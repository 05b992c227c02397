//! The server: the parts put together, in the order in which they need each other.
//!
//! ```text
//! store, compared with what is remembered of it -> authority (finishes what a crash left)
//!       -> service -> first policy, first operator -> its own TLS certificate -> doors
//!       -> background rounds -> until SIGTERM
//! ```
//!
//! Promises: it starts whole or not at all; what it says on start is what an operator needs next.
//! Refuses: a second server on the same store, a half-readable configuration.

mod bundles;
mod certificate;
mod desk;
mod dev;
mod doctor;
mod head;
mod peers;
mod reach;
mod start;
mod strangers;
mod watch;

pub use crate::server::bundles::BundleError;
pub use crate::server::desk::{
    DeskError, Supposed, backup_store, check_policy, explain_policy, restore_store, test_policy,
};
pub use crate::server::dev::{DevOptions, DevServer, dev};
pub use crate::server::doctor::{Finding, Health, configuration, examine, lives};
pub use crate::server::start::{Running, StartError, serve, start};

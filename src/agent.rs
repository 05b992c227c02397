//! The agent: one on each host or in each pod.
//!
//! ```text
//! server --link--> entries, elevations, bundles, denied certificates
//!                     |
//! keeper: mints for entries that name this agent, renews, drops; owns every key
//!                     |  holdings, for each caller what he may hold
//! sockets: attestor --> Workload API | Envoy's SDS, ECDS, access log
//! ```
//!
//! Promises: an elevated SVID is never the default identity, never renews itself, and its failure
//! never disturbs the base SVID (DESIGN promise 5). Keys of workloads are made here, stay in memory
//! and are never written. Nothing expired or not yet valid is handed over. A server that is away
//! ends nothing before the SVIDs end.
//! Refuses: callers that no entry's selectors fit, and to believe an answer of the server that it
//! did not check.

mod attestor;
pub mod authority;
mod caller;
#[cfg(test)]
mod callers;
mod deny_list;
mod envoy;
mod hardening;
mod holdings;
mod home;
mod identity;
mod keeper;
mod link;
mod local;
mod local_caller;
mod news;
mod observe;
mod rarely;
mod refusal;
mod report;
mod run;
mod sds;
mod seated;
mod seats;
mod socket;
#[cfg(test)]
pub(crate) mod stand;
mod status;
mod trouble;
mod uses;
mod workload_api;
mod workload_socket;
mod xds;

pub use crate::agent::home::HomeError;
pub use crate::agent::identity::IdentityError;
pub use crate::agent::run::{AgentError, run};

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

pub(crate) mod authority;
pub(crate) mod holdings;
pub(crate) mod keeper;
pub(crate) mod local;
pub(crate) mod local_caller;
pub(crate) mod refusal;
pub(crate) mod seats;
#[cfg(test)]
pub(crate) mod stand;
pub(crate) mod workload_api;
pub(crate) mod workload_socket;

//! What of the agent's status a caller may see.
//!
//! Promises: root and the agent's own user see all; everybody else what he is given himself, and
//! the streams of his own process.
//! Refuses: names of other subjects to a caller who is not one of them; and what is wrong with the
//! agent, which names paths and addresses of the host.

use std::collections::BTreeSet;

use crate::agent::holdings::Holdings;
use crate::proto::agent::{HeldStatus, StatusResponse};

/// How much of the status is made: nothing is copied for a caller who may not see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    All,
    /// Of all streams those of this process.
    OfProcess(u32),
}

impl Part {
    /// Whether the streams of this process are in it.
    pub(crate) fn has(self, pid: u32) -> bool {
        match self {
            Self::All => true,
            Self::OfProcess(one) => one == pid,
        }
    }
}

/// The part of `status` that concerns the caller with these holdings.
pub(crate) fn own_part(status: &StatusResponse, holdings: &Holdings, pid: u32) -> StatusResponse {
    let subjects = holdings.identities.iter();
    let subjects: BTreeSet<String> = subjects
        .map(|identity| identity.entry.subject.to_string())
        .collect();
    let elevations = holdings.elevated.iter();
    let elevations: BTreeSet<&str> = elevations.map(|one| one.elevation.as_str()).collect();
    let is_own = |held: &&HeldStatus| {
        subjects.contains(&held.subject)
            && (held.scope.is_empty() || elevations.contains(held.elevation.as_str()))
    };
    let streams = status.streams.iter();
    StatusResponse {
        agent: status.agent.clone(),
        connected: status.connected,
        skew_ms: status.skew_ms,
        own_not_after_ms: status.own_not_after_ms,
        held: status.held.iter().filter(is_own).cloned().collect(),
        streams: streams.filter(|one| one.pid == pid).cloned().collect(),
        ..StatusResponse::default()
    }
}

//! The table of an agent's metrics. What is not here is not measured.

use crate::metric::{Kind, Metric};

/// Every metric of an agent, in the order in which they are shown.
pub const ALL: &[&Metric] = &[
    &BUILD,
    &CONNECTED,
    &SKEW_MS,
    &OWN_NOT_AFTER,
    &SVIDS_HELD,
    &SVIDS_MINTED,
    &MINTS_FAILED,
    &CONNECTIONS,
    &CONNECTIONS_REFUSED,
    &CONNECTIONS_ACCEPTED,
    &CALLS_REFUSED,
    &STREAMS_ENDED,
    &SOCKET_FAULTS,
    &ASKS,
    &DENIED,
    &NOT_ATTESTED,
    &STREAMS_OPEN,
    &STREAMS_REFUSED,
    &RESPONSES,
    &ANSWERS,
    &USES_READ,
];

/// Which program this is.
pub static BUILD: Metric = Metric {
    name: "agent_build_info",
    help: "Always 1; the label is the version",
    kind: Kind::Gauge,
    label: Some(("version", &[env!("CARGO_PKG_VERSION")])),
};
/// The stream from the server.
pub static CONNECTED: Metric = gauge(
    "agent_connected",
    "1 while the server's stream stands and everything was told",
);
/// The clocks.
pub static SKEW_MS: Metric = gauge(
    "agent_skew_milliseconds",
    "How far the server's clock is ahead of this host's",
);
/// The agent's own SVID.
pub static OWN_NOT_AFTER: Metric = gauge(
    "agent_own_not_after_seconds",
    "The last second of the agent's own SVID, Unix time; 0 while it has none",
);
/// What is held for workloads.
pub static SVIDS_HELD: Metric = Metric {
    name: "agent_svids_held",
    help: "SVIDs held for workloads, by profile",
    kind: Kind::Gauge,
    label: Some(("profile", PROFILES)),
};
/// What was minted.
pub static SVIDS_MINTED: Metric = Metric {
    name: "agent_svids_minted",
    help: "SVIDs minted for workloads, by profile",
    kind: Kind::Counter,
    label: Some(("profile", PROFILES)),
};
/// What was not.
pub static MINTS_FAILED: Metric = Metric {
    name: "agent_mints_failed",
    help: "Attempts to mint that failed, by profile; each is tried again",
    kind: Kind::Counter,
    label: Some(("profile", PROFILES)),
};
/// Who is connected.
pub static CONNECTIONS: Metric = Metric {
    name: "agent_connections",
    help: "Connections of workloads and Envoys that are open, by socket",
    kind: Kind::Gauge,
    label: Some(("socket", SOCKETS)),
};
/// Who was turned away.
pub static CONNECTIONS_REFUSED: Metric = Metric {
    name: "agent_connections_refused",
    help: "Connections turned away, because too many were open or their process could not be told",
    kind: Kind::Counter,
    label: Some(("socket", SOCKETS)),
};
/// Who came.
pub static CONNECTIONS_ACCEPTED: Metric = Metric {
    name: "agent_connections_accepted",
    help: "Connections accepted, by socket",
    kind: Kind::Counter,
    label: Some(("socket", SOCKETS)),
};
/// Who found no seat.
pub static CALLS_REFUSED: Metric = Metric {
    name: "agent_calls_refused",
    help: "Calls on the workload socket refused because too many were open, in all, of one user or \
           of one process",
    kind: Kind::Counter,
    label: None,
};
/// Whom the agent ended a stream of.
pub static STREAMS_ENDED: Metric = Metric {
    name: "agent_streams_ended",
    help: "Streams of the Workload API that were refused or ended by the agent, by why; the log \
           has few of them",
    kind: Kind::Counter,
    label: Some(("why", ENDS)),
};
/// Who could not be told.
pub static NOT_ATTESTED: Metric = Metric {
    name: "agent_attestations_failed",
    help: "Looks at a caller that failed; the log has few of them",
    kind: Kind::Counter,
    label: None,
};
/// What went wrong with a socket itself.
pub static SOCKET_FAULTS: Metric = Metric {
    name: "agent_socket_faults",
    help: "Faults of the sockets: accepting failed, or the file was found removed or replaced",
    kind: Kind::Counter,
    label: Some(("fault", &["accept", "lost"])),
};
/// What became of scopes that were asked for at the moment of use.
pub static ASKS: Metric = Metric {
    name: "agent_asks",
    help: "Scopes asked for at the moment of use, by the server's answer",
    kind: Kind::Counter,
    label: Some(("answer", &["open", "pending", "refused"])),
};
/// The deny list.
pub static DENIED: Metric = gauge(
    "agent_denied_certificates",
    "Certificates on the deny list that have not ended yet",
);

/// Which streams are open.
pub static STREAMS_OPEN: Metric = Metric {
    name: "envoy_streams_open",
    help: "Streams of Envoys open, by service",
    kind: Kind::Gauge,
    label: Some(("service", SERVICES)),
};
/// Who found no place.
pub static STREAMS_REFUSED: Metric = Metric {
    name: "envoy_streams_refused",
    help: "Calls and streams of Envoys refused because too many were open, in all, of one user \
           or of one process",
    kind: Kind::Counter,
    label: None,
};
/// What was pushed.
pub static RESPONSES: Metric = Metric {
    name: "envoy_responses",
    help: "Responses of discovery sent, by service",
    kind: Kind::Counter,
    label: Some(("service", SERVICES)),
};
/// What became of it.
pub static ANSWERS: Metric = Metric {
    name: "envoy_answers",
    help: "What Envoys said of responses; after `refused` the old content stays in use",
    kind: Kind::Counter,
    label: Some(("answer", &["accepted", "refused"])),
};
/// What access logs told.
pub static USES_READ: Metric = Metric {
    name: "envoy_uses",
    help: "Entries of access logs read: counted as a use of an elevated SVID, of no interest, or \
           dropped because too many subjects and scopes wait to be reported",
    kind: Kind::Counter,
    label: Some(("entry", &["counted", "dropped", "other"])),
};

const ENDS: &[&str] = &[
    "ending",
    "minting",
    "no_identity",
    "not_attested",
    "not_told",
    "other",
    "streams",
];
const SERVICES: &[&str] = &["access_log", "deny_list", "secrets"];
const PROFILES: &[&str] = &["base", "elevated"];
const SOCKETS: &[&str] = &["sds", "workload"];

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Gauge,
        label: None,
    }
}

//! The rows of the metrics that an agent counts of the services for Envoy.

use crate::metric::{Kind, Metric};

/// All of them, in the order in which they are shown.
pub const ALL: &[&Metric] = &[
    &STREAMS_OPEN,
    &STREAMS_REFUSED,
    &RESPONSES,
    &ANSWERS,
    &USES_READ,
];

/// Who is connected.
pub static STREAMS_OPEN: Metric = Metric {
    name: "envoy_streams_open",
    help: "Streams of Envoys open, by service",
    kind: Kind::Gauge,
    label: Some(("service", SERVICES)),
};
/// Who found no place.
pub static STREAMS_REFUSED: Metric = Metric {
    name: "envoy_streams_refused",
    help: "Streams refused because too many were open, in all or of one process",
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

const SERVICES: &[&str] = &["access_log", "deny_list", "secrets"];

//! The table of metrics. What is not here is not measured.

use crate::metric::{Kind, Metric};

/// Every metric, in the order in which they are shown.
pub const ALL: &[&Metric] = &[
    &BUILD,
    &READY,
    &SVIDS_MINTED,
    &REFUSALS,
    &REFUSALS_COUNTED,
    &MINTS_UNDER_WAY,
    &MINTS_WAITING,
    &MINTS_TURNED_AWAY,
    &ELEVATION_WAITS,
    &AGENTS_WATCHING,
    &CERTIFICATES_DENIED,
    &ISSUE_SECONDS,
    &USES_REPORTED,
    &SCOPES_UNCOVERED,
    &REQUESTS,
    &PROBLEMS,
    &CONNECTIONS_OPEN,
    &CONNECTIONS_REFUSED,
    &HANDSHAKES_FAILED,
    &STORE_COMMIT_SECONDS,
    &STORE_COMMIT_ACTS,
    &STORE_COMMITS_FAILED,
    &STORE_WAITING_ACTS,
    &LEDGER_EVENTS,
    &INTENTS_UNFINISHED,
    &CLOCK_IN_DOUBT,
    &MINTING_STOPPED,
    &POLICY_VERSION,
    &ISSUER_NOT_AFTER,
    &SERVER_NOT_AFTER,
];

/// Which program this is.
pub static BUILD: Metric = Metric {
    name: "build_info",
    help: "Always 1; the label is the version",
    kind: Kind::Gauge,
    label: Some(("version", &[env!("CARGO_PKG_VERSION")])),
};
/// The answer of `/readyz`.
pub static READY: Metric = gauge("ready", "1 while /readyz answers 200");
/// What came of the walk.
pub static SVIDS_MINTED: Metric = Metric {
    name: "svids_minted",
    help: "SVIDs minted, by profile",
    kind: Kind::Counter,
    label: Some(("profile", &["base", "elevated"])),
};
/// What the walk and policy refused.
pub static REFUSALS: Metric = Metric {
    name: "refusals",
    help: "Requests refused and recorded, by policy's reason; `rule` for all that policy was not \
           asked or did not say",
    kind: Kind::Counter,
    label: Some((
        "reason",
        &[
            "elevation_foreign",
            "entry_missing",
            "evaluation_failed",
            "forbidden",
            "minting_stopped",
            "no_permit",
            "policy_changed",
            "rule",
            "scope_unknown",
        ],
    )),
};
/// What is refused too often to be recorded one by one.
pub static REFUSALS_COUNTED: Metric = Metric {
    name: "refusals_counted",
    help: "Refusals counted and not recorded one by one, by whether the caller was proved",
    kind: Kind::Counter,
    label: Some(("caller", &["proved", "unproved"])),
};
/// Who is being served.
pub static MINTS_UNDER_WAY: Metric = gauge("mints_under_way", "Walks that hold a place");
/// Who waits to be.
pub static MINTS_WAITING: Metric = gauge("mints_waiting", "Callers in line for a place");
/// Who was not.
pub static MINTS_TURNED_AWAY: Metric = Metric {
    name: "mints_turned_away",
    help: "Requests to mint that found no place in time",
    kind: Kind::Counter,
    label: None,
};
/// Who waits for people.
pub static ELEVATION_WAITS: Metric = gauge(
    "elevation_waits",
    "Callers who wait for an elevation to move",
);
/// Who is told of changes.
pub static AGENTS_WATCHING: Metric = gauge(
    "agents_watching",
    "Streams over which agents are told what concerns them",
);
/// What servers of the mesh are to refuse.
pub static CERTIFICATES_DENIED: Metric = gauge(
    "certificates_denied",
    "Certificates that were denied before their end and have not ended",
);
/// How long the walk takes.
pub static ISSUE_SECONDS: Metric = Metric {
    name: "issue_seconds",
    help: "Seconds of one issuance from the read request to the durable outcome, by outcome",
    kind: Kind::Histogram,
    label: Some(("outcome", &["minted", "refused"])),
};
/// What access logs show.
pub static USES_REPORTED: Metric = Metric {
    name: "uses_reported",
    help: "Lines of reports of uses, by what they were: of an active elevation (`noted`), of none \
           (`unknown`), or at a server that the scope does not open or that is not the reporter's \
           (`not_served`)",
    kind: Kind::Counter,
    label: Some(("outcome", &["noted", "not_served", "unknown"])),
};
/// Where idle time stands still.
pub static SCOPES_UNCOVERED: Metric = gauge(
    "scopes_uncovered",
    "Scopes with `idle_longest` whose elevations do not fall idle because an agent of one of their \
     servers does not report",
);
/// What the API answered.
pub static REQUESTS: Metric = Metric {
    name: "requests",
    help: "Requests answered, by class of the status",
    kind: Kind::Counter,
    label: Some(("status", &["2xx", "3xx", "4xx", "5xx"])),
};
/// What the API refused.
pub static PROBLEMS: Metric = Metric {
    name: "problems",
    help: "Problem documents sent, by type",
    kind: Kind::Counter,
    label: Some((
        "type",
        &[
            "clock-in-doubt",
            "conflict",
            "denied",
            "forbidden",
            "internal",
            "length-required",
            "malformed",
            "method-not-allowed",
            "minting-stopped",
            "not-acceptable",
            "not-found",
            "rate-limited",
            "timeout",
            "too-large",
            "unauthenticated",
            "unavailable",
            "unprocessable",
            "unsupported-media-type",
        ],
    )),
};
/// Who is connected.
pub static CONNECTIONS_OPEN: Metric = Metric {
    name: "connections_open",
    help: "Connections open, by door",
    kind: Kind::Gauge,
    label: Some(("door", DOORS)),
};
/// Who found no place.
pub static CONNECTIONS_REFUSED: Metric = Metric {
    name: "connections_refused",
    help: "Connections closed right after accept because too many were open, by door",
    kind: Kind::Counter,
    label: Some(("door", DOORS)),
};
/// Who did not get through TLS.
pub static HANDSHAKES_FAILED: Metric = Metric {
    name: "handshakes_failed",
    help: "TLS handshakes that came to nothing: broken or refused (`tls`), too slow, or with a \
           certificate that is no SVID",
    kind: Kind::Counter,
    label: Some(("reason", &["no_svid", "slow", "tls"])),
};
/// The disk.
pub static STORE_COMMIT_SECONDS: Metric = Metric {
    name: "store_commit_seconds",
    help: "Seconds of one group commit of the store, disk included",
    kind: Kind::Histogram,
    label: None,
};
/// How many share a commit.
pub static STORE_COMMIT_ACTS: Metric = Metric {
    name: "store_commit_acts",
    help: "Acts that shared one commit",
    kind: Kind::Histogram,
    label: None,
};
/// What was not made durable.
pub static STORE_COMMITS_FAILED: Metric = Metric {
    name: "store_commits_failed",
    help: "Commits that failed; every act in them was refused as unavailable",
    kind: Kind::Counter,
    label: None,
};
/// Who waits for the disk.
pub static STORE_WAITING_ACTS: Metric = gauge(
    "store_waiting_acts",
    "Acts that waited for the writer when its last commit began",
);
/// The ledger's head.
pub static LEDGER_EVENTS: Metric = gauge("ledger_events", "The number of the newest event");
/// What a crash or a fault left.
pub static INTENTS_UNFINISHED: Metric = gauge(
    "intents_unfinished",
    "Recorded intents without outcome, at most 1000; some while requests run, 0 at rest",
);
/// The clock's state.
pub static CLOCK_IN_DOUBT: Metric = gauge("clock_in_doubt", "1 while minting stops for the clock");
/// The kill switch.
pub static MINTING_STOPPED: Metric = gauge("minting_stopped", "1 while minting is stopped by hand");
/// The policy that decides.
pub static POLICY_VERSION: Metric = gauge(
    "policy_version",
    "The version of the policy in force; 0 while there is none",
);
/// When issuers end.
pub static ISSUER_NOT_AFTER: Metric = Metric {
    name: "issuer_not_after_seconds",
    help: "The last second of each intermediate, Unix time",
    kind: Kind::Gauge,
    label: Some(("issuer", &["base", "elevated", "service"])),
};
/// When the door's own certificate ends.
pub static SERVER_NOT_AFTER: Metric = gauge(
    "server_certificate_not_after_seconds",
    "The last second of the server's own certificate, Unix time",
);

const DOORS: &[&str] = &["api", "observe"];

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        help,
        kind: Kind::Gauge,
        label: None,
    }
}

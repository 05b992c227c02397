//! The law of the house, as tests: who may know whom, who makes what, how files look.
//!
//! A finding reads `file:line: what is wrong: what to do`. The tables at the end of this file are
//! meant to be changed, each row with the decision behind it; the rules are in `tidy/`, each with a
//! test that it can fail. Function length and the ban on calls are clippy's (`.cargo/clippy.toml`).

mod files;
mod imports;
mod source;

use imports::{Closed, House, Maker, Wall};
use source::Source;

#[test]
fn imports_lead_downward() {
    tidy(&HOUSE.climbing(&Source::all()));
}

#[test]
fn libraries_stay_behind_their_walls() {
    tidy(&imports::escaping(&Source::all(), WALLS));
}

#[test]
fn guarded_values_have_one_maker() {
    tidy(&imports::usurping(&Source::all(), MAKERS));
}

#[test]
fn every_file_opens_with_its_doc() {
    tidy(&files::undocumented(&Source::all()));
}

#[test]
fn every_file_is_named_after_its_duty() {
    tidy(&files::misnamed(&Source::all()));
}

#[test]
fn every_file_can_be_read() {
    tidy(&files::oversized(&Source::all()));
}

#[test]
fn no_work_is_left_over() {
    tidy(&files::unfinished(&Source::all()));
}

#[test]
fn nothing_names_one_machine() {
    tidy(&files::local(&Source::all()));
}

#[test]
fn the_top_level_is_fixed() {
    tidy(&files::top_level(&Source::all()));
}

#[track_caller]
fn tidy(findings: &[String]) {
    assert!(
        findings.is_empty(),
        "{} finding(s):\n{}\n",
        findings.len(),
        findings.join("\n")
    );
}

const HOUSE: House = House {
    floors: FLOORS,
    sideways: SIDEWAYS,
    closed: CLOSED,
    free: FREE,
};

/// Rooms from the lowest floor to the highest; a room knows only what stands below it.
const FLOORS: &[&[&str]] = &[
    // words
    &["failpoint", "id", "identity", "metric", "time"],
    &["scope"],
    // crafts
    &[
        "attestation",
        "audit",
        "elevation",
        "policy",
        "proto",
        "wire",
        "x509",
    ],
    // what is remembered
    &["store"],
    // what is signed
    &["pki"],
    // the walks
    &["service"],
    // doors; keyset is one outward: it asks issuers for their keys, as the client asks a server
    &["api", "client", "keyset"],
    // the root: what puts the parts together
    &["config", "lifecycle", "telemetry"],
    &["agent", "enforce", "mesh", "server"],
    &["cli"],
];

/// Pairs on one floor where the first may know the second.
const SIDEWAYS: &[(&str, &str)] = &[];

/// Rooms that are shut although they lie below.
const CLOSED: &[Closed] = &[
    Closed {
        from: &["agent", "cli", "client"],
        to: &["pki", "policy", "service", "store"],
        because: "it is a client, also when one process hosts the server: ask through the door",
    },
    Closed {
        from: &["agent"],
        to: &["api"],
        because: "its sockets are its own doors, for callers that no server knows",
    },
    Closed {
        from: &["mesh"],
        to: &[
            "api",
            "audit",
            "client",
            "config",
            "elevation",
            "keyset",
            "lifecycle",
            "pki",
            "policy",
            "proto",
            "service",
            "store",
            "telemetry",
            "wire",
            "x509",
        ],
        because: "text in, text out: it knows names, scopes and spans, and nothing that runs",
    },
];

/// The start, the map and the manual see everything.
const FREE: &[&str] = &["lib", "main", "manual"];

/// Libraries and the only rooms that name them.
const WALLS: &[Wall] = &[
    Wall {
        library: "anyhow",
        places: &["cli", "main"],
    },
    Wall {
        library: "axum",
        places: &["api", "client"],
    },
    Wall {
        library: "cedar_policy",
        places: &["policy"],
    },
    Wall {
        library: "clap",
        places: &["cli"],
    },
    Wall {
        library: "clap_complete",
        places: &["cli"],
    },
    Wall {
        library: "granit_parser",
        places: &["mesh/lint"],
    },
    Wall {
        library: "hyper",
        places: &["agent", "api", "client", "enforce", "keyset"],
    },
    Wall {
        library: "hyper_util",
        places: &["agent", "api", "client", "enforce", "keyset"],
    },
    Wall {
        library: "nix",
        places: &["agent"],
    },
    Wall {
        library: "p256",
        places: &["x509"],
    },
    Wall {
        library: "prometheus_client",
        places: &["metric"],
    },
    Wall {
        library: "rcgen",
        places: &["pki"],
    },
    Wall {
        library: "rusqlite",
        places: &["store/sqlite"],
    },
    Wall {
        library: "prost",
        places: &["agent", "proto"],
    },
    // It reads the variables of the service manager; they are no settings.
    Wall {
        library: "sd_notify",
        places: &["lifecycle/supervisor"],
    },
    Wall {
        library: "tonic",
        places: &["agent", "api", "client", "cli", "proto"],
    },
    Wall {
        library: "tonic_health",
        places: &["agent"],
    },
    Wall {
        library: "tonic_prost",
        places: &["proto"],
    },
    Wall {
        library: "tonic_reflection",
        places: &["agent"],
    },
    Wall {
        library: "x509_cert",
        places: &["x509"],
    },
];

/// The walk's types have one maker each; private fields say so to the compiler, this says it to the
/// reader, and catches a second maker inside the room.
const MAKERS: &[Maker] = &[
    Maker {
        makes: "Facts::observed(",
        places: &["store"],
        because: "a fact is what the store saw, with its version",
    },
    Maker {
        makes: "Permit {",
        places: &["policy/decide"],
        because: "only `decide` permits; what is supposed is an `Outlook`",
    },
    Maker {
        makes: "Recorded {",
        places: &["store/record"],
        because: "recorded means durable: only the transaction can say it",
    },
    Maker {
        makes: "Recorded::new(",
        places: &["store/record"],
        because: "recorded means durable: only the transaction can say it",
    },
];

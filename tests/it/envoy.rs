//! The walk in front of a real Envoy: shut, open, and shut again when the certificate ends.
//!
//! A real `protem dev`, real keepers, two Envoys that read the files of those, and the echo service
//! of `deploy/demo`; Envoys on agents are in `tests/it/agent_envoy`.
//! `tests/envoy/drive.py` behaves as a holder who wants to stay longer than he may; it is Envoy's
//! own access log against notAfter that judges. An SVID lives 10 s here, by a policy of the test.

pub(crate) mod bench;
pub(crate) mod hosts;
pub(crate) mod http;
mod probes;

use std::fs;
use std::thread;

use bench::{Bench, DB, Mesh, WEB, until};

use crate::cli::stderr;
use crate::tools::{repository, run, tool};

#[test]
fn a_right_ends_with_its_certificate() {
    let bench = Bench::open();
    bench.keep_base("web", WEB);
    bench.keep_base("db", DB);
    let mesh = bench.start_mesh();
    thread::scope(|scope| {
        scope.spawn(|| renewed_under_a_running_envoy(&bench, &mesh));
        an_elevation_comes_and_ends(&bench, &mesh);
        a_revoked_elevation_is_not_renewed(&bench, &mesh);
    });
}

/// The server Envoy serves what its keeper writes, without a restart.
fn renewed_under_a_running_envoy(bench: &Bench, mesh: &Mesh) {
    let checks = ["written_served", "keeper_renewed", "rotation_served"];
    bench.drive(
        &format!("rotation {} --client web --watched db", mesh.server),
        &checks,
    );
}

/// One elevated SVID at all doors at once: the server Envoy, web's own Envoy, and protem itself.
fn an_elevation_comes_and_ends(bench: &Bench, mesh: &Mesh) {
    bench.keep(
        "elevated",
        &format!("{ELEVATE} --out elevated --duration 10s"),
    );
    bench.wait_for_svid("elevated");
    let end = bench.not_after("elevated");
    let folders = "--watched presented --replacement elevated";
    let web = format!("client {} {folders} {end}", mesh.client);
    let protem = format!("--server {} --bundle .protem/bundle.pem", bench.authority());
    let protem = format!("door {protem} --client elevated {end}");
    thread::scope(|scope| {
        scope.spawn(|| expiry(bench, mesh, "elevated", &end));
        scope.spawn(|| bench.drive(&web, &CLIENT));
        scope.spawn(|| bench.drive(&protem, &DOOR));
    });
    assert_eq!(bench.end_of("elevated"), Some(0));
    holds_no_key(bench, "elevated");
    // The elevation ends up to a second after its last certificate.
    until("the end of the elevation", || {
        active(bench).is_empty().then_some(())
    });
}

/// Nothing more is minted for it, and what was minted ends by itself.
fn a_revoked_elevation_is_not_renewed(bench: &Bench, mesh: &Mesh) {
    bench.keep("revoked", &format!("{ELEVATE} --out revoked --duration 5m"));
    bench.wait_for_svid("revoked");
    // As a thief would: a copy, made before the keeper takes the key away.
    fs::create_dir(bench.path("copied")).unwrap();
    for file in ["svid.pem", "svid.key"] {
        let copied = bench.path("copied").join(file);
        fs::copy(bench.path("revoked").join(file), copied).unwrap();
    }
    let end = bench.not_after("copied");
    thread::scope(|scope| {
        scope.spawn(|| expiry(bench, mesh, "copied", &end));
        let [id] = &active(bench)[..] else {
            panic!("one elevation is active");
        };
        bench.protem(&format!("elevation revoke {id} --reason test"));
        refuses_more(bench, id);
        nothing_minted_after_the_end(bench, id);
    });
    assert_eq!(
        bench.end_of("revoked"),
        Some(3),
        "the keeper ends as denied"
    );
    holds_no_key(bench, "revoked");
}

fn refuses_more(bench: &Bench, id: &str) {
    let mut openssl = tool("openssl");
    openssl.args([
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    openssl.args([
        "-nodes", "-subj", "/", "-keyout", "new.key", "-out", "new.csr",
    ]);
    run(openssl.current_dir(bench.path(""))).expect_success();
    for line in [
        "svid fetch --svid web --csr new.csr --scope db.read",
        &format!("svid fetch --svid web --csr new.csr --scope db.read --elevation {id}"),
        &format!("svid write --svid web --out new --scope db.read --elevation {id} --once"),
        &format!("elevate db.read --svid web --out new --elevation {id} --once"),
    ] {
        let output = bench.attempt(line);
        assert_eq!(output.status.code(), Some(3), "{line}: {}", stderr(&output));
    }
}

fn active(bench: &Bench) -> Vec<String> {
    let list = bench.json("elevation list --state active");
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

fn nothing_minted_after_the_end(bench: &Bench, id: &str) {
    let list = bench.json(&format!("audit list --elevation {id}"));
    let events = list["items"].as_array().unwrap().iter();
    let kinds: Vec<_> = events
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    let end = kinds.iter().position(|kind| *kind == "elevation.ended");
    let (before, after) = kinds.split_at(end.unwrap_or_else(|| panic!("{kinds:?}")));
    assert!(before.contains(&"svid.issued"), "{kinds:?}");
    assert!(!after.contains(&"svid.intent"), "{kinds:?}");
}

fn holds_no_key(bench: &Bench, folder: &str) {
    assert!(!bench.path(folder).join("svid.key").exists());
    let left = bench.text(&format!("{folder}/svid.yaml"));
    assert_eq!(left, "{\"resources\":[]}\n");
}

fn expiry(bench: &Bench, mesh: &Mesh, elevated: &str, end: &str) {
    let folders = format!("--base web --elevated {elevated} --log server.log");
    bench.drive(&format!("expiry {} {folders} {end}", mesh.server), &EXPIRY);
}

/// Why there must be an empty list before an Envoy starts that reads files.
#[test]
fn envoy_does_not_start_without_its_file() {
    let bench = Bench::unserved();
    let config = bench.fill_in_files("client", 0, 0);
    let envoy = tool("envoy");
    let envoy = envoy.get_program().to_str().unwrap();
    let line = format!("absent --envoy {envoy} --config {}", config.display());
    bench.drive(&line, &["absent_file_refused"]);
}

#[test]
fn the_demo_shows_denied_elevated_cut_and_revoked() {
    let bench = Bench::open();
    let tools = repository("target/tools/venv/bin");
    let path = std::env::var("PATH").unwrap();
    let mut demo = std::process::Command::new(repository("deploy/demo/run"));
    demo.env("PATH", format!("{}:{path}", tools.display()));
    demo.env("PROTEM", env!("CARGO_BIN_EXE_protem"));
    demo.env("PROTEM_DIR", bench.path(".protem"));
    bench.start("demo", demo.env("DURATION", "10s"));
    let exit = bench.end_of("demo");
    let told = bench.text("demo.out");
    assert_eq!(exit, Some(0), "{told}");
    let mut rest = told.as_str();
    for part in [
        "== 1.",
        "\n  403\n",
        "== 2.",
        "\n  503\n",
        "== 3.",
        "/scope/db.read asked for /",
        "\n  200\n",
        "== 4.",
        " s left: 200, ",
        "== 5.",
        "last request let in:  -",
        "endless answer cut:",
        "== 6.",
        "\n  200\n",
        "state         active",
        "== 7.",
        "\n  403\n",
        " s before notAfter",
    ] {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("no `{part}` in its place:\n{told}"));
        rest = &rest[at + part.len()..];
    }
}

const ELEVATE: &str = "elevate db.read --svid web --reason test";
pub(crate) const EXPIRY: [&str; 15] = [
    "base_denied",
    "elevated_served",
    "fresh_connection_refused",
    "http1_cut",
    "http1_stream_reset",
    "http2_cut",
    "http2_stream_reset",
    "no_certificate_refused",
    "no_ticket",
    "not_resumed",
    "nothing_served_after",
    "refused_as_expired",
    "resumed_connection_refused",
    "slow_head",
    "tls12_refused",
];
const CLIENT: [&str; 5] = [
    "base_beside_elevated",
    "base_denied",
    "elevated_arrived",
    "ended",
    "no_elevated_svid_yet",
];
const DOOR: [&str; 7] = [
    "door_cut",
    "door_fresh_refused",
    "door_idle_closed",
    "door_no_ticket",
    "door_not_resumed",
    "door_open",
    "door_resumed_refused",
];

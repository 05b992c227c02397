//! The module of `deploy/envoy` in a real Envoy, on the configuration that is shipped beside it.
//!
//! `tests/envoy/cut.py` behaves as holders who stay as long as they are let; it is Envoy's own log
//! against notAfter that judges, and stamps on what came through. Figures are printed for whoever
//! is curious.

mod built;
mod denied;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::tools::{repository, run, tool};
use built::module_folder;

#[test]
fn every_kind_of_connection_is_cut_at_the_end() {
    let kinds = [
        "grpc",
        "http1",
        "http1_idle",
        "http2",
        "tcp_busy",
        "tcp_idle",
        "tcp_push",
        "websocket",
    ];
    let cuts = kinds.map(|kind| format!("{kind}_cut"));
    let others = [
        "counted",
        "ended_well",
        "had_ended_before",
        "new_connection_after",
        "told",
    ];
    let wanted: Vec<_> = cuts.iter().map(String::as_str).chain(others).collect();
    drive("ends", &wanted);
}

#[test]
fn a_denied_certificate_is_cut_where_it_lives_and_no_other() {
    let wanted = [
        "denied_again",
        "denied_is_cut",
        "ended_well",
        "forgotten",
        "garbage_changes_nothing",
        "other_name",
        "others_live",
    ];
    drive("denies", &wanted);
}

#[test]
fn a_clock_that_is_set_is_noticed_on_idle_connections() {
    let wanted = [
        "ended_by_a_jump",
        "ended_well",
        "nothing_ended",
        "others_live",
    ];
    drive("jumps", &wanted);
}

#[test]
fn who_cannot_be_read_is_closed_and_garbage_is_refused_with_words() {
    let wanted = [
        "ended_well",
        "garbage_setting",
        "no_certificate",
        "no_filter_state",
        "shipped",
        "unknown_filter",
    ];
    drive("refuses", &wanted);
}

#[test]
fn a_pool_goes_on_with_the_next_certificate() {
    drive("rotates", &["ended_well", "pool_goes_on"]);
}

/// Runs `cut.py` to its end: every check must be ok, and none of `wanted` may be missing.
#[track_caller]
fn drive(command: &str, wanted: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut python = tool("python");
    python.arg("-B").arg(repository("tests/envoy/cut.py"));
    python.arg(command);
    python.arg("--envoy").arg(tool("envoy").get_program());
    python.arg("--module").arg(module_folder());
    python
        .arg("--config")
        .arg(repository("deploy/envoy/server.yaml"));
    python.arg("--folder").arg(folder.path());
    let ran = run(&mut python);
    print!("{}", ran.stdout);
    let checks = ran.stdout.lines().map(serde_json::from_str);
    let checks: Vec<Value> = checks.map(Result::unwrap).collect();
    let failed: Vec<_> = checks.iter().filter(|check| check["ok"] != true).collect();
    let said = std::fs::read_to_string(folder.path().join("server.out")).unwrap_or_default();
    assert!(
        failed.is_empty() && ran.success,
        "{command}: {failed:#?}\n{}\n{said}",
        ran.stderr
    );
    let done: BTreeSet<_> = checks
        .iter()
        .filter_map(|one| one["check"].as_str())
        .collect();
    assert_eq!(done, wanted.iter().copied().collect(), "{command}");
}

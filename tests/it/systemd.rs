//! The systemd units: understood by systemd, as shut as they claim, and open enough for the server.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use super::live::Place;
use super::tools::{repository, run, tool};

#[test]
fn the_units_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let mut analyze = tool("systemd-analyze");
    analyze.args(["verify", "--man=no", "--recursive-errors=no"]);
    for name in [
        "protem.service",
        "protem-agent.service",
        "protem-backup.service",
        "protem-backup.timer",
    ] {
        let text = fs::read_to_string(repository("deploy/systemd").join(name)).unwrap();
        let path = folder.path().join(name);
        let program = env!("CARGO_BIN_EXE_protem");
        fs::write(&path, text.replace("/usr/local/bin/protem", program)).unwrap();
        analyze.arg(path);
    }
    let ran = run(&mut analyze);
    assert!(ran.success, "{}{}", ran.stdout, ran.stderr);
    // It says what it does not know and goes on.
    assert!(!ran.stderr.contains("protem"), "{}", ran.stderr);
}

/// systemd's own measure, from 0 (shut) to 10.
#[test]
fn the_units_are_shut() {
    // The agent sees all processes of the host, with two of root's rights.
    for (name, threshold) in [
        ("protem.service", 13),
        ("protem-agent.service", 23),
        ("protem-backup.service", 13),
    ] {
        let mut analyze = tool("systemd-analyze");
        analyze.args(["security", "--offline=true", "--no-pager"]);
        analyze.arg(format!("--threshold={threshold}"));
        let ran = run(analyze.arg(repository("deploy/systemd").join(name)));
        let level = ran.stdout.lines().last().unwrap_or_default();
        assert!(ran.success, "{name}: {level}\n{}", ran.stderr);
    }
}

/// What the server asks of the kernel, from its start to its end, is what the unit lets it ask.
#[test]
fn the_unit_lets_the_server_work() {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    let mut strace = tool("strace");
    strace
        .args(["-f", "-qq", "-e", "signal=none", "-o"])
        .arg(&calls);
    strace.arg(env!("CARGO_BIN_EXE_protem"));
    let place = Place::new(&folder.path().join("data"));
    let mut live = place.start_as(strace);
    live.until_serving();
    let children = format!("/proc/{0}/task/{0}/children", live.pid().as_raw_nonzero());
    let child: i32 = fs::read_to_string(children)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    kill_process(Pid::from_raw(child).unwrap(), Signal::TERM).unwrap();
    let (status, said) = live.ended();
    assert_eq!(status.code(), Some(0), "{said:#?}");

    let unit = fs::read_to_string(repository("deploy/systemd/protem.service")).unwrap();
    let mut allowed = BTreeSet::new();
    for line in unit
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="))
    {
        match line.strip_prefix('~') {
            None => allowed.extend(filter(line)),
            Some(line) => allowed = &allowed - &filter(line),
        }
    }
    let text = fs::read_to_string(&calls).unwrap();
    let used: BTreeSet<String> = text.lines().filter_map(call).collect();
    // SQLite gives its files the owner of the store, and asks for it only when it is root.
    let asked_as_root = |name: &&String| *name == "fchown";
    let missing: Vec<_> = used
        .difference(&allowed)
        .filter(|name| !asked_as_root(name))
        .collect();
    assert!(missing.is_empty(), "the unit forbids {missing:?}");
    assert!(
        used.contains("fsync") || used.contains("fdatasync"),
        "{used:?}"
    );
}

/// The calls of named sets, and of the sets in them.
fn filter(words: &str) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for word in words.split_whitespace() {
        if !word.starts_with('@') {
            calls.insert(word.to_owned());
            continue;
        }
        let mut analyze = tool("systemd-analyze");
        let told = run(analyze.args(["syscall-filter", "--no-pager", word])).expect_success();
        let lines = told.lines().skip(1).map(str::trim);
        let names = lines.filter(|line| !line.starts_with('#') && !line.is_empty());
        calls.extend(filter(&names.collect::<Vec<_>>().join(" ")));
    }
    calls
}

/// `PID name(...` of a line of strace.
fn call(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(' ')?;
    let rest = rest.trim_start();
    let rest = rest.strip_prefix("<... ").unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let name = &rest[..end];
    let is_call = rest[end..].starts_with('(') || rest[end..].starts_with(" resumed");
    (is_call && !name.is_empty()).then(|| name.to_owned())
}

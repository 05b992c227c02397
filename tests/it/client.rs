//! The client against a server by hand: what it sends, what it refuses, what it leaves in files.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, iter};

use protem::time::{Clock as _, Seconds, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cli::{protem, stderr, stdout};
use super::test_server::{Asked, Reply, TestAuthority, TestServer};

const WEB: &str = "spiffe://demo.test/ns/demo/sa/web";
const ELEVATED: &str = "spiffe://demo.test/ns/demo/sa/web/scope/db.read";
const TOKEN: &str = "protem-jt-00112233445566778899aabbccddeeff.\
    00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A server that mints whatever it is asked for, and one elevation that is active until `end` is
/// waited for.
fn minting(directory: &Path, ended: &'static str) -> TestServer {
    let authority = TestAuthority::new();
    let root = authority.root_pem();
    let authority = Arc::new(authority);
    let held = authority.clone();
    TestServer::start(&held, directory, move |asked| {
        match (asked.method.as_str(), asked.path.split('?').next().unwrap()) {
            ("POST", "/v1/svids") if asked.body["scope"].is_null() => {
                Reply::Json(201, authority.svid(&asked.body, WEB, Seconds::new(600)))
            }
            ("POST", "/v1/svids") => {
                Reply::Json(201, authority.svid(&asked.body, ELEVATED, Seconds::new(60)))
            }
            ("GET", "/v1/bundle") => Reply::Text("application/x-pem-file", root.clone()),
            ("POST", "/v1/elevations") => Reply::Json(201, elevation("approved", None)),
            ("GET", "/v1/elevations/el-1") => Reply::Json(200, elevation("active", None)),
            ("GET", "/v1/elevations/el-1/wait") => {
                Reply::Json(200, elevation("ended", Some(ended)))
            }
            _ => problem(404, "not-found", "no such thing"),
        }
    })
}

fn elevation(state: &str, ended: Option<&str>) -> Value {
    let now = SystemClock.now();
    json!({
        "id": "el-1", "state": state, "ended": ended, "subject": WEB, "scope": "db.read",
        "duration": "10m", "instances": "one", "requested_at": now.rfc3339(),
        "requested_by": WEB, "ends_at": now.plus(Seconds::new(600)).rfc3339(),
        "waits_for": [{ "route": ["sre:2"] }],
        "verdict": { "decision": "permit", "policies": [], "digest": "00", "version": 1 },
    })
}

fn problem(status: u16, kind: &str, detail: &str) -> Reply {
    let kind_urn = format!("urn:protem:problem:{kind}");
    let body = json!({
        "type": kind_urn, "title": "t", "status": status, "detail": detail, "code": kind,
        "next": "try this",
    });
    Reply::Json(status, body)
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn run(directory: &TempDir, line: &str) -> (Option<i32>, String, String) {
    let mut arguments = vec!["--dir", "."];
    arguments.extend(line.split(' '));
    let output = protem(directory.path(), &arguments);
    (output.status.code(), stdout(&output), stderr(&output))
}

fn of<T>(server: &TestServer, path: &str, what: impl Fn(&Asked) -> T) -> Vec<T> {
    let log = server.log.lock().unwrap();
    log.iter()
        .filter(|asked| asked.path.starts_with(path))
        .map(what)
        .collect()
}

#[test]
fn a_base_svid_is_written_and_then_renewed_with_itself() {
    let directory = directory();
    let server = minting(directory.path(), "expired");
    let line = format!("svid write --once --out web --join-token {TOKEN}");
    let (code, _, words) = run(&directory, &line);
    assert_eq!(code, Some(0), "{words}");
    let out = directory.path().join("web");
    let key = fs::read_to_string(out.join("svid.key")).unwrap();
    let mode = fs::metadata(out.join("svid.key")).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let secret: Value =
        serde_json::from_str(&fs::read_to_string(out.join("svid.yaml")).unwrap()).unwrap();
    let secret = &secret["resources"][0]["tls_certificate"];
    assert_eq!(secret["private_key"]["inline_string"], key);

    let (code, _, words) = run(&directory, &line);
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("the join token is not needed"), "{words}");
    assert_eq!(
        fs::read_to_string(out.join("svid.key")).unwrap(),
        key,
        "the instance stays"
    );
    let proofs = of(&server, "/v1/svids", |asked| {
        (asked.authorization.is_some(), asked.certificate.is_some())
    });
    assert_eq!(proofs, [(true, false), (false, true)]);
    let keys = of(&server, "/v1/svids", |asked| {
        asked.idempotency_key.clone().unwrap()
    });
    assert_ne!(keys[0], keys[1]);

    let (code, shown, _) = run(&directory, "svid show web --json");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((code, &shown["spiffe_id"]), (Some(0), &json!(WEB)));
}

#[test]
fn an_elevated_svid_loses_its_key_when_the_elevation_is_revoked() {
    let directory = directory();
    let server = minting(directory.path(), "revoked");
    run(
        &directory,
        &format!("svid write --once --out web --join-token {TOKEN}"),
    );
    let (code, _, words) = run(&directory, "elevate db.read --svid web --out up");
    assert_eq!(code, Some(3), "{words}");
    assert!(words.contains("the elevation is over: revoked"), "{words}");
    let up = directory.path().join("up");
    assert!(!up.join("svid.key").exists());
    let left = fs::read_to_string(up.join("svid.yaml")).unwrap();
    assert_eq!(left, "{\"resources\":[]}\n");
    let bound = of(&server, "/v1/svids", |asked| {
        asked.body["elevation"].clone()
    });
    assert_eq!(bound, [Value::Null, json!("el-1")]);
    assert!(
        directory.path().join("web/svid.key").exists(),
        "the base SVID is not touched"
    );
}

#[test]
fn an_elevated_svid_never_takes_the_place_of_the_base() {
    let directory = directory();
    let _server = minting(directory.path(), "expired");
    run(
        &directory,
        &format!("svid write --once --out web --join-token {TOKEN}"),
    );
    let (code, _, words) = run(&directory, "elevate db.read --svid web --out ./web");
    assert_eq!(code, Some(2), "{words}");
}

#[test]
fn an_svid_that_is_not_as_asked_is_not_written() {
    let directory = directory();
    let authority = TestAuthority::new();
    let (root, other) = (authority.root_pem(), TestAuthority::new());
    let _server = TestServer::start(&authority, directory.path(), move |asked| {
        match asked.path.as_str() {
            "/v1/svids" => Reply::Json(201, other.svid(&asked.body, WEB, Seconds::new(600))),
            _ => Reply::Text("application/x-pem-file", root.clone()),
        }
    });
    let line = format!("svid write --once --out web --join-token {TOKEN}");
    let (code, _, words) = run(&directory, &line);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("not usable"), "{words}");
    assert!(!directory.path().join("web/svid.key").exists());
}

#[test]
fn a_server_under_another_root_gets_no_secret() {
    let directory = directory();
    let server = minting(directory.path(), "expired");
    let strange = TestAuthority::new().root_pem();
    fs::write(directory.path().join("bundle.pem"), strange).unwrap();
    let line = format!("svid write --once --out web --join-token {TOKEN}");
    let (code, _, words) = run(&directory, &line);
    assert_eq!(code, Some(5), "{words}");
    assert!(server.log.lock().unwrap().is_empty());
}

#[test]
fn a_server_that_is_away_for_a_moment_is_asked_again() {
    let directory = directory();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let _server = TestServer::start(&TestAuthority::new(), directory.path(), move |_| {
        if seen.fetch_add(1, Ordering::Relaxed) == 0 {
            return problem(503, "unavailable", "not now");
        }
        Reply::Json(
            200,
            json!({ "stopped": false, "clock": { "in_doubt": false } }),
        )
    });
    let (code, out, _) = run(&directory, "minting show");
    assert_eq!((code, count.load(Ordering::Relaxed)), (Some(0), 2));
    assert_eq!(out, "stopped by hand  no\nclock            trusted\n");
}

#[test]
fn what_could_act_twice_is_not_asked_again() {
    let directory = directory();
    let count = Arc::new(AtomicUsize::new(0));
    let seen = count.clone();
    let server = TestServer::start(&TestAuthority::new(), directory.path(), move |_| {
        seen.fetch_add(1, Ordering::Relaxed);
        problem(503, "unavailable", "not\u{1b}[2J now")
    });
    assert!(server.url.starts_with("https://127.0.0.1:"));
    let (code, _, words) = run(&directory, "revoke --all --reason fire");
    assert_eq!((code, count.load(Ordering::Relaxed)), (Some(1), 1));
    assert_eq!(
        words,
        "protem: not [2J now (unavailable)\n  next: try this\n"
    );
}

#[test]
fn denial_and_pending_have_their_exit_codes() {
    let directory = directory();
    let _server = TestServer::start(&TestAuthority::new(), directory.path(), |asked| match asked
        .path
        .as_str()
    {
        "/v1/elevations/el-1" => Reply::Json(200, elevation("pending", None)),
        path if path.contains("/wait") => Reply::Json(200, elevation("denied", None)),
        _ => problem(403, "forbidden", "not for you"),
    });
    assert_eq!(run(&directory, "token list").0, Some(3));
    let (code, _, words) = run(&directory, "elevation wait el-1");
    assert_eq!(code, Some(3), "{words}");
    assert!(
        words.contains("el-1 waits for 2 approvals of sre"),
        "{words}"
    );
    assert_eq!(
        run(&directory, "elevation wait el-1 --timeout 0s").0,
        Some(4)
    );
}

#[test]
fn an_export_that_was_cut_fails() {
    let directory = directory();
    let _server = TestServer::start(&TestAuthority::new(), directory.path(), |asked| {
        let trailer = match asked.path.as_str() {
            "/v1/events" => "{\"trailer\":{\"events\":1,\"next\":\"c\"}}\n",
            "/v1/events?cursor=c" => "{\"trailer\":{\"events\":1}}\n",
            _ => "",
        };
        Reply::Text(
            "application/x-ndjson",
            format!("{{\"number\":1}}\n{trailer}"),
        )
    });
    let (code, out, _) = run(&directory, "audit export");
    assert_eq!(code, Some(0));
    let whole = "{\"number\":1}\n{\"number\":1}\n{\"trailer\":{\"events\":2}}\n";
    assert_eq!(out, whole);
    let (code, _, words) = run(&directory, "audit export --scope db.read");
    assert_eq!(code, Some(1));
    assert!(words.contains("was cut after 1 events"), "{words}");
}

#[test]
fn a_kept_svid_is_renewed_under_one_key_until_told_to_stop() {
    let directory = directory();
    let authority = Arc::new(TestAuthority::new());
    let (root, held) = (authority.root_pem(), authority.clone());
    let server = TestServer::start(&held, directory.path(), move |asked| {
        match asked.path.split('?').next().unwrap() {
            "/v1/svids" => Reply::Json(201, authority.svid(&asked.body, WEB, Seconds::new(2))),
            _ => Reply::Text("application/x-pem-file", root.clone()),
        }
    });
    let mut keeper = Command::new(env!("CARGO_BIN_EXE_protem"))
        .args([
            "--dir",
            ".",
            "svid",
            "write",
            "--out",
            "web",
            "--join-token",
            TOKEN,
        ])
        .current_dir(directory.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut words = BufReader::new(keeper.stderr.take().unwrap()).lines();
    let mut renewal = || {
        let mut next = || words.next().expect("it goes on").unwrap();
        iter::repeat_with(&mut next).find(|line| line.contains(" until "))
    };
    renewal();
    let key = fs::read(directory.path().join("web/svid.key")).unwrap();
    let first = fs::read(directory.path().join("web/svid.pem")).unwrap();
    renewal();
    assert_ne!(
        fs::read(directory.path().join("web/svid.pem")).unwrap(),
        first
    );
    assert_eq!(
        fs::read(directory.path().join("web/svid.key")).unwrap(),
        key
    );

    let id = rustix::process::Pid::from_child(&keeper);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(keeper.wait().unwrap().code(), Some(0));
    let proofs = of(&server, "/v1/svids", |asked| asked.certificate.is_some());
    assert_eq!(proofs[..2], [false, true]);
}

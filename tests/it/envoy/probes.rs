//! `protem doctor` and `protem mesh probe` against a real Envoy: the default one has the holes, the
//! demo's has none.

use std::fs;
use std::path::PathBuf;
use std::thread;

use super::bench::{Bench, DB, WEB};
use crate::cli::{stderr, stdout};
use crate::tools::repository;

#[test]
fn the_doctor_finds_the_holes_and_that_the_demo_has_none() {
    let bench = Bench::open();
    bench.keep_base("web", WEB);
    bench.keep_base("db", DB);
    let mesh = bench.start_mesh();
    let closed = mesh.server.split_whitespace().nth(1).unwrap();
    let port = bench.start_envoy_on("open", &default_envoy(&bench));
    let open = format!("127.0.0.1:{port}");
    bench.protem("elevate db.read --svid web --reason test --out probe --duration 60s --once");
    let (expiry, resumption) = (
        |proxy: &str| probe(&bench, &format!("expiry --via {proxy}")),
        |proxy: &str| probe(&bench, &format!("resumption {proxy}")),
    );
    thread::scope(|scope| {
        let hole = scope.spawn(|| expiry(&open));
        let resumed = scope.spawn(|| resumption(&open));
        let cut = scope.spawn(|| expiry(closed));
        let anew = scope.spawn(|| resumption(closed));
        let worst = scope.spawn(|| mesh_probe(&bench, &open));
        let cutting = scope.spawn(|| mesh_probe(&bench, closed));

        let (exit, told) = hole.join().unwrap();
        assert_eq!(exit, 1, "{told}");
        assert!(told.contains("an ended right goes on"), "{told}");
        assert!(told.contains("open when the probe ended"), "{told}");

        let (exit, told) = resumed.join().unwrap();
        assert_eq!(exit, 1, "{told}");
        let ended = "a session of an ended certificate was resumed";
        assert_eq!(told.matches(ended).count(), 3, "{told}");

        let (exit, told) = cut.join().unwrap();
        assert_eq!(exit, 0, "{told}");
        // A request that is under way at the end is reset, and its connection with it.
        let cut = ["first refusal  403 at ", "closed by the proxy at "];
        assert!(cut.iter().any(|one| told.contains(one)), "{told}");

        let (exit, told) = worst.join().unwrap();
        assert_eq!(exit, 1, "{told}");
        assert!(
            told.contains("0 of 3: an ended certificate opens"),
            "{told}"
        );
        assert!(
            told.contains("TLS 1.3 ticket: resumed past the end"),
            "{told}"
        );
        let (exit, told) = cutting.join().unwrap();
        assert_eq!(exit, 0, "{told}");
        assert!(told.contains("2 of 3: each request ends"), "{told}");
        assert!(told.contains("refused: "), "{told}");

        let (exit, told) = anew.join().unwrap();
        assert_eq!(exit, 0, "{told}");
        assert!(
            told.contains("every connection is a full handshake"),
            "{told}"
        );
        assert_eq!(told.matches("not spoken").count(), 2, "TLS 1.2: {told}");
    });
}

fn probe(bench: &Bench, line: &str) -> (i32, String) {
    let output = bench.attempt(&format!("doctor {line} --svid probe"));
    let told = stdout(&output) + &stderr(&output);
    (output.status.code().unwrap(), told)
}

fn mesh_probe(bench: &Bench, proxy: &str) -> (i32, String) {
    let output = bench.attempt(&format!("mesh probe {proxy} --svid probe"));
    let told = stdout(&output) + &stderr(&output);
    (output.status.code().unwrap(), told)
}

/// mTLS as it comes, with nothing said about sessions or ends.
fn default_envoy(bench: &Bench) -> PathBuf {
    let file = |name: &str| bench.path("db").join(name).display().to_string();
    let config = fs::read_to_string(repository("tests/envoy/default.yaml")).unwrap();
    let config = config
        .replace("CHAIN", &file("svid.pem"))
        .replace("KEY", &file("svid.key"))
        .replace("ROOTS", &file("bundle.pem"));
    let path = bench.path("open.yaml");
    fs::write(&path, config).unwrap();
    path
}

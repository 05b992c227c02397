//! A right from its absence to its end, asked for by hand.

use std::time::Instant;

use rustix::process::Signal;

use super::{BY_HAND, READ, bench_of_lives, elevated};
use crate::envoy::bench::{Bench, WEB, until};
use crate::envoy::hosts::connections_of;
use crate::envoy::http::Http;

#[test]
fn a_right_comes_through_the_agent_and_ends_by_itself() {
    let bench = bench_of_lives("20s");
    bench.start_agents(BY_HAND);
    // One connection outlives the certificate here, to meet the server's recipe at its end.
    let long_lived = connections_of("300s");
    let mut doors = bench.start_envoys(&long_lived);
    let mut http = Http::connect(doors.client);
    assert_eq!(http.get("/before", None), 403);
    assert_eq!(http.get("/none", READ), 503, "nothing is elevated");

    bench.elevate("db.read", "20s");
    let returned = Instant::now();
    until("the first answer 200", || {
        (http.get("/first", READ) == 200).then_some(())
    });
    println!("elevated {} ms after", returned.elapsed().as_millis());
    interleaved(&bench, &mut http, "/base-first");

    // Another Envoy, whose first request names the scope.
    bench.end("client", Signal::TERM);
    doors.client = bench.start_client(doors, &long_lived);
    let mut http = Http::connect(doors.client);
    assert_eq!(http.get("/scope-first", READ), 200);
    interleaved(&bench, &mut http, "/scope-first");

    until("the end", || {
        (http.get("/ended", READ) == 403).then_some(())
    });
    assert_eq!(http.get("/after", None), 403);
    let first_denied = bench.seen_as("/ended", 403);
    assert_eq!(first_denied.peer, elevated("db.read"));
    assert!(!first_denied.is_in_time(), "{first_denied:?}");
    for one in bench.seen("/", 1) {
        assert!(one.status != 200 || one.is_in_time(), "{one:?}");
    }
}

/// On one connection in turns: each request goes out as who it says, whichever came first.
fn interleaved(bench: &Bench, http: &mut Http, path: &str) {
    for number in 0..40 {
        assert_eq!(http.get(&format!("{path}/base/{number}"), None), 403);
        assert_eq!(http.get(&format!("{path}/elevated/{number}"), READ), 200);
    }
    for one in bench.seen(&format!("{path}/base/"), 40) {
        assert_eq!((one.status, one.peer.as_str()), (403, WEB), "{one:?}");
    }
    for one in bench.seen(&format!("{path}/elevated/"), 40) {
        assert_eq!((one.status, one.peer), (200, elevated("db.read")));
    }
}

//! Certificates change under load: who may, always may; who may not, never.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{ON_DEMAND, READ, elevated};
use crate::envoy::bench::{Bench, WEB, lives};
use crate::envoy::hosts::connections_of;
use crate::envoy::http::{Http, Seen};

/// `PROTEM_SOAK_ROTATION_S` makes it longer than its minute.
#[test]
fn no_request_feels_a_rotation_and_none_gains_by_it() {
    let bench = Bench::serving(&short);
    bench.start_agents(ON_DEMAND);
    // Renewed at 11 s of 20 s at the latest: what is left bounds the age of a connection.
    let doors = bench.start_envoys(&connections_of("5s"));
    let wanted = std::env::var("PROTEM_SOAK_ROTATION_S");
    let wanted = wanted.map_or(60, |text| text.parse().expect("seconds"));
    let load = Duration::from_secs(wanted);
    // A request opens it, and the right ends again and again: another request goes on with it.
    assert_eq!(Http::connect(doors.client).get("/open", READ), 200);
    let stop = AtomicBool::new(false);
    let asked = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                scope.spawn({
                    let stop = &stop;
                    move || ask(doors.client, worker, stop)
                })
            })
            .collect();
        let begin = Instant::now();
        // The load's length is what is wanted here; nothing waits for anything.
        while begin.elapsed() < load && !workers.iter().any(thread::ScopedJoinHandle::is_finished) {
            thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
        let asked = workers.into_iter().map(|worker| worker.join().unwrap());
        asked.sum::<usize>()
    });
    let of_base = judge(&bench, "/base/", asked, 403, WEB);
    let of_read = judge(&bench, "/read/", asked, 200, &elevated("db.read"));
    println!("{asked} requests each way; certificates: base {of_base}, elevated {of_read}");
    let rotations = usize::try_from(load.as_secs() / 20).unwrap();
    assert!(rotations < of_read, "{of_read} certificates of 20 s");
    assert!(1 < of_base, "{of_base} certificates of 60 s");
}

/// Certificates of 20 s in rights of 45 s.
fn short(name: &str, text: String) -> String {
    if name.ends_with("elevate.toml") {
        return text.replace("asked = \"10m\"", "asked = \"30s\"");
    }
    if name != "scopes.toml" {
        return text;
    }
    let longest = "elevation_longest = \"30m\"";
    let idle = "idle_longest = \"10m\"\n";
    assert!(text.contains(longest) && text.contains(idle));
    let text = text.replacen(longest, "elevation_longest = \"45s\"", 1);
    lives(name, text.replacen(idle, "", 1), "20s")
}

/// Asks in turns, as itself and with the scope; returns how often each.
fn ask(port: u16, worker: usize, stop: &AtomicBool) -> usize {
    let mut http = Http::connect(port);
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let (base, read) = (
            http.get(&format!("/base/{worker}/{number}"), None),
            http.get(&format!("/read/{worker}/{number}"), READ),
        );
        assert_eq!(
            (base, read),
            (403, 200),
            "worker {worker}, request {number}"
        );
        thread::sleep(PAUSE);
    }
    number
}

/// Every request was answered so, under this name and while its certificate lived. Returns how many
/// certificates there were.
fn judge(bench: &Bench, path: &str, asked: usize, status: u64, peer: &str) -> usize {
    let seen = bench.seen(path, asked);
    assert_eq!(seen.len(), asked, "each came once");
    for one in &seen {
        assert_eq!((one.status, one.peer.as_str()), (status, peer), "{one:?}");
        assert!(one.is_in_time(), "{one:?}");
    }
    let ends = seen.iter().map(|Seen { not_after_ms, .. }| not_after_ms);
    ends.collect::<BTreeSet<_>>().len()
}

const WORKERS: usize = 4;
/// What one worker rests between two pairs of requests: other tests want the machine too.
const PAUSE: Duration = Duration::from_millis(20);

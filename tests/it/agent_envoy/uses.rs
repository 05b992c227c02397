//! What Envoys log of rights reaches the server, and ends what nobody uses.

use super::{BY_HAND, READ, elevated};
use crate::envoy::bench::{Bench, lives, until};
use crate::envoy::http::Http;

#[test]
fn a_use_is_known_and_a_right_that_nobody_uses_ends() {
    let bench = Bench::serving(&|name, text| {
        let text = lives(name, text, "60s");
        text.replace("idle_longest = \"10m\"", "idle_longest = \"60s\"")
    });
    bench.start_agents(BY_HAND);
    let doors = bench.start_envoys(&|text| text);
    let id = bench.elevate("db.read", "15m");
    let mut http = Http::connect(doors.client);
    until("the first answer 200", || {
        (http.get("/used", READ) == 200).then_some(())
    });
    assert_eq!(bench.seen_as("/used", 200).peer, elevated("db.read"));
    assert_eq!(http.get("/base", None), 403);
    let shown = || bench.json(&format!("elevation show {id}"));
    let used = until("the report of the use", || {
        let shown = shown();
        shown["last_used_at"].is_string().then_some(shown)
    });
    assert_eq!(used["state"], "active");
    assert!(used["first_used_at"].is_string(), "{used}");
    let events = bench.json(&format!("audit list --elevation {id}"));
    let events = events["items"].as_array().unwrap().iter();
    let told = events
        .filter(|event| event["kind"] == "elevation.used")
        .collect::<Vec<_>>();
    assert_eq!(
        told[0]["caller"],
        "workload:spiffe://dev.protem.test/agent/db"
    );
    // Nobody uses it from here on, and the agent at the server gives its word for that.
    let half = || {
        let ended = shown();
        (ended["state"] == "ended").then_some(ended)
    };
    let ended = (0..3).find_map(|_| patience(half));
    let ended = ended.expect("it was not ended");
    assert_eq!(ended["ended"], "unused", "{ended}");
}

/// As long as a test usually waits; none when that was not enough.
fn patience<T>(ask: impl Fn() -> Option<T>) -> Option<T> {
    let begin = std::time::Instant::now();
    while begin.elapsed() < std::time::Duration::from_mins(1) {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    None
}

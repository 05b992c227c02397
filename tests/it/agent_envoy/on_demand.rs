//! A right at the moment of use: a request names a scope, and waits for what is said to that.

use std::process::Command;
use std::thread;

use super::{ON_DEMAND, READ, elevated};
use crate::envoy::bench::{Bench, until, write_policy};
use crate::envoy::hosts::as_shipped;
use crate::envoy::http::Http;
use crate::tools::run;

#[test]
fn the_first_request_passes_and_a_denied_scope_is_asked_for_once() {
    let bench = Bench::serving(&|name, text| on_demand_for_all(name, &text));
    bench.start_agents("on_demand = [\"db.read\", \"payments.refund\"]");
    let doors = bench.start_envoys(&as_shipped);
    let mut http = Http::connect(doors.client);
    assert_eq!(http.get("/first", READ), 200);
    assert_eq!(bench.seen("/first", 1)[0].peer, elevated("db.read"));
    let [one] = &bench.elevations("db.read")[..] else {
        panic!("one elevation")
    };
    assert_eq!(one["state"], "active");

    assert_eq!(http.get("/denied", Some("payments.refund")), 503);
    assert_eq!(http.get("/unknown", Some("no.such.scope")), 503);
    assert_eq!(http.get("/senseless", Some("../default")), 503);
    let url = format!("http://127.0.0.1:{}/burst", doors.client);
    let mut burst = Command::new("h2load");
    burst.args(["-n", "1000", "-c", "10", "-m", "20"]);
    let told = run(burst.args(["-H", "x-protem-scope: payments.refund", &url]));
    let told = told.expect_success();
    let answered = "status codes: 0 2xx, 0 3xx, 0 4xx, 1000 5xx";
    assert!(told.contains(answered), "{told}");
    // Nothing of it came to the server.
    assert_eq!(http.get("/base", None), 403);
    let paths = bench.seen("/", 2).len();
    assert_eq!(paths, 2, "/first and /base");
    let states: Vec<_> = bench
        .elevations("payments.refund")
        .iter()
        .map(|one| one["state"].clone())
        .collect();
    assert_eq!(states, ["denied"]);
    assert!(bench.elevations("no.such.scope").is_empty());
}

#[test]
fn a_request_waits_for_its_permission_and_passes() {
    let bench = Bench::serving(&reading_needs_people);
    bench.start_agents(&format!("{ON_DEMAND}\nhold = \"60s\""));
    let doors = bench.start_envoys(&|text| {
        let shipped = "connect_timeout: 5s";
        assert!(text.contains(shipped), "{text}");
        text.replacen(shipped, "connect_timeout: 60s", 1)
    });
    let mut http = Http::connect(doors.client);
    assert_eq!(http.get("/base", None), 403);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| Http::connect(doors.client).get("/held", READ));
        until("a pending elevation", || {
            (state_of_the_one(&bench)? == "pending").then_some(())
        });
        // Others go on meanwhile.
        assert_eq!(http.get("/base", None), 403);
        assert!(bench.seen("/", 2).iter().all(|one| one.status == 403));
        permit(&bench);
        assert_eq!(waiting.join().unwrap(), 200);
    });
    assert_eq!(bench.seen("/held", 1)[0].peer, elevated("db.read"));
    assert_eq!(state_of_the_one(&bench).unwrap(), "active");
}

#[test]
fn a_request_that_waited_in_vain_fails_and_the_next_after_the_permission_passes() {
    let bench = Bench::serving(&reading_needs_people);
    bench.start_agents(&format!("{ON_DEMAND}\nhold = \"1s\""));
    let doors = bench.start_envoys(&as_shipped);
    let mut http = Http::connect(doors.client);
    for path in ["/first", "/second"] {
        assert_eq!(http.get(path, READ), 503);
        assert_eq!(state_of_the_one(&bench).unwrap(), "pending");
    }
    permit(&bench);
    until("the approval", || {
        (state_of_the_one(&bench)? != "pending").then_some(())
    });
    assert_eq!(http.get("/third", READ), 200);
    assert_eq!(bench.seen("/", 1)[0].peer, elevated("db.read"));
}

/// The state of the only elevation that there is.
fn state_of_the_one(bench: &Bench) -> Option<String> {
    let all = bench.elevations("db.read");
    assert!(all.len() <= 1, "{all:?}");
    Some(all.first()?["state"].as_str()?.to_owned())
}

/// Puts the example policy into force, under which reading needs a reason only.
fn permit(bench: &Bench) {
    write_policy(&bench.path("permits"), &|_, text| text);
    bench.protem("policy activate permits");
}

/// The example policy with reading and writing exchanged.
fn reading_needs_people(name: &str, text: String) -> String {
    match name {
        "elevate.cedar" => text
            .replace("\"db.read\"", "\"other\"")
            .replace("\"db.write\"", "\"db.read\"")
            .replace("\"other\"", "\"db.write\""),
        // They say what the example's rules say.
        "tests/elevate.toml" => String::new(),
        _ => text,
    }
}

fn on_demand_for_all(name: &str, text: &str) -> String {
    match name {
        "scopes.toml" => text
            .replace("on_demand = true\n", "")
            .replace("\nsvid_life", "\non_demand = true\nsvid_life"),
        // They say that writing never is.
        "tests/elevate.toml" => String::new(),
        _ => text.to_owned(),
    }
}

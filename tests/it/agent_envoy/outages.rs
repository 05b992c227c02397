//! Something is away: the server, an agent, an Envoy.

use std::collections::BTreeMap;

use rustix::process::Signal;

use super::{ON_DEMAND, READ, bench_of_lives, elevated};
use crate::envoy::bench::{Bench, until};
use crate::envoy::hosts::{DB_AGENT, Doors, WEB_AGENT, connections_of};
use crate::envoy::http::Http;

#[test]
fn what_is_held_goes_on_while_something_is_away() {
    let bench = bench_of_lives("20s");
    bench.start_agents(ON_DEMAND);
    let mut doors = bench.start_envoys(&connections_of("5s"));
    assert_eq!(Http::connect(doors.client).get("/open", READ), 200);
    server_killed(&bench, doors);
    agent_restarted(&bench, doors, Signal::TERM);
    agent_restarted(&bench, doors, Signal::KILL);
    envoys_restarted(&bench, &mut doors);
    // One elevation served through all of that.
    assert_eq!(bench.elevations("db.read").len(), 1);
}

fn server_killed(bench: &Bench, doors: Doors) {
    let authority = bench.authority();
    bench.end("protem", Signal::KILL);
    let mut http = Http::connect(doors.client);
    assert_eq!(http.get("/server-away", READ), 200);
    assert_eq!(http.get("/server-away", None), 403);
    until("the end of what is held", || {
        (http.get("/server-away/end", READ) != 200).then_some(())
    });
    // The base SVID lives longer.
    assert_eq!(http.get("/server-away/base", None), 403);
    for one in bench.seen("/server-away", 1) {
        assert!(one.status != 200 || one.is_in_time(), "{one:?}");
    }
    bench.keep(
        "protem",
        &format!("dev --listen {authority} --policy policy"),
    );
    until("what comes after the outage", || {
        (http.get("/server-back", READ) == 200).then_some(())
    });
    bench.until_served();
}

/// Ends both agents, asks meanwhile, and starts them again without a new token.
fn agent_restarted(bench: &Bench, doors: Doors, signal: Signal) {
    let away = format!("/agent-away-{}", signal.as_raw());
    let before = |name: &str| (name.to_owned(), version(bench, name).unwrap());
    let before = BTreeMap::from(["default", "scope/db.read"].map(before));
    for agent in [WEB_AGENT, DB_AGENT] {
        let exit = bench.end(agent, signal);
        assert_eq!(exit, (signal == Signal::TERM).then_some(0));
    }
    let socket = std::path::PathBuf::from(bench.workload_socket("web"));
    assert_eq!(socket.exists(), signal == Signal::KILL, "{signal:?}");
    let mut http = Http::connect(doors.client);
    for _ in 0..20 {
        assert_eq!(http.get(&away, READ), 200);
        assert_eq!(http.get(&away, None), 403);
    }
    bench.start_agent(WEB_AGENT);
    bench.start_agent(DB_AGENT);
    // The Envoy comes back by itself, and takes what is new under higher versions.
    for name in ["default", "scope/db.read"] {
        let newer = || version(bench, name).filter(|after| before[name] < *after);
        until(&format!("a new version of {name}"), newer);
    }
    assert_eq!(http.get(&away, READ), 200);
}

fn envoys_restarted(bench: &Bench, doors: &mut Doors) {
    bench.end("client", Signal::KILL);
    doors.client = bench.start_client(*doors, &connections_of("5s"));
    let mut http = Http::connect(doors.client);
    assert_eq!(http.get("/client-again", READ), 200);
    assert_eq!(http.get("/client-again", None), 403);
    bench.end("server", Signal::KILL);
    bench.start_server(*doors);
    until("the server Envoy", || {
        (http.get("/server-again", READ) == 200).then_some(())
    });
    assert_eq!(http.get("/server-again", None), 403);
    let seen = bench.seen("/server-again", 2);
    assert_eq!(seen[0].peer, elevated("db.read"));
}

/// Which version of a name the client Envoy has taken.
fn version(bench: &Bench, name: &str) -> Option<String> {
    let status = bench.agent_status("web")?;
    let mut streams = status["streams"].as_array()?.iter();
    let one = streams.find(|one| one["names"][0] == name && one["acked_version"] != "")?;
    one["acked_version"].as_str().map(str::to_owned)
}

//! The names that Istio asks for, from an Envoy that Istio could have configured.

use std::fs;

use super::{BY_HAND, bench_of_lives, elevated};
use crate::envoy::bench::{WEB, until};
use crate::envoy::hosts::Doors;
use crate::envoy::http::Http;
use crate::tools::repository;

#[test]
fn a_credential_of_a_destination_rule_is_an_elevated_svid_until_its_end() {
    let bench = bench_of_lives("60s");
    bench.start_agents(BY_HAND);
    let mut doors = Doors {
        client: 0,
        server: 0,
        echo: bench.start_echo(),
    };
    doors.server = bench.start_server(doors);
    let id = bench.elevate("db.read", "5m");
    let text = fs::read_to_string(repository("tests/envoy/istio-client.yaml")).unwrap();
    let port = bench.start_on_agent("client", "web", doors, text);
    let mut http = Http::connect(port);
    until("the first answer 200", || {
        (http.get("/credential", None) == 200).then_some(())
    });
    assert_eq!(bench.seen("/credential", 1)[0].peer, elevated("db.read"));

    // State of the world cannot take a certificate away: the base SVID takes its place.
    bench.protem(&format!("elevation revoke {id} --reason test"));
    until("the base SVID", || {
        assert!([200, 403].contains(&http.get("/over", None)));
        let over = bench.seen("/over", 1);
        let last = over.last().unwrap();
        (last.peer == WEB).then(|| assert_eq!(last.status, 403))
    });
}

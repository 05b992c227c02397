//! A right that is ended before its time.

use super::{ON_DEMAND, READ, bench_of_lives, elevated};
use crate::envoy::bench::{Bench, until};
use crate::envoy::hosts::connections_of;
use crate::envoy::http::Http;

#[test]
fn a_revoked_right_ends_on_live_connections_and_opens_no_new_ones() {
    let bench = bench_of_lives("120s");
    bench.start_agents(ON_DEMAND);
    let doors = bench.start_envoys(&connections_of("10s"));
    let mut http = Http::connect(doors.client);
    // Opened by a request, ended by its id.
    assert_eq!(http.get("/one/before", READ), 200);
    let id = id_of_the_active(&bench);
    bench.protem(&format!("elevation revoke {id} --reason test"));
    is_over(&bench, &mut http, "/one");
    // Nothing opens it again by itself, and a person can.
    assert_eq!(http.get("/again", READ), 503);
    bench.elevate("db.read", "5m");
    until("the first answer 200", || {
        (http.get("/two/before", READ) == 200).then_some(())
    });
    bench.protem("revoke --scope db.read --reason test");
    is_over(&bench, &mut http, "/two");
    assert_eq!(http.get("/base", None), 403);
    assert_eq!(bench.elevations("db.read").len(), 2);
}

/// The live connection is denied by the digest of its certificate, while that still lives; the next
/// connection finds no certificate.
fn is_over(bench: &Bench, http: &mut Http, path: &str) {
    until("the first answer other than 200", || {
        (http.get(&format!("{path}/cut"), READ) != 200).then_some(())
    });
    let denied = bench.seen_as(&format!("{path}/cut"), 403);
    assert_eq!(denied.peer, elevated("db.read"));
    assert!(denied.is_in_time(), "{denied:?}");
    assert!(
        denied
            .details
            .starts_with("rbac_access_denied_matched_policy"),
        "{denied:?}"
    );
    let statuses = std::cell::RefCell::new(Vec::new());
    until("a new connection", || {
        let status = http.get(&format!("{path}/after"), READ);
        statuses.borrow_mut().push(status);
        (status == 503).then_some(())
    });
    assert!(!statuses.borrow().contains(&200), "{statuses:?}");
}

fn id_of_the_active(bench: &Bench) -> String {
    let all = bench.elevations("db.read");
    let one = all.iter().find(|one| one["state"] == "active").unwrap();
    one["id"].as_str().unwrap().to_owned()
}

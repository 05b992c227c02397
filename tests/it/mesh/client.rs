//! The client's side: which SVID goes out, and that renewal is no outage.
//!
//! Both Envoys are printed; the server's own log tells who came.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use super::stand::{Form, LIFE, Stand};
use crate::envoy::bench::{DB, WEB, until};
use crate::envoy::hosts::{DB_AGENT, WEB_AGENT};
use crate::envoy::http::Http;

#[test]
fn a_printed_client_shows_what_a_request_asks_for_and_never_anything_else() {
    let stand = Stand::open("path");
    let bench = &stand.bench;
    bench.register("web", WEB, "");
    bench.register("db", DB, "report_uses = true");
    bench.start_agent(WEB_AGENT);
    bench.start_agent(DB_AGENT);
    let http = stand.behind("http", "http");
    let server = stand.envoy(("server", "db"), http, Form::Bootstrap, "--side server");
    let client = |name, form| {
        let more = "--side client --protocol http";
        stand.envoy((name, "web"), server, form, more)
    };
    let (own, told) = (client("own", Form::Bootstrap), client("told", Form::Xds));
    let id = bench.elevate("db.read", "5m");
    thread::scope(|scope| {
        for (name, port) in [("own", own), ("told", told)] {
            let stand = &stand;
            scope.spawn(move || {
                the_printed_self_test(stand, name, port);
                renewal_is_no_outage(stand, name, port);
            });
        }
        scope.spawn(|| the_self_test_has_teeth(&stand, server));
        scope.spawn(|| a_websocket_ends_with_the_certificate(&stand, own));
    });
    let mut http = Http::connect(own);
    assert_eq!(http.get("/denied", Some("db.read")), 200);
    bench.protem(&format!("elevation revoke {id} --reason test"));
    until("the first denial", || {
        (http.get("/denied", Some("db.read")) != 200).then_some(())
    });
    let denied = bench.seen_as("/denied", 403);
    assert!(denied.is_in_time(), "by the deny list: {denied:?}");
    assert_eq!(denied.peer, format!("{WEB}/scope/db.read"));
}

/// With the one wrong word the second answer names the elevated identity: the test would tell.
fn the_self_test_has_teeth(stand: &Stand, server: u16) {
    let text = stand.print(("loose", "web"), server, Form::Bootstrap, "--side client");
    let word = "factory_key: envoy.hashable_string";
    assert_eq!(text.matches(word).count(), 1);
    let path = stand.write(
        "loose.yaml",
        &text.replace(word, "factory_key: envoy.string"),
    );
    let mut http = Http::connect(stand.bench.start_envoy_on("loose", &path));
    until("the first answer 200", || {
        (http.get("/loose/first", Some("db.read")) == 200).then_some(())
    });
    assert_eq!(
        http.get("/loose/base", None),
        200,
        "a base request rode along"
    );
    let seen = stand.bench.seen("/loose/base", 1);
    assert_eq!(seen[0].peer, format!("{WEB}/scope/db.read"));
}

/// What the head of the text says to try: elevated, then base, by each Envoy's own log.
fn the_printed_self_test(stand: &Stand, name: &'static str, port: u16) {
    let mut http = Http::connect(port);
    let path = |what: &str| format!("/{name}/{what}");
    let elevated = format!("{WEB}/scope/db.read");
    until("the first answer 200", || {
        (http.get(&path("first"), Some("db.read")) == 200).then_some(())
    });
    for (what, scope, status) in [
        ("elevated", Some("db.read"), 200),
        ("base", None, 403),
        ("elevated-again", Some("db.read"), 200),
        ("base-again", None, 403),
        ("other", Some("db.write"), 400),
    ] {
        assert_eq!(http.get(&path(what), scope), status, "{name} {what}");
        if status == 400 {
            // Envoy closes after a request that it calls bad.
            http = Http::connect(port);
            continue;
        }
        let peer = if scope.is_some() { &elevated } else { WEB };
        let seen = stand.bench.seen(&path(what), 1);
        assert_eq!(seen[0].peer, *peer, "{name} {what}");
        until("the client's own line", || {
            let lines = stand.bench.logged(name);
            let line = lines.iter().find(|line| line["path"] == path(what))?;
            assert_eq!(line["upstream_identity"], *peer, "{line}");
            Some(())
        });
    }
}

/// From the application through both Envoys, over HTTP/2 between them: the pool's bound does not
/// cut it, the certificate does.
fn a_websocket_ends_with_the_certificate(stand: &Stand, port: u16) {
    let mut http = Http::connect(port);
    until("the first answer 200", || {
        (http.get("/ws-first", Some("db.read")) == 200).then_some(())
    });
    let mut link = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = "GET /ws HTTP/1.1\r\nhost: db\r\nx-protem-scope: db.read\r\n\
                connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    link.write_all(head.as_bytes()).unwrap();
    let mut all = Vec::new();
    // Its end may be a reset.
    let _ = link.read_to_end(&mut all);
    let text = String::from_utf8_lossy(&all);
    assert!(text.starts_with("HTTP/1.1 101 "), "{text}");
    assert!(text.ends_with('.'), "{text}");
    let seen = stand.bench.seen("/ws", 2);
    let seen = seen.last().unwrap();
    let lines = stand.bench.logged("server");
    let line = lines.iter().find(|line| line["path"] == "/ws").unwrap();
    assert_eq!(line["flags"], "UMSDR", "{line}");
    let length = line["duration_ms"].as_i64().unwrap();
    assert!(length > 6_000, "longer than the pool's bound: {line}");
    assert!(seen.start_ms + length < seen.not_after_ms + 1_000, "{line}");
}

/// The pool gives its connections up before their certificate ends: over a whole life of one
/// and its renewal, nothing is denied.
fn renewal_is_no_outage(stand: &Stand, name: &str, port: u16) {
    let mut http = Http::connect(port);
    let path = format!("/{name}/steady");
    let mut ends = std::collections::BTreeSet::new();
    until("an SVID that was renewed", || {
        assert_eq!(http.get(&path, Some("db.read")), 200, "of {LIFE}");
        let seen = stand.bench.seen(&path, 1);
        ends.extend(seen.iter().map(|one| one.not_after_ms));
        (ends.len() > 2).then_some(())
    });
    assert!(
        stand
            .bench
            .seen(&path, 1)
            .iter()
            .all(|one| one.status == 200)
    );
}

/// Every connection of this listener is elevated; it ends by its age, and the next one opens.
#[test]
fn a_printed_tcp_client_opens_with_the_elevated_svid_and_ends_by_its_age() {
    let stand = Stand::open("folded");
    let bench = &stand.bench;
    bench.register("web", WEB, "");
    bench.register("db", DB, "report_uses = true");
    bench.start_agent(WEB_AGENT);
    bench.start_agent(DB_AGENT);
    let tcp = stand.behind("tcp", "tcp");
    let more = "--side server --protocol tcp";
    let server = stand.envoy(("server", "db"), tcp, Form::Bootstrap, more);
    let more = "--side client --protocol tcp";
    let client = stand.envoy(("client", "web"), server, Form::Bootstrap, more);
    assert_eq!(first_byte(client), None, "no right yet");
    bench.elevate("db.read", "50s");
    until("the first byte", || first_byte(client));
    let lines = || connections(&stand);
    until("a connection that ended by its age", || {
        let aged = |line: &(String, u64)| line.0 == format!("{WEB}_db.read") && line.1 >= 6_000;
        if lines().iter().any(aged) {
            return Some(());
        }
        let mut link = TcpStream::connect(("127.0.0.1", client)).unwrap();
        io::copy(&mut link, &mut io::sink()).ok();
        None
    });
    assert!(lines().iter().all(|line| line.0 != WEB), "never as base");
}

fn first_byte(port: u16) -> Option<u8> {
    let mut link = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut byte = [0];
    (link.read(&mut byte).ok()? == 1).then_some(byte[0])
}

/// Who came, and how long for, as the server's Envoy logged it.
fn connections(stand: &Stand) -> Vec<(String, u64)> {
    let log = stand.bench.text("server.log");
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    whole
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| {
            let peer = line["peer"].as_str().unwrap_or_default().to_owned();
            (peer, line["duration_ms"].as_u64().unwrap_or_default())
        })
        .collect()
}

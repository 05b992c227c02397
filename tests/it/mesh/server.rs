//! The server's side: who is let in, and that Envoy ends what has ended, for each kind of traffic.

use std::thread;

use super::stand::{BOUND, Form, Stand, WITH};
use crate::envoy::EXPIRY;

/// HTTP/1.1 and HTTP/2 with all that a holder could try, WebSocket, streams both ways, gRPC's
/// transport, and the age of a connection; a bootstrap and resources for a control plane.
#[test]
fn printed_servers_end_http_with_the_certificate() {
    let stand = Stand::open("path");
    stand.start_server_host();
    let http = stand.behind("http", "http");
    let grpc = stand.behind("grpc", "grpc");
    let server = |name, upstream, form, more| {
        stand.envoy(
            (name, "db"),
            upstream,
            form,
            &format!("--side server {more}"),
        )
    };
    let own = server("own", http, Form::Bootstrap, "");
    let told = server("told", http, Form::Xds, "--no-deny-list");
    let calls = server("calls", grpc, Form::Bootstrap, "--protocol grpc");
    let end = stand.elevate("elevated");
    thread::scope(|scope| {
        scope.spawn(|| {
            let line = format!("{} --base web --elevated elevated {end}", to(own, "own"));
            let line = format!("expiry {line}");
            stand.bench.drive_by("mesh", &line, &EXPIRY);
        });
        scope.spawn(|| stand.http_kinds(&format!("{} {end}", to(told, "told"))));
        scope.spawn(|| {
            let line = format!("grpc {} --elevated elevated {end}", to(calls, "calls"));
            stand
                .bench
                .drive_by("mesh", &line, &["duplex_ends", "late_refused"]);
        });
    });
}

#[test]
fn a_scope_in_a_dns_name_ends_as_well() {
    let stand = Stand::open("dns");
    stand.start_server_host();
    let http = stand.behind("http", "http");
    let port = stand.envoy(("server", "db"), http, Form::Bootstrap, "--side server");
    let end = stand.elevate("elevated");
    stand.http_kinds(&format!("{} {end}", to(port, "server")));
}

#[test]
fn a_folded_scope_is_let_in_by_its_name_and_raw_tcp_ends_by_its_age() {
    let stand = Stand::open("folded");
    stand.start_server_host();
    let tcp = stand.behind("tcp", "tcp");
    let server = |name, form| stand.envoy((name, "db"), tcp, form, "--side server --protocol tcp");
    let own = server("own", Form::Bootstrap);
    let told = server("told", Form::Xds);
    let http = stand.behind("http", "http");
    let http = stand.envoy(("requests", "db"), http, Form::Bootstrap, "--side server");
    let end = stand.elevate("elevated");
    thread::scope(|scope| {
        scope.spawn(|| stand.http_kinds(&format!("{} {end}", to(http, "requests"))));
        for (port, name) in [(own, "own"), (told, "told")] {
            let line = format!("tcp {} {WITH} {BOUND} {end}", to(port, name));
            let stand = &stand;
            scope.spawn(move || stand.bench.drive_by("mesh", &line, &TCP));
        }
    });
}

fn to(port: u16, name: &str) -> String {
    format!("--server 127.0.0.1:{port} --bundle web/bundle.pem --log {name}.log")
}

const TCP: [&str; 5] = [
    "base_svid",
    "elevated_svid",
    "late_refused",
    "right_svid",
    "tcp_aged",
];

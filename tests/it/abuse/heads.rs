//! Group H: HTTP as no library would write it, byte by byte.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::abuse::stage::{Stage, said};
use crate::abuse::{Row, live};
use crate::doors::wire::{Answer, Tcp};
use crate::world::WEB;

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = slow(stage).await;
    for (id, attack, bytes, expected) in heads() {
        let told = said(stage.raw(&stage.stranger, bytes.as_bytes()).await);
        rows.push(live(id, attack, expected, told));
    }
    rows.extend(paths(stage).await);
    rows.extend(verbs(stage).await);
    rows.extend(bodies(stage).await);
    rows.extend(answers(stage).await);
    rows.extend(secrets(stage).await);
    rows
}

/// H1: each waits for as long as the door does, all at once.
async fn slow(stage: &Stage) -> Vec<Row> {
    let silent = async {
        let mut connection = Tcp::connect(stage.address).await;
        connection.rest().await
    };
    let drip = async {
        let mut connection = stage.stranger.client.http1().await.unwrap();
        let head = "GET /v1/bundle HTTP/1.1\r\nhost: protem.test\r\nx: ";
        for byte in head.bytes().chain(std::iter::repeat(b'y')) {
            connection.send([byte]).await;
            if let Some(rest) = connection.ended_within(DRIP).await {
                return rest;
            }
        }
        unreachable!()
    };
    let body = async {
        let mut connection = stage.web.client.http1().await.unwrap();
        connection
            .send(
                "POST /v1/elevations HTTP/1.1\r\nhost: protem.test\r\ncontent-length: 99\r\n\
                content-type: application/json\r\n\r\n{",
            )
            .await;
        said(connection.answer().await)
    };
    let plain = async {
        let mut stream = tokio::net::TcpStream::connect(stage.address).await.unwrap();
        let _ = stream
            .write_all(b"GET /v1/bundle HTTP/1.1\r\nhost: a\r\n\r\n")
            .await;
        Tcp::over(stream).rest_bytes().await.len()
    };
    let (silent, drip, body, plain) = tokio::join!(silent, drip, body, plain);
    let ended = |rest: String| {
        if rest.is_empty() {
            "connection ended".to_owned()
        } else {
            rest
        }
    };
    vec![
        live(
            "H1",
            "a connection that says nothing",
            "connection ended",
            ended(silent),
        ),
        live(
            "H1",
            "a head of one byte each 100 ms",
            "connection ended",
            ended(drip),
        ),
        live("H1", "a body that never comes", "408 body_slow", body),
        live(
            "H1",
            "HTTP where TLS is spoken",
            "an alert",
            if plain < 16 {
                "an alert".to_owned()
            } else {
                plain.to_string()
            },
        ),
    ]
}

/// Whole requests, and the answer to the first.
fn heads() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let get = |lines: &str| format!("GET /v1/bundle HTTP/1.1\r\nhost: a\r\n{lines}\r\n");
    let post = |lines: &str| format!("POST /v1/svids HTTP/1.1\r\nhost: a\r\n{lines}");
    let chunked = "transfer-encoding: chunked\r\n";
    vec![
        (
            "H2",
            "length and chunks",
            post(&format!("content-length: 5\r\n{chunked}\r\n0\r\n\r\n")),
            "400 two_lengths",
        ),
        (
            "H2",
            "chunks and length",
            post(&format!("{chunked}content-length: 5\r\n\r\n0\r\n\r\n")),
            "400 two_lengths",
        ),
        (
            "H2",
            "chunks",
            post(&format!("{chunked}\r\n0\r\n\r\n")),
            "411 transfer_encoding",
        ),
        (
            "H2",
            "chunks with an extension",
            post(&format!("{chunked}\r\n0;a=b\r\n\r\n")),
            "411 transfer_encoding",
        ),
        (
            "H2",
            "chunks named twice",
            post(&format!("{chunked}{chunked}\r\n0\r\n\r\n")),
            "411 transfer_encoding",
        ),
        (
            "H2",
            "chunks behind a vertical tab",
            post("transfer-encoding: \u{b}chunked\r\n\r\n"),
            "400 header_invalid",
        ),
        (
            "H2",
            "chunks in another spelling",
            post("transfer-encoding: xchunked\r\n\r\n"),
            "411 transfer_encoding",
        ),
        (
            "H2",
            "chunks with space before the colon",
            post("transfer-encoding : chunked\r\n\r\n"),
            "400 header_invalid",
        ),
        (
            "H2",
            "two lengths",
            post("content-length: 5\r\ncontent-length: 6\r\n\r\n"),
            "400 two_lengths",
        ),
        (
            "H2",
            "the same length twice",
            post("content-length: 5\r\ncontent-length: 5\r\n\r\n"),
            "400 two_lengths",
        ),
        (
            "H2",
            "a list of lengths",
            post("content-length: 5, 5\r\n\r\n"),
            "400 length_invalid",
        ),
        (
            "H2",
            "a signed length",
            post("content-length: +5\r\n\r\n"),
            "400 length_invalid",
        ),
        (
            "H2",
            "a length in hex",
            post("content-length: 0x5\r\n\r\n"),
            "400 length_invalid",
        ),
        (
            "H2",
            "a length of 2^64",
            post("content-length: 18446744073709551616\r\n\r\n"),
            "400 length_invalid",
        ),
        (
            "H2",
            "a folded length",
            post("content-length:\r\n 5\r\n\r\n"),
            "400 length_invalid",
        ),
        (
            "H2",
            "bare LF in every line",
            get("").replace("\r\n", "\n"),
            "400 line_end",
        ),
        ("H2", "bare LF in one line", get("a: b\n"), "400 line_end"),
        (
            "H2",
            "bare LF at the end",
            "GET /v1/bundle HTTP/1.1\r\nhost: a\r\n\n".to_owned(),
            "400 line_end",
        ),
        (
            "H2",
            "bare CR in a value",
            get("a: b\rc: d\r\n"),
            "400 line_end",
        ),
        (
            "H2",
            "a folded line",
            get("a: b\r\n c\r\n"),
            "400 header_invalid",
        ),
        (
            "H2",
            "a first header with a space before it",
            "GET / HTTP/1.1\r\n host: a\r\n\r\n".to_owned(),
            "400 header_invalid",
        ),
        (
            "H2",
            "NUL in a value",
            get("a: b\0c\r\n"),
            "400 header_invalid",
        ),
        (
            "H2",
            "a header without a name",
            get(": b\r\n"),
            "400 header_invalid",
        ),
        (
            "H2",
            "an empty line first",
            format!("\r\n{}", get("")),
            "400 request_line",
        ),
        (
            "H2",
            "a tab in the request line",
            get("").replacen(' ', "\t", 1),
            "400 request_line",
        ),
        (
            "H2",
            "HTTP/0.9",
            "GET /v1/bundle\r\n\r\n".to_owned(),
            "400 request_line",
        ),
        (
            "H2",
            "HTTP/1.2",
            get("").replacen("1.1", "1.2", 1),
            "400 version",
        ),
        (
            "H2",
            "a target with a space",
            get("").replacen("/v1", "/v1 ", 1),
            "400 request_line",
        ),
        (
            "H2",
            "a target with a fragment",
            get("").replacen("bundle", "bundle#x", 1),
            "400 target_invalid",
        ),
        (
            "H2",
            "a target in Latin-1",
            get("").replacen("bundle", "b\u{fc}ndle", 1),
            "400 target_invalid",
        ),
        (
            "H2",
            "the word for a refused head, by hand",
            get("protem-refused-head: version\r\n"),
            "400 version",
        ),
        (
            "H2",
            "65 headers",
            get(&"a: b\r\n".repeat(65)),
            "431 headers_too_many",
        ),
        (
            "H2",
            "a header of 17 KB",
            get(&format!("a: {}\r\n", "b".repeat(17 << 10))),
            "431 head_too_large",
        ),
        (
            "H2",
            "a target of 17 KB",
            get("").replacen("bundle", &"b".repeat(17 << 10), 1),
            "431 head_too_large",
        ),
        (
            "H3",
            "no host",
            "GET /v1/bundle HTTP/1.1\r\n\r\n".to_owned(),
            "400 host_missing",
        ),
        (
            "H3",
            "no host in HTTP/1.0",
            "GET /v1/bundle HTTP/1.0\r\n\r\n".to_owned(),
            "400 host_missing",
        ),
        ("H3", "two hosts", get("host: b\r\n"), "400 host_twice"),
        (
            "H3",
            "the same host twice",
            get("host: a\r\n"),
            "400 host_twice",
        ),
        (
            "H3",
            "an empty host",
            "GET /v1/bundle HTTP/1.1\r\nhost:\r\n\r\n".to_owned(),
            "400 host_invalid",
        ),
        (
            "H3",
            "a host with a user",
            "GET /v1/bundle HTTP/1.1\r\nhost: u@a\r\n\r\n".to_owned(),
            "400 host_invalid",
        ),
        (
            "H3",
            "a host with a space",
            "GET /v1/bundle HTTP/1.1\r\nhost: a b\r\n\r\n".to_owned(),
            "400 host_invalid",
        ),
        (
            "H3",
            "a target that names another host",
            get("").replacen("/v1", "https://b/v1", 1),
            "400 host_differs",
        ),
        (
            "H3",
            "CONNECT",
            "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n".to_owned(),
            "404",
        ),
    ]
}

/// H5, H7: paths are matched as they stand.
async fn paths(stage: &Stage) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, attack, target, expected) in [
        ("H5", "two dots", "/v1/../etc/passwd", "404 path_unknown"),
        (
            "H5",
            "two encoded dots",
            "/v1/%2e%2e/%2e%2e/etc/passwd",
            "404 path_unknown",
        ),
        ("H5", "an encoded slash", "/v1%2fbundle", "404 path_unknown"),
        ("H5", "an encoded NUL", "/v1/bundle%00", "404 path_unknown"),
        (
            "H5",
            "two encoded dots as an id",
            "/v1/entries/%2e%2e%2fbundle",
            "422 path_value",
        ),
        (
            "H5",
            "an encoded NUL as an id",
            "/v1/elevations/%00",
            "422 path_value",
        ),
        (
            "H5",
            "bytes that are no UTF-8 as an id",
            "/v1/elevations/%ff%fe",
            "4",
        ),
        ("H7", "two slashes", "//v1/bundle", "404 path_unknown"),
        (
            "H7",
            "two slashes inside",
            "/v1//bundle",
            "404 path_unknown",
        ),
        ("H7", "a final slash", "/v1/policy/", "404 path_unknown"),
        (
            "H7",
            "a final slash behind an open path",
            "/v1/bundle/",
            "404 path_unknown",
        ),
        ("H7", "upper case", "/V1/policy", "404 path_unknown"),
        (
            "H7",
            "a path parameter",
            "/v1/bundle;a=b",
            "404 path_unknown",
        ),
        (
            "H7",
            "an encoded letter",
            "/v1/%70olicy",
            "404 path_unknown",
        ),
        (
            "H8",
            "a way back after a login that is not there",
            "/login?returnTo=javascript:a",
            "404 path_unknown",
        ),
        ("H18", "a query language", "/graphql?query={a{a{a}}}", "4"),
        ("H15", "metrics at the API", "/metrics", "404 path_unknown"),
        (
            "H15",
            "a debugging page",
            "/debug/pprof/",
            "404 path_unknown",
        ),
    ] {
        let told = said(stage.json(&stage.web, "GET", target, &Value::Null).await);
        rows.push(live(id, attack, expected, told));
    }
    rows
}

async fn verbs(stage: &Stage) -> Vec<Row> {
    let mut rows = Vec::new();
    for (attack, verb, expected) in [
        ("TRACE", "TRACE", "405 method_unknown"),
        ("a verb of its own", "JEFF", "405 method_unknown"),
        ("a verb in lower case", "get", "405 method_unknown"),
        ("DELETE of a collection", "DELETE", "405 method_unknown"),
    ] {
        let told = said(
            stage
                .json(&stage.operator, verb, "/v1/tokens", &Value::Null)
                .await,
        );
        rows.push(live("H7", attack, expected, told));
    }
    let instead = "x-http-method-override: DELETE\r\nx-http-method: DELETE\r\n";
    let told = said(
        stage
            .ask(&stage.operator, "GET", "/v1/tokens", instead, b"")
            .await,
    );
    rows.push(live(
        "H7",
        "a header that asks for another verb",
        "200",
        told,
    ));
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\norigin: https://evil.example\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
    let told = said(
        stage
            .ask(&stage.operator, "GET", "/v1/events", upgrade, b"")
            .await,
    );
    rows.push(live("H16", "a web socket from another site", "200", told));
    let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAA\r\n";
    let told = said(
        stage
            .ask(&stage.stranger, "GET", "/v1/bundle", h2c, b"")
            .await,
    );
    rows.push(live("H16", "an upgrade to HTTP/2 without TLS", "200", told));
    rows
}

/// H6: bodies of `POST /v1/elevations`, as a workload that may ask.
async fn bodies(stage: &Stage) -> Vec<Row> {
    let deep = |open: &str, count: usize| open.repeat(count).into_bytes();
    let json = "application/json";
    let mut rows = Vec::new();
    for (attack, kind, body, expected) in [
        (
            "65 KB",
            json,
            format!("{{\"scope\":\"{}\"}}", "a".repeat(65 << 10)).into_bytes(),
            "413 body_too_large",
        ),
        ("60,000 open brackets", json, deep("[", 60_000), "4"),
        ("60,000 open objects", json, deep("{\"a\":", 12_000), "4"),
        (
            "a key twice",
            json,
            br#"{"scope":"db.read","scope":"db.write"}"#.to_vec(),
            "422 json_value",
        ),
        (
            "a key twice, once escaped",
            json,
            br#"{"scope":"db.read","\u0073cope":"db.write"}"#.to_vec(),
            "422 json_value",
        ),
        (
            "an unknown key",
            json,
            br#"{"scope":"db.read","admin":true}"#.to_vec(),
            "422 json_value",
        ),
        (
            "__proto__",
            json,
            br#"{"scope":"db.read","__proto__":{}}"#.to_vec(),
            "422 json_value",
        ),
        (
            "NaN",
            json,
            br#"{"scope":"db.read","instances":NaN}"#.to_vec(),
            "400 json_syntax",
        ),
        (
            "a number of 400 digits",
            json,
            format!(
                "{{\"scope\":\"db.read\",\"instances\":{}}}",
                "9".repeat(400)
            )
            .into_bytes(),
            "4",
        ),
        (
            "an exponent without end",
            json,
            br#"{"scope":"db.read","instances":1e999999}"#.to_vec(),
            "4",
        ),
        (
            "a lone surrogate",
            json,
            br#"{"scope":"\ud800"}"#.to_vec(),
            "400 json_syntax",
        ),
        (
            "bytes that are no UTF-8",
            json,
            b"{\"scope\":\"\xff\xfe\"}".to_vec(),
            "4",
        ),
        (
            "UTF-16",
            json,
            b"\xff\xfe{\0}\0".to_vec(),
            "400 json_syntax",
        ),
        (
            "a byte order mark",
            json,
            b"\xef\xbb\xbf{\"scope\":\"db.read\"}".to_vec(),
            "400 json_syntax",
        ),
        (
            "text after the document",
            json,
            br#"{"scope":"db.read"}{"scope":"db.write"}"#.to_vec(),
            "400 json_syntax",
        ),
        (
            "a comment",
            json,
            br#"{"scope":"db.read"/**/}"#.to_vec(),
            "400 json_syntax",
        ),
        (
            "a list in place of an object",
            json,
            br#"["db.read"]"#.to_vec(),
            "422 json_value",
        ),
        ("nothing", json, Vec::new(), "400 json_syntax"),
        (
            "another charset",
            "application/json; charset=utf-16",
            b"{}".to_vec(),
            "415 content_type",
        ),
        (
            "a form",
            "application/x-www-form-urlencoded",
            b"scope=db.read".to_vec(),
            "415 content_type",
        ),
        (
            "plain text, as a cross-site form may send it",
            "text/plain",
            br#"{"scope":"db.read"}"#.to_vec(),
            "415 content_type",
        ),
        (
            "two media types",
            "application/json\r\ncontent-type: text/plain",
            b"{}".to_vec(),
            "415 content_type",
        ),
        (
            "gzip",
            "application/json\r\ncontent-encoding: gzip",
            b"\x1f\x8b\x08\0\0\0\0\0".to_vec(),
            "415 content_encoding",
        ),
        (
            "gzip under two names",
            "application/json\r\ncontent-encoding: gzip, gzip",
            b"\x1f\x8b".to_vec(),
            "415 content_encoding",
        ),
    ] {
        let lines = format!("content-type: {kind}\r\n");
        let told = stage
            .ask(&stage.web, "POST", "/v1/elevations", &lines, &body)
            .await;
        rows.push(live(
            "H6",
            &format!("a body: {attack}"),
            expected,
            said(told),
        ));
    }
    for (attack, target, expected) in [
        ("a page of 100,000", "/v1/events?limit=100000", "422 field"),
        (
            "a place beyond every ledger",
            "/v1/events?after=9223372036854775808",
            "422 field",
        ),
        ("a page of -1", "/v1/events?limit=-1", "400 query"),
        (
            "a query of 5 KB",
            &format!("/v1/events?scope={}", "a".repeat(5_000)),
            "400 query_too_long",
        ),
        (
            "a cursor that is none",
            "/v1/events?cursor=1-2-3",
            "422 cursor",
        ),
        (
            "a filter named twice",
            "/v1/events?scope=a&scope=b",
            "400 query",
        ),
    ] {
        let told = said(
            stage
                .json(&stage.operator, "GET", target, &Value::Null)
                .await,
        );
        rows.push(live("H18", attack, expected, told));
    }
    rows
}

/// H9 to H13: what answers carry, and what they repeat.
async fn answers(stage: &Stage) -> Vec<Row> {
    let cross = "origin: null\r\naccess-control-request-method: POST\r\n";
    let get = async |lines: &str| {
        stage
            .ask(&stage.operator, "GET", "/v1/policy", lines, b"")
            .await
            .unwrap()
    };
    let foreign = get(cross).await;
    let preflight = stage
        .ask(&stage.stranger, "OPTIONS", "/v1/svids", cross, b"")
        .await
        .unwrap();
    let cors = |answer: &Answer| {
        let named = |(name, _): &(String, String)| name.starts_with("access-control");
        if answer.headers.iter().any(named) {
            "allowed"
        } else {
            "no CORS header"
        }
        .to_owned()
    };
    let plain = get("").await;
    let header = |name| plain.header(name).unwrap_or("absent");
    let kept = format!(
        "{}, {}",
        header("cache-control"),
        header("x-content-type-options")
    );
    let poisoned = "GET /v1/openapi.json HTTP/1.1\r\nhost: evil.example\r\n\r\n";
    let poisoned = stage
        .raw(&stage.stranger, poisoned.as_bytes())
        .await
        .unwrap();
    let repeated = if poisoned.body.contains("evil") {
        "repeated"
    } else {
        "not repeated"
    };
    let hook = json!({ "scope": "db.read", "webhook": "http://169.254.169.254/latest" });
    let hook = said(
        stage
            .json(&stage.web, "POST", "/v1/elevations", &hook)
            .await,
    );
    vec![
        live(
            "H9",
            "an answer for another site",
            "no CORS header",
            cors(&foreign),
        ),
        live(
            "H9",
            "a question beforehand",
            "no CORS header",
            cors(&preflight),
        ),
        live(
            "H10",
            "the host of the request in an answer",
            "not repeated",
            repeated.to_owned(),
        ),
        live(
            "H11",
            "an address to be called: there is none",
            "422 json_value",
            hook,
        ),
        live(
            "H12",
            "what is kept of an answer",
            "no-store, nosniff",
            kept,
        ),
        live("H13", "a cookie", "absent", header("set-cookie").to_owned()),
    ]
}

/// H14, H15, H17: what strangers learn.
async fn secrets(stage: &Stage) -> Vec<Row> {
    let ask = json!({ "scope": "db.read", "reason": "a customer waits" });
    let opened = stage
        .json(&stage.web, "POST", "/v1/elevations", &ask)
        .await
        .unwrap();
    let opened: Value = serde_json::from_str(&opened.body).unwrap();
    let there = opened["id"].as_str().unwrap();
    let nowhere = "el-00000000000000000000000000000001";
    let mut told = [BTreeSet::new(), BTreeSet::new()];
    for (id, told) in [there, nowhere].into_iter().zip(&mut told) {
        for (verb, target) in [("GET", ""), ("POST", "/cancel"), ("POST", "/revoke")] {
            let target = format!("/v1/elevations/{id}{target}");
            let body = if verb == "GET" {
                Value::Null
            } else {
                json!({ "reason": "r" })
            };
            let answer = stage.json(&stage.db, verb, &target, &body).await.unwrap();
            told.insert((target.replace(id, "ID"), answer.status, answer.code()));
        }
    }
    let same = if told[0] == told[1] {
        "told alike"
    } else {
        "told apart"
    };
    let forged = async |secret: &str| {
        let caller = stage.bearer(secret);
        let answer = stage
            .json(&caller, "GET", "/v1/policy", &Value::Null)
            .await
            .unwrap();
        let mut document: Value = serde_json::from_str(&answer.body).unwrap();
        document.as_object_mut().unwrap().remove("instance");
        document
    };
    let operator = stage.operator.bearer.clone().unwrap();
    let (known, _) = operator.split_once('.').unwrap();
    let unknown = format!("protem-op-{}", "0".repeat(32));
    let [known, unknown] = [known, &unknown].map(|id| format!("{id}.{}", "1".repeat(64)));
    let alike = forged(&known).await == forged(&unknown).await;
    let alike = if alike { "told alike" } else { "told apart" };
    let metrics = stage.observe("/metrics").await.unwrap().body;
    let leak = [WEB, "db.read", &operator, "BEGIN"]
        .iter()
        .any(|word| metrics.contains(word));
    let leak = if leak {
        "named"
    } else {
        "no name, no scope, no secret"
    };
    let api = said(stage.observe("/v1/bundle").await);
    vec![
        live(
            "H14",
            "a secret of a known and of an unknown operator",
            "told alike",
            alike.to_owned(),
        ),
        live("H15", "what metrics name", "no name", leak.to_owned()),
        live(
            "H15",
            "the API at the door of metrics",
            "404 path_unknown",
            api,
        ),
        live(
            "H17",
            "another's elevation and one that is not there",
            "told alike",
            same.to_owned(),
        ),
    ]
}

const DRIP: std::time::Duration = std::time::Duration::from_millis(100);

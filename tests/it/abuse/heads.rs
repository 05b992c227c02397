//! H1 to H3: HTTP as no library would write it, byte by byte, and slower than anybody would.

use tokio::io::AsyncWriteExt as _;

use crate::abuse::stage::{Stage, said};
use crate::abuse::{Row, live};
use crate::doors::wire::Tcp;

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = slow(stage).await;
    for (id, attack, bytes, expected) in heads() {
        let told = said(stage.raw(&stage.stranger, bytes.as_bytes()).await);
        rows.push(live(id, attack, expected, told));
    }
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

const DRIP: std::time::Duration = std::time::Duration::from_millis(100);

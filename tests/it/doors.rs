//! The listener as a stranger meets it: real sockets, real handshakes, a clock moved by hand.
//!
//! What is promised: no resumption of any kind, the end of a connection at its certificate's end,
//! limits on every wait and count, one host, no chunks, an end that comes.

mod floods;
pub(crate) mod frames;
mod house;
pub(crate) mod peer;
pub(crate) mod wire;

use std::time::Duration;

use protem::api::listener::limits::Limits;
use protem::attestation::Bearer;
use protem::id::entropy::Entropy;
use protem::time::{Seconds, Timestamp};
use rustls::HandshakeKind;

use house::{House, noon};
use peer::{Authority, Client};
use wire::{Answer, Http1};

#[tokio::test]
async fn a_peer_is_who_its_certificate_says_or_nobody() {
    let house = House::open().await;
    let nobody = house.stranger().http1().await.unwrap().get("/who").await;
    assert_eq!(nobody.body, "nobody");
    let web = house.workload(Seconds::new(300));
    let answer = web.http1().await.unwrap().get("/who").await;
    assert_eq!(answer.body, "spiffe://td.example/web");
    let answer = web.http2().await.unwrap().get("/who").await.unwrap();
    assert_eq!(answer.body, "spiffe://td.example/web");
}

#[tokio::test]
async fn no_session_resumes_and_no_ticket_is_sent() {
    let house = House::open().await;
    let client = house.workload(Seconds::new(300));
    for _ in 0..3 {
        let mut connection = client.http1().await.unwrap();
        connection.get("/who").await;
        let full = [
            Some(HandshakeKind::Full),
            Some(HandshakeKind::FullWithHelloRetryRequest),
        ];
        assert!(full.contains(&connection.handshake()));
        assert_eq!(connection.tickets(), 0);
    }
}

#[tokio::test]
async fn an_ended_or_foreign_certificate_opens_nothing() {
    let house = House::open().await;
    let web = house.workload(Seconds::new(300));
    house.clock.advance(Seconds::new(301));
    assert!(web.http1().await.unwrap().try_get("/who").await.is_none());
    let foreign = Authority::new().svid("spiffe://td.example/web", noon(), Seconds::new(900));
    let foreign = Client::new(house.address, &house.authority, Some(foreign));
    assert!(
        foreign
            .http1()
            .await
            .unwrap()
            .try_get("/who")
            .await
            .is_none()
    );
    let server_only = house
        .authority
        .server_only("spiffe://td.example/web", noon());
    let server_only = Client::new(house.address, &house.authority, Some(server_only));
    assert!(
        server_only
            .http1()
            .await
            .unwrap()
            .try_get("/who")
            .await
            .is_none()
    );
}

#[tokio::test]
async fn an_open_connection_closes_when_its_certificate_ends() {
    let house = House::open().await;
    let web = house.workload(Seconds::new(300));
    house
        .clock
        .set_wall(Timestamp::from_unix_ms(noon().unix_ms() + 299_800).unwrap());
    let mut http1 = web.http1().await.unwrap();
    let http2 = web.http2().await.unwrap();
    http1.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(http1.rest().await, "", "cut in the middle of a request");
    assert!(http2.get("/never").await.is_none());
}

#[tokio::test]
async fn a_request_after_the_end_is_refused_though_the_timer_has_not_run() {
    let house = House::open().await;
    let web = house.workload(Seconds::new(300));
    let mut http1 = web.http1().await.unwrap();
    let http2 = web.http2().await.unwrap();
    assert_eq!(http1.get("/who").await.status, 200);
    assert_eq!(http2.get("/who").await.unwrap().status, 200);
    house.clock.advance(Seconds::new(300));
    let answer = http1.get("/who").await;
    assert_eq!(
        (answer.status, answer.code()),
        (401, "certificate_ended".into())
    );
    assert_eq!(http1.rest().await, "", "and the connection is over");
    assert_eq!(http2.get("/who").await.unwrap().status, 401);
}

#[tokio::test]
async fn a_request_names_exactly_one_host() {
    let house = House::open().await;
    for (head, code) in [
        ("GET /who HTTP/1.1\r\n\r\n", "host_missing"),
        ("GET /who HTTP/1.0\r\n\r\n", "host_missing"),
        ("GET /who HTTP/1.1\r\nhost:\r\n\r\n", "host_invalid"),
        ("GET /who HTTP/1.1\r\nhost: a b\r\n\r\n", "host_invalid"),
        ("GET /who HTTP/1.1\r\nhost: u@a\r\n\r\n", "host_invalid"),
        (
            "GET /who HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
            "host_twice",
        ),
        (
            "GET http://a/who HTTP/1.1\r\nhost: b\r\n\r\n",
            "host_differs",
        ),
    ] {
        let answer = raw(&house, head).await.unwrap();
        assert_eq!(
            (answer.status, answer.code()),
            (400, code.into()),
            "{head:?}"
        );
    }
    let same = "GET https://a/who HTTP/1.1\r\nhost: A\r\n\r\n";
    assert_eq!(raw(&house, same).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_body_is_read_in_one_way() {
    let house = House::open().await;
    let ask = "POST /ask HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n";
    for (rest, status) in [
        ("content-length: 13\r\n\r\n{\"scope\":\"a\"}", 200),
        (
            "content-length: 13\r\ncontent-length: 13\r\n\r\n{\"scope\":\"a\"}",
            400,
        ),
        (
            "content-length: 13\r\ncontent-length: 14\r\n\r\n{\"scope\":\"a\"}",
            400,
        ),
        ("content-length: +13\r\n\r\n{\"scope\":\"a\"}", 400),
        ("content-length: 0\r\n\r\n", 400),
        ("content-length: 99999\r\n\r\n", 413),
        ("transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (
            "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            "transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 411),
        ("content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", 415),
    ] {
        let answer = raw(&house, &format!("{ask}{rest}")).await.unwrap();
        assert_eq!(answer.status, status, "{rest:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn heads_are_bounded_and_strict() {
    let house = House::open().await;
    let line = |count: usize, text: &str| {
        format!("GET /who HTTP/1.1\r\nhost: a\r\n{}\r\n", text.repeat(count))
    };
    let long = format!("x: {}\r\n", "y".repeat(1_000));
    for (head, status, code) in [
        (line(65, "a: b\r\n"), 431, "headers_too_many"),
        (line(20, &long), 431, "head_too_large"),
        (line(1, " a: b\r\n"), 400, "header_invalid"),
        (line(1, "a : b\r\n"), 400, "header_invalid"),
        (line(1, "a: b\r\n c\r\n"), 400, "header_invalid"),
        (line(1, "a: \0\r\n"), 400, "header_invalid"),
        (line(1, "\u{e9}: b\r\n"), 400, "header_invalid"),
        (line(1, "a: b\n"), 400, "line_end"),
        (line(1, "a: b\r"), 400, "line_end"),
        (line(1, "protem-refused-head: version\r\n"), 400, "version"),
        (
            line(1, "protem-refused-head: none\r\n"),
            400,
            "header_invalid",
        ),
    ] {
        let answer = raw(&house, &head).await.unwrap();
        let document = answer.header("content-type");
        assert_eq!(document, Some("application/problem+json"), "{head:?}");
        assert_eq!(
            (answer.status, answer.code()),
            (status, code.into()),
            "{head:?}"
        );
    }
}

#[tokio::test]
async fn a_request_behind_a_refused_head_is_never_read() {
    let house = House::open().await;
    let mut connection = house.stranger().http1().await.unwrap();
    let first = "GET /who HTTP/1.1\r\nhost: a\r\n\r\n";
    connection
        .send(format!("{first}GET /who HTTP/1.1\nhost: a\r\n\r\n{first}"))
        .await;
    assert_eq!(connection.answer().await.unwrap().body, "nobody");
    assert_eq!(connection.answer().await.unwrap().code(), "line_end");
    assert_eq!(connection.rest().await, "", "and the connection is over");
}

#[tokio::test]
async fn every_refusal_is_a_problem_that_names_its_request() {
    let house = House::open().await;
    let mut connection = house.stranger().http1().await.unwrap();
    for (target, status, code) in [
        ("/nothing", 404, "path_unknown"),
        ("/who/", 404, "path_unknown"),
        ("/WHO", 404, "path_unknown"),
        ("/ask", 405, "method_unknown"),
        ("/list?limit=x", 400, "query"),
        ("/panic", 500, "internal"),
    ] {
        let answer = connection.get(target).await;
        assert_eq!(
            (answer.status, answer.code()),
            (status, code.into()),
            "{target}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let id = answer.header("x-request-id").unwrap();
        assert!(answer.body.contains(&format!("urn:protem:request:{id}")));
        assert!(!answer.body.contains("a bug"));
    }
}

#[tokio::test]
async fn what_is_silent_or_slow_is_closed() {
    let short = Duration::from_millis(30);
    let house = House::with(Limits {
        handshake: short,
        head_read: short,
        idle: short,
        ..Limits::standard()
    })
    .await;
    let mut silent = wire::Tcp::connect(house.address).await;
    assert_eq!(silent.rest().await, "", "no handshake");
    let mut drip = house.stranger().http1().await.unwrap();
    drip.send("GET /who HTTP/1.1\r\nhos").await;
    assert!(!drip.rest().await.contains("200"), "half a head");
    let idle = house.stranger().http2().await.unwrap();
    idle.closed().await;
}

#[tokio::test]
async fn an_idle_connection_is_not_one_that_waits_for_its_answer() {
    let house = House::with(Limits {
        idle: Duration::from_secs(1),
        ..Limits::standard()
    })
    .await;
    let mut busy = house.stranger().http1().await.unwrap();
    busy.send(ACT).await;
    house.acts.begun(1).await;
    let idle = house.stranger().http2().await.unwrap();
    idle.closed().await;
    house.acts.may_end();
    assert_eq!(busy.answer().await.unwrap().body, "done");
}

#[tokio::test]
async fn who_comes_beyond_the_limits_is_told_and_an_operator_is_served() {
    let house = House::with(Limits {
        connections_per_neighbour: 2,
        reserve_per_neighbour: 2,
        ..Limits::standard()
    })
    .await;
    let first = house.stranger().http1().await.unwrap();
    let mut second = house.stranger().http1().await.unwrap();
    let mut crowded = house.stranger().http1().await.unwrap();
    let told = crowded.get("/who").await;
    assert_eq!((told.status, told.code()), (503, "connections".into()));
    assert_eq!(told.header("retry-after"), Some("5"));
    assert_eq!(crowded.rest().await, "", "and the connection is over");
    let mut operator = house.stranger().http1().await.unwrap();
    let secret = Bearer::operator(&Entropy::seeded(2)).reveal();
    operator
        .send(&format!(
            "GET /who HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {}\r\n\r\n",
            *secret
        ))
        .await;
    assert_eq!(operator.answer().await.unwrap().status, 200);
    let _also = house.stranger().http2().await.unwrap();
    let mut beyond = wire::Tcp::connect(house.address).await;
    assert_eq!(
        beyond.rest().await,
        "\u{15}\u{3}\u{3}\0\u{2}\u{2}P",
        "an alert"
    );
    assert_eq!(second.get("/who").await.status, 200);
    drop(first);
    // The door learns of the end in its own time; until then he may hear no or nothing.
    loop {
        if let Some(mut again) = house.stranger().http1().await
            && again
                .try_get("/who")
                .await
                .is_some_and(|answer| answer.status == 200)
        {
            break;
        }
    }
}

#[tokio::test]
async fn an_act_goes_on_when_its_caller_hangs_up() {
    let mut house = House::open().await;
    let mut connection = house.stranger().http1().await.unwrap();
    connection.send(ACT).await;
    house.acts.begun(1).await;
    drop(connection);
    house.acts.may_end();
    house.end().await;
    assert_eq!(*house.acts.done.borrow(), 1);
}

#[tokio::test]
async fn the_end_is_graceful_and_has_an_end() {
    let mut house = House::with(Limits {
        drain: Duration::from_millis(300),
        ..Limits::standard()
    })
    .await;
    let mut idle = house.stranger().http1().await.unwrap();
    assert_eq!(idle.get("/who").await.status, 200);
    let mut stuck = house.stranger().http1().await.unwrap();
    stuck.send("GET /never HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let mut acting = house.stranger().http1().await.unwrap();
    acting.send(ACT).await;
    house.acts.begun(2).await;
    house.stop.cancel();
    assert_eq!(idle.rest().await, "");
    house.acts.may_end();
    assert!(acting.rest().await.contains("done"));
    assert_eq!(stuck.rest().await, "");
    house.end().await;
}

async fn raw(house: &House, request: &str) -> Option<Answer> {
    let mut connection: Http1 = house.stranger().http1().await?;
    connection.send(request).await;
    connection.answer().await
}

const ACT: &str = "POST /act HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";

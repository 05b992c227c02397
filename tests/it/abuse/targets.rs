//! H5, H7, H16: paths and verbs, matched as they stand.

use serde_json::Value;

use crate::abuse::stage::{Stage, said};
use crate::abuse::{Row, live};

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = paths(stage).await;
    rows.extend(verbs(stage).await);
    rows
}

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

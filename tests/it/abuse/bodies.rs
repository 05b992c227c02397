//! H6, H18: bodies and questions that are too large, too deep or ambiguous.

use serde_json::Value;

use crate::abuse::stage::{Stage, said};
use crate::abuse::{Row, live};

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
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
            "an outcome of 257 bytes",
            &format!("/v1/events?outcome={}", "a".repeat(257)),
            "422 field",
        ),
        (
            "a scope that none can be",
            &format!("/v1/events?scope={}", "a".repeat(64)),
            "422 field",
        ),
        (
            "an elevation that none can be",
            "/v1/events?elevation=x",
            "422 field",
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

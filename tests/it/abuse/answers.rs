//! H9 to H15, H17: what answers carry, what they repeat, and what strangers learn from them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::abuse::stage::{Stage, said};
use crate::abuse::{Row, live};
use crate::doors::wire::Answer;
use crate::world::WEB;

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = answers(stage).await;
    rows.extend(secrets(stage).await);
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

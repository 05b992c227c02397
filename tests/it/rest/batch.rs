//! `POST /v1/svids/batch`: every item a walk of its own.

use protem::x509::{KeyKind, PrivateKey, write_request};
use serde_json::{Value, json};

use super::caller::{Answer, Rest};
use crate::world::{DB, WEB};

fn csr() -> String {
    write_request(&PrivateKey::generate(KeyKind::P256).unwrap()).unwrap()
}

/// The code of each item: of its problem, or `svid`.
fn codes(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let items = answer.json["items"].as_array().unwrap();
    let code = |item: &'_ Value| match (item.get("svid"), item.get("problem")) {
        (Some(_), None) => "svid",
        (None, Some(_)) => "problem",
        other => panic!("one of the two: {other:?}"),
    };
    let told = items.iter().map(|item| match code(item) {
        "problem" => item["problem"]["code"].as_str().unwrap(),
        svid => svid,
    });
    told.collect()
}

#[tokio::test]
async fn one_bad_item_never_fails_another() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    let before = rest.events("svid.issued").await;
    let items = json!([
        { "csr": csr() },
        { "csr": "no request" },
        { "csr": csr(), "subject": "not a SPIFFE ID" },
        { "csr": csr(), "subject": DB },
        { "csr": csr(), "scope": "db.read" },
        { "csr": csr(), "ttl": "10m" },
        { "csr": csr(), "ttl": "ten minutes" },
        { "csr": csr() },
    ]);
    let answer = web
        .send("POST", "/v1/svids/batch", &json!({ "items": items }))
        .await;
    let told = [
        "svid",
        "field",
        "field",
        "not_allowed",
        "no_elevation",
        "svid",
        "field",
        "svid",
    ];
    assert_eq!(codes(&answer), told, "{}", answer.text);
    // Each answer is for the key of its own place, and says where it is recorded.
    let minted = answer.json["items"].as_array().unwrap();
    let mut events: Vec<u64> = minted
        .iter()
        .filter_map(|item| item["svid"]["event"].as_u64())
        .collect();
    events.dedup();
    assert_eq!(events.len(), 3);
    assert_eq!(rest.events("svid.issued").await, before + 3);
    let instance = minted[1]["problem"]["instance"].as_str().unwrap();
    assert!(instance.starts_with("urn:protem:request:"), "{instance}");
}

#[tokio::test]
async fn a_batch_is_bounded_and_refused_as_a_whole_when_it_is_none() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    let before = rest.events("svid.issued").await;
    let many = |count: usize| json!({ "items": vec![json!({ "csr": "x" }); count] });
    for (body, status, code) in [
        (many(0), 422, "field"),
        (many(501), 422, "field"),
        (
            json!({ "items": [{ "csr": csr(), "more": 1 }] }),
            422,
            "json_value",
        ),
        (json!({ "items": [{}] }), 422, "json_value"),
        (json!({}), 422, "json_value"),
    ] {
        let answer = web.send("POST", "/v1/svids/batch", &body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (status, code),
            "{}",
            answer.text
        );
    }
    let large = json!({ "items": [{ "csr": "x".repeat(1 << 20) }] });
    let answer = web.send("POST", "/v1/svids/batch", &large).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
    assert_eq!(rest.events("svid.issued").await, before);
    // The largest one: nothing is minted for what is no request, and each is told so.
    let answer = web.send("POST", "/v1/svids/batch", &many(500)).await;
    assert_eq!(codes(&answer).len(), 500);
}

#[tokio::test]
async fn a_batch_without_a_place_is_refused_before_it_is_read() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    let call = rest.world.holder(WEB).await.call;
    let places = [(); 4].map(|()| rest.world.service.begin_batch(&call).unwrap());
    let large = json!({ "items": [{ "csr": "x".repeat(1 << 20) }] });
    let answer = web.send("POST", "/v1/svids/batch", &large).await;
    assert_eq!((answer.status, answer.code()), (429, "too_many_batches"));
    assert_eq!(answer.header("retry-after"), "1");
    drop(places);
    let answer = web.send("POST", "/v1/svids/batch", &large).await;
    assert_eq!(answer.status, 413, "{}", answer.text);
}

#[tokio::test]
async fn a_repeated_batch_finds_the_first_ones_certificates() {
    let rest = Rest::new().await;
    let web = rest
        .workload(WEB)
        .await
        .with_header("idempotency-key", "batch-1");
    let body = json!({ "items": [{ "csr": csr() }, { "csr": csr() }] });
    let first = web.send("POST", "/v1/svids/batch", &body).await;
    let again = web.send("POST", "/v1/svids/batch", &body).await;
    assert_eq!(codes(&first), ["svid", "svid"]);
    assert_eq!(first.json, again.json);
    let other = json!({ "items": [body["items"][1], body["items"][0]] });
    let mixed = web.send("POST", "/v1/svids/batch", &other).await;
    assert_eq!(codes(&mixed), ["idempotency_key"; 2], "{}", mixed.text);
}

#[tokio::test]
async fn a_join_token_pays_for_one_item() {
    let rest = Rest::new().await;
    let token = rest.token(WEB).await;
    let body = json!({ "items": vec![json!({ "csr": csr() }); 8] });
    let answer = token.send("POST", "/v1/svids/batch", &body).await;
    let minted = codes(&answer)
        .iter()
        .filter(|code| **code == "svid")
        .count();
    assert_eq!(minted, 1, "{}", answer.text);
}

//! REST `/v1` from the router inward: real walks, real store, real policy; who is connected is said
//! by the test in place of the handshake (`doors.rs` has the handshakes).

mod batch;
pub(crate) mod caller;
mod uses;

use http::StatusCode;
use protem::api::http::document;
use serde_json::json;

use crate::world::{DB, WEB};
use caller::Rest;

#[tokio::test]
async fn every_operation_is_there_and_asks_who_calls() {
    let rest = Rest::new().await;
    let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let open = operation["security"] == json!([{}]);
            let answer = rest
                .stranger()
                .send(&method.to_uppercase(), path, &json!({}))
                .await;
            let wanted = if open { 200 } else { 401 };
            assert_eq!(answer.status, wanted, "{method} {path}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_join_token_mints_once_and_opens_nothing_else() {
    let rest = Rest::new().await;
    let made = rest
        .operator()
        .send("POST", "/v1/tokens", &json!({ "subject": WEB }))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("cache-control"), "no-store");
    let token = rest.bearer(made.json["token"].as_str().unwrap());
    let other = token.send("GET", "/v1/policy", &json!(null)).await;
    assert_eq!((other.status, other.code()), (403, "token_only_mints"));
    let minted = token.mint(&json!({})).await;
    assert_eq!(minted.status, 201, "{}", minted.text);
    assert_eq!(minted.json["spiffe_id"], WEB);
    assert_eq!(minted.json["subject"], WEB);
    assert!(minted.json.get("scope").is_none());
    let again = token.mint(&json!({})).await;
    assert_eq!((again.status, again.code()), (401, "token"));
    let listed = rest.operator().get("/v1/tokens").await;
    assert_eq!(listed.json["items"][0]["spent"], true);
    assert!(!listed.text.contains(made.json["token"].as_str().unwrap()));
}

#[tokio::test]
async fn a_raw_request_gets_a_chain_without_any_json() {
    let rest = Rest::new().await;
    let token = rest.token(WEB).await;
    let answer = token.mint_raw("/v1/svids?ttl=10m").await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(
        answer.header("content-type"),
        "application/pem-certificate-chain"
    );
    assert!(answer.text.starts_with("-----BEGIN CERTIFICATE-----\n"));
    let scope = rest
        .token(WEB)
        .await
        .mint_raw("/v1/svids?scope=Nope!")
        .await;
    assert_eq!((scope.status, scope.code()), (422, "field"));
}

#[tokio::test]
async fn proofs_that_do_not_hold_are_told_apart_and_open_nothing() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    for (caller, code) in [
        (rest.bearer("nonsense"), "bearer"),
        (
            rest.bearer(&format!("protem-op-{}.{}", "0".repeat(32), "0".repeat(64))),
            "operator",
        ),
        (
            rest.bearer(&format!("protem-jt-{}.{}", "0".repeat(32), "0".repeat(64))),
            "token",
        ),
        (
            rest.bearer("x").with_header("authorization", "Basic eA=="),
            "scheme",
        ),
        (
            web.with_header("authorization", "Bearer protem-op-x"),
            "bearer",
        ),
        (
            web.with_header("authorization", &rest.operator_header()),
            "two_proofs",
        ),
        (rest.foreign(), "certificate"),
    ] {
        let answer = caller.get("/v1/policy").await;
        assert_eq!(
            (answer.status, answer.code()),
            (401, code),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn an_elevation_goes_from_asking_to_its_end() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    let ask = json!({ "scope": "db.read", "reason": "a customer waits" });
    let outlook = web
        .send(
            "POST",
            "/v1/elevations",
            &with(&ask, "dry_run", json!(true)),
        )
        .await;
    assert_eq!(outlook.status, 200, "{}", outlook.text);
    assert_eq!(outlook.json["outlook"]["verdict"]["decision"], "permit");
    let opened = web.send("POST", "/v1/elevations", &ask).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    assert_eq!(opened.json["state"], "approved");
    assert_eq!(opened.json["instances"], "one");
    assert_eq!(opened.json["verdict"]["decision"], "permit");
    assert_eq!(opened.json["verdict"]["version"], 1);
    let minted = web.mint(&json!({ "scope": "db.read" })).await;
    assert_eq!(minted.status, 201, "{}", minted.text);
    assert_eq!(minted.json["spiffe_id"], format!("{WEB}/scope/db.read"));
    let one = format!("/v1/elevations/{}", opened.json["id"].as_str().unwrap());
    let active = web.get(&one).await;
    assert_eq!(active.json["state"], "active");
    assert_eq!(active.json["bound"].as_array().unwrap().len(), 1);
    let stranger = rest.workload(DB).await.get(&one).await;
    assert_ne!(stranger.status, 200);

    let waiting = format!("{one}/wait?timeout=60s&state=active");
    let operator = rest.operator();
    let (waited, revoked) = tokio::join!(web.get(&waiting), async {
        tokio::task::yield_now().await;
        operator
            .send(
                "POST",
                &format!("{one}/revoke"),
                &json!({ "reason": "enough" }),
            )
            .await
    });
    assert_eq!(
        (revoked.status, &revoked.json["ended"]),
        (200, &json!("revoked"))
    );
    assert_eq!(waited.json["state"], "ended");
    let renewed = web.mint(&json!({ "scope": "db.read" })).await;
    assert_eq!((renewed.status, renewed.code()), (409, "no_elevation"));
}

#[tokio::test]
async fn an_elevated_caller_reads_its_own_and_does_nothing_else() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    let ask = json!({ "scope": "db.read", "reason": "a customer waits" });
    let opened = web.send("POST", "/v1/elevations", &ask).await;
    let elevated = web.elevated("db.read").await;
    let one = format!("/v1/elevations/{}", opened.json["id"].as_str().unwrap());
    assert_eq!(elevated.get(&one).await.status, 200);
    for (method, target, body) in [
        ("POST", "/v1/elevations", ask),
        ("POST", "/v1/tokens", json!({ "subject": WEB })),
        ("GET", "/v1/policy", json!(null)),
        ("GET", "/v1/events", json!(null)),
        ("POST", &format!("{one}/cancel"), json!({})),
    ] {
        let answer = elevated.send(method, target, &body).await;
        assert!(
            (400..500).contains(&answer.status),
            "{method} {target}: {}",
            answer.text
        );
    }
    for more in [json!({}), json!({ "scope": "db.read" })] {
        let answer = elevated.mint(&more).await;
        assert!(
            matches!(answer.status, 403 | 404),
            "{more}: {}",
            answer.text
        );
    }
}

#[tokio::test]
async fn a_denial_names_the_elevation_that_records_it() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    let denied = web
        .send("POST", "/v1/elevations", &json!({ "scope": "no.such" }))
        .await;
    assert_eq!(denied.status, 403, "{}", denied.text);
    assert_eq!(denied.json["type"], "urn:protem:problem:denied");
    assert_eq!(denied.json["verdict"]["decision"], "deny");
    let one = format!(
        "/v1/elevations/{}",
        denied.json["elevation"].as_str().unwrap()
    );
    assert_eq!(web.get(&one).await.json["state"], "denied");
}

#[tokio::test]
async fn a_repeated_request_finds_the_first_certificate() {
    let rest = Rest::new().await;
    let web = rest
        .workload(WEB)
        .await
        .with_header("idempotency-key", "k-1");
    let first = web.mint(&json!({})).await;
    let again = web.mint(&json!({})).await;
    assert_eq!(
        first.json["fingerprint"], again.json["fingerprint"],
        "{}",
        again.text
    );
    let other = web.mint(&json!({ "ttl": "5m" })).await;
    assert_eq!((other.status, other.code()), (409, "idempotency_key"));
    let bad = web
        .with_header("idempotency-key", "with space")
        .mint(&json!({}))
        .await;
    assert_eq!((bad.status, bad.code()), (400, "idempotency_key"));
}

#[tokio::test]
async fn entries_are_put_read_paged_and_removed() {
    let rest = Rest::new().await;
    let operator = rest.operator();
    let entry = json!({
        "subject": "spiffe://dev.protem.test/ns/demo/sa/new",
        "obtained_by": ["token"], "owner": "demo", "life": "1h",
    });
    let put = operator.send("PUT", "/v1/entries", &entry).await;
    assert_eq!(put.status, 201, "{}", put.text);
    let again = operator.send("PUT", "/v1/entries", &entry).await;
    assert_eq!((again.status, &again.json["id"]), (200, &put.json["id"]));
    let mut seen = Vec::new();
    let mut target = "/v1/entries?limit=1".to_owned();
    loop {
        let page = operator.get(&target).await;
        seen.extend(
            page.json["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["subject"].clone()),
        );
        let Some(next) = page.json["next"].as_str() else {
            break;
        };
        target = format!("/v1/entries?limit=1&cursor={next}");
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
    let one = format!("/v1/entries/{}", put.json["id"].as_str().unwrap());
    assert_eq!(
        operator.send("DELETE", &one, &json!(null)).await.status,
        204
    );
    assert_eq!(operator.get(&one).await.status, 404);
    let bad = operator
        .send("PUT", "/v1/entries", &with(&entry, "life", json!("2w")))
        .await;
    assert_eq!((bad.status, bad.code()), (422, "field"));
    assert!(bad.json["detail"].as_str().unwrap().starts_with("`life`"));
}

#[tokio::test]
async fn pages_of_events_neither_skip_nor_repeat_while_events_arrive() {
    let rest = Rest::new().await;
    let operator = rest.operator();
    let mut numbers: Vec<u64> = Vec::new();
    let mut target = "/v1/events?limit=2".to_owned();
    loop {
        let page = operator.get(&target).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let items = page.json["items"].as_array().unwrap();
        numbers.extend(items.iter().map(|event| event["number"].as_u64().unwrap()));
        let Some(next) = page.json["next"].as_str() else {
            break;
        };
        target = format!("/v1/events?limit=2&cursor={next}");
    }
    let last = *numbers.last().unwrap();
    assert!(numbers.iter().copied().eq(1..=last), "{numbers:?}");
    let queries = operator
        .get("/v1/events?kind=audit.queried&limit=1000")
        .await;
    let queries = queries.json["items"].as_array().unwrap().len();
    assert!(
        last.div_ceil(2) <= u64::try_from(queries).unwrap(),
        "each page is recorded"
    );
}

#[tokio::test]
async fn a_stream_of_events_ends_with_a_trailer() {
    let rest = Rest::new().await;
    let lines = rest
        .operator()
        .with_header("accept", "application/x-ndjson");
    let all = lines.get("/v1/events").await;
    assert_eq!(all.header("content-type"), "application/x-ndjson");
    let count = all.text.lines().count() - 1;
    let trailer = json!({ "trailer": { "events": count } }).to_string();
    assert_eq!(all.text.lines().last(), Some(trailer.as_str()));
    let some = lines.get("/v1/events?limit=2").await;
    assert!(
        some.text
            .lines()
            .last()
            .unwrap()
            .contains(r#""events":2,"next":"2-"#)
    );
    let one = rest.operator().get("/v1/events/1").await;
    let bytes: serde_json::Value =
        serde_json::from_str(one.json["bytes"].as_str().unwrap()).unwrap();
    assert_eq!(bytes["kind"], one.json["kind"]);
    assert_eq!(rest.operator().get("/v1/events/9999").await.status, 404);
}

#[tokio::test]
async fn the_kill_switch_stops_minting_until_it_is_released() {
    let rest = Rest::new().await;
    let (web, operator) = (rest.workload(WEB).await, rest.operator());
    let none = operator
        .send("POST", "/v1/revocations", &json!({ "reason": "r" }))
        .await;
    assert_eq!((none.status, none.code()), (422, "field"));
    let all = json!({ "all": true, "reason": "somebody is in" });
    let stopped = operator.send("POST", "/v1/revocations", &all).await;
    assert_eq!(stopped.json["minting_stopped"], true, "{}", stopped.text);
    assert_eq!(operator.get("/v1/minting").await.json["stopped"], true);
    let refused = web.mint(&json!({})).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE.as_u16());
    assert_eq!(refused.json["type"], "urn:protem:problem:minting-stopped");
    let reason = json!({ "reason": "it was a drill" });
    assert_eq!(
        operator
            .send("POST", "/v1/minting/release", &reason)
            .await
            .status,
        200
    );
    assert_eq!(web.mint(&json!({})).await.status, 201);
}

#[tokio::test]
async fn policy_is_read_explained_and_replaced_whole_or_not_at_all() {
    let rest = Rest::new().await;
    let operator = rest.operator();
    let policy = operator.get("/v1/policy").await;
    assert_eq!(policy.json["version"], 1, "{}", policy.text);
    let ask = json!({ "subject": WEB, "scope": "db.read", "reason": "r" });
    let explained = operator.send("POST", "/v1/policy/explain", &ask).await;
    assert_eq!(
        explained.json["outlook"]["verdict"]["decision"], "permit",
        "{}",
        explained.text
    );
    let files = operator.get("/v1/policy/files").await.json["files"].clone();
    let broken = with(&files, "elevate.cedar", json!("permit (principal"));
    let refused = operator
        .send("POST", "/v1/policy", &json!({ "files": broken }))
        .await;
    assert_eq!(
        (refused.status, refused.code()),
        (422, "policy_faults"),
        "{}",
        refused.text
    );
    assert!(
        refused.json["detail"]
            .as_str()
            .unwrap()
            .contains("elevate.cedar:1:")
    );
    let same = operator
        .send("POST", "/v1/policy", &json!({ "files": files }))
        .await;
    assert_eq!(
        (same.status, &same.json["version"]),
        (201, &json!(2)),
        "{}",
        same.text
    );
    assert_eq!(same.json["digest"], policy.json["digest"]);
}

#[tokio::test]
async fn the_bundle_is_for_everybody_in_both_forms() {
    let rest = Rest::new().await;
    let stranger = rest.stranger();
    let jwks = stranger.get("/v1/bundle").await;
    assert_eq!(jwks.json["keys"][0]["use"], "x509-svid");
    let pem = stranger.get("/v1/bundle?format=pem").await;
    assert_eq!(pem.header("content-type"), "application/x-pem-file");
    let asked = stranger
        .with_header("accept", "application/x-pem-file")
        .get("/v1/bundle")
        .await;
    assert_eq!(asked.text, pem.text);
    assert_eq!(stranger.get("/v1/bundle?format=der").await.status, 422);
}

/// The same object with one field more, or another value in it.
fn with(object: &serde_json::Value, name: &str, value: serde_json::Value) -> serde_json::Value {
    let mut object = object.clone();
    object[name] = value;
    object
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_ask_again() {
    let rest = Rest::new().await;
    let workload = rest.workload(WEB).await;
    for _ in 0..256 {
        let answer = rest.stranger().get("/v1/policy").await;
        assert_eq!((answer.status, answer.code()), (401, "nobody"));
        let answer = workload.get("/v1/policy").await;
        assert_eq!(answer.status, 403, "{}", answer.text);
    }
    let answer = rest.stranger().get("/v1/policy").await;
    assert_eq!((answer.status, answer.code()), (429, "nobody"));
    assert_eq!(answer.header("retry-after"), "5");
    let answer = workload.get("/v1/policy").await;
    assert_eq!((answer.status, answer.code()), (429, "no_permit"));
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(answer.json["type"], "urn:protem:problem:rate-limited");
    // What is permitted is not held up, for him or from there.
    assert_eq!(workload.mint(&json!({})).await.status, 201);
    assert_eq!(rest.operator().get("/v1/policy").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_full_house_says_so_and_ends_rights_all_the_same() {
    let rest = Rest::new().await;
    let workload = rest.workload(WEB).await;
    let body = json!({ "scope": "db.read", "reason": "a customer waits" });
    let opened = workload.send("POST", "/v1/elevations", &body).await;
    let others = [rest.world.holder(WEB).await, rest.world.holder(DB).await];
    let mut held = Vec::new();
    for number in 0..512 {
        let call = &others[number % 2].call;
        held.push(rest.world.service.admitted(call).await.unwrap());
    }
    for answer in [
        workload.mint(&json!({})).await,
        workload.send("POST", "/v1/elevations", &body).await,
    ] {
        assert_eq!((answer.status, answer.code()), (503, "crowded"));
        assert_eq!(answer.header("retry-after"), "300");
        assert_eq!(answer.json["retry_after_s"], 300);
    }
    let id = opened.json["id"].as_str().unwrap();
    let reason = json!({ "reason": "done" });
    let path = format!("/v1/elevations/{id}/revoke");
    let given_back = workload.send("POST", &path, &reason).await;
    assert_eq!(given_back.status, 200, "{}", given_back.text);
    let everything = json!({ "all": true, "reason": "an incident" });
    let stopped = rest
        .operator()
        .send("POST", "/v1/revocations", &everything)
        .await;
    assert_eq!(stopped.status, 200, "{}", stopped.text);
    assert_eq!(stopped.json["minting_stopped"], true);
    drop(held);
    let after = workload.mint(&json!({})).await;
    assert_eq!((after.status, after.code()), (503, "minting_stopped"));
}

//! `POST /v1/uses`: who may tell, what is counted, what is refused.

use protem::time::{Seconds, Timestamp};
use serde_json::{Value, json};

use super::caller::{Answer, Caller, Rest};
use crate::world::{DB, WEB};

#[tokio::test]
async fn an_agent_tells_and_the_elevation_shows_it() {
    let rest = Rest::new().await;
    let (agent, web) = (agent(&rest).await, rest.workload(WEB).await);
    let one = activate(&web).await;
    let activated = web.get(&one).await.json["activated_at"].clone();
    assert!(web.get(&one).await.json.get("first_used_at").is_none());
    rest.world.clock.advance(Seconds::new(100));
    let now = rest.world.service.now();
    let (at, later) = (now.rfc3339(), now.plus(Seconds::new(9)).rfc3339());
    let by = |id: &str| json!({ "spiffe_id": id });
    let elevated = format!("{WEB}/scope/db.read");
    let lines = json!([
        line(by(&elevated), &ago(now, 9_000), &ago(now, 40)),
        line(named(WEB, "db.read"), &ago(now, 50), &later),
        // A base identity, somebody of elsewhere, one without elevation, no such scope.
        line(by(WEB), &at, &at),
        line(by("spiffe://other.test/web/scope/db.read"), &at, &at),
        line(named(DB, "db.read"), &at, &at),
        line(named(WEB, "no.such"), &at, &at),
        // A scope of somebody else's server.
        line(named(WEB, "payments.refund"), &at, &at),
        // Somebody who is no server of the scope, and one who is another agent's.
        at_server(AGENT, line(named(WEB, "db.read"), &at, &at)),
        at_server(WEB, line(named(WEB, "db.read"), &at, &at)),
    ]);
    let answer = agent
        .send("POST", USES, &json!({ "uses": lines, "cover": cover(now) }))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let told = json!({ "noted": 2, "unknown": 4, "not_served": 3, "covered": 1 });
    assert_eq!(answer.json, told);
    let shown = web.get(&one).await.json;
    assert_eq!(
        shown["first_used_at"], activated,
        "not before it was active"
    );
    assert_eq!(shown["last_used_at"], at, "not after now");
    let metrics = rest.world.metrics();
    assert!(
        metrics.contains("protem_uses_reported_total{outcome=\"noted\"} 2"),
        "{metrics}"
    );
    assert_eq!(rest.events("elevation.used").await, 1);
}

#[tokio::test]
async fn who_is_no_agent_of_anything_in_a_report_is_refused_and_recorded() {
    let rest = Rest::new().await;
    let agent = agent(&rest).await;
    let web = rest.workload(WEB).await;
    activate(&web).await;
    let now = rest.world.service.now();
    let at = now.rfc3339();
    let use_of = |scope| line(named(WEB, scope), &at, &at);
    let elsewhere = json!({ "servers": [WEB], "since": ago(now, 9), "until": now.rfc3339() });
    for (caller, body) in [
        (&rest.operator(), json!({ "uses": [use_of("db.read")] })),
        (&web, json!({ "uses": [use_of("db.read")] })),
        (&web, json!({ "cover": cover(now) })),
        (
            &web.elevated("db.read").await,
            json!({ "cover": cover(now) }),
        ),
        (
            &agent,
            json!({ "uses": [at_server(WEB, use_of("db.read"))] }),
        ),
        (&agent, json!({ "cover": elsewhere })),
        (&agent, json!({})),
    ] {
        let before = rest.events("request.denied").await;
        let answer = caller.send("POST", USES, &body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "not_allowed"),
            "{body}"
        );
        assert_eq!(rest.events("request.denied").await, before + 1, "{body}");
    }
    // Its SVID outlives its entry, its word does not.
    assert_eq!(
        agent
            .send("POST", USES, &json!({ "cover": cover(now) }))
            .await
            .status,
        200
    );
    let entries = rest.operator().get("/v1/entries").await;
    let mut entries = entries.json["items"].as_array().unwrap().iter();
    let own = entries.find(|entry| entry["subject"] == AGENT).unwrap();
    let own = format!("/v1/entries/{}", own["id"].as_str().unwrap());
    let gone = rest.operator().send("DELETE", &own, &Value::Null).await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    let late = agent
        .send("POST", USES, &json!({ "cover": cover(now) }))
        .await;
    assert_eq!((late.status, late.code()), (403, "not_allowed"));
    assert_eq!(rest.events("elevation.used").await, 0);
}

#[tokio::test]
async fn a_report_that_cannot_be_read_changes_nothing() {
    let rest = Rest::new().await;
    let (agent, web) = (agent(&rest).await, rest.workload(WEB).await);
    let one = activate(&web).await;
    let now = rest.world.service.now();
    let at = now.rfc3339();
    let good = || line(named(WEB, "db.read"), &at, &at);
    let bad = |key: &str, value: Value| {
        let mut line = good();
        line[key] = value;
        json!({ "uses": [good(), line] })
    };
    let covering = |key: &str, value: Value| {
        let mut cover = cover(now);
        cover[key] = value;
        json!({ "uses": [good()], "cover": cover })
    };
    let many = |count| json!({ "uses": vec![good(); count] });
    for (body, word) in [
        (bad("server", json!("db")), "uses[1].server"),
        (bad("scope", json!("No")), "uses[1].scope"),
        (bad("subject", json!("web")), "uses[1].subject"),
        (bad("scope", Value::Null), "either `spiffe_id`, or"),
        (
            bad("spiffe_id", json!(format!("{WEB}/scope/db.read"))),
            "either `spiffe_id`, or",
        ),
        (bad("first", json!("now")), "uses[1].first"),
        (bad("last", json!(ago(now, 1))), "uses[1].last"),
        (bad("count", json!(0)), "uses[1].count"),
        (bad("count", json!(-1)), "count"),
        (bad("count", json!(4_294_967_296_u64)), "count"),
        (bad("bytes", json!(1)), "unknown field `bytes`"),
        (covering("servers", json!([])), "cover.servers"),
        (covering("servers", json!([AGENT, "x"])), "cover.servers[1]"),
        (covering("servers", json!(vec![AGENT; 1_001])), "1001 items"),
        (covering("until", json!(ago(now, 9_000))), "cover.until"),
        (covering("since", json!("")), "cover.since"),
        (many(1_001), "1001 items"),
        (json!([good()]), "expected an object"),
    ] {
        let answer = agent.send("POST", USES, &body).await;
        assert_eq!(answer.status, 422, "{word}: {}", answer.text);
        assert!(answer.text.contains(word), "{word}: {}", answer.text);
    }
    let long = json!({ "uses": [], "cover": { "servers": ["x".repeat(600_000)] } });
    assert_eq!(agent.send("POST", USES, &long).await.status, 413);
    assert!(web.get(&one).await.json.get("first_used_at").is_none());
    // As many as there may be, of one: together one act.
    let answer = agent.send("POST", USES, &many(1_000)).await;
    assert_eq!(
        (answer.status, &answer.json["noted"]),
        (200, &json!(1_000)),
        "{}",
        answer.text
    );
    assert_eq!(rest.events("elevation.used").await, 1);
}

/// An agent, and the server of `db.read` whose entry names it.
async fn agent(rest: &Rest) -> Caller {
    let put = async |body: Value| -> Answer {
        let answer = rest.operator().send("PUT", "/v1/entries", &body).await;
        assert!([200, 201].contains(&answer.status), "{}", answer.text);
        answer
    };
    put(json!({
        "subject": AGENT, "obtained_by": ["token"], "owner": "demo", "groups": ["demo"],
        "life": "1h",
    }))
    .await;
    put(json!({ "subject": SERVER, "obtained_by": [AGENT], "owner": "data", "life": "1h" })).await;
    rest.workload(AGENT).await
}

/// Opens an elevation and mints from it; where it is read.
async fn activate(web: &Caller) -> String {
    let ask = json!({ "scope": "db.read", "reason": "a customer waits" });
    let opened = web.send("POST", "/v1/elevations", &ask).await;
    assert_eq!(web.mint(&json!({ "scope": "db.read" })).await.status, 201);
    format!("/v1/elevations/{}", opened.json["id"].as_str().unwrap())
}

fn named(subject: &str, scope: &str) -> Value {
    json!({ "subject": subject, "scope": scope })
}

fn line(whom: Value, first: &str, last: &str) -> Value {
    let mut line = whom;
    line["server"] = SERVER.into();
    line["first"] = first.into();
    line["last"] = last.into();
    line["count"] = 1.into();
    line
}

fn at_server(server: &str, line: Value) -> Value {
    let mut line = line;
    line["server"] = server.into();
    line
}

fn cover(now: Timestamp) -> Value {
    json!({ "servers": [SERVER], "since": ago(now, 300), "until": now.rfc3339() })
}

fn ago(now: Timestamp, seconds: u32) -> String {
    now.minus(Seconds::new(seconds)).rfc3339()
}

const USES: &str = "/v1/uses";
const AGENT: &str = "spiffe://dev.protem.test/agent/one";
const SERVER: &str = "spiffe://dev.protem.test/ns/demo/sa/db";

//! Group C: certificate requests and keys, sent to a running server by a workload that is known.
//!
//! The requests are those of `hostile_csr`, each with its answer; here they go through the door.

use std::collections::BTreeSet;

use protem::api::extract::BODY_BYTES_MAX;
use protem::x509::{CSR_BYTES_MAX, PrivateKey, read_chain};
use serde_json::{Value, json};

use crate::abuse::stage::{Stage, said};
use crate::abuse::{Row, live};
use crate::doors::wire::Answer;
use crate::hostile_csr::{Ask, corpus};
use crate::world::{DB, WEB};

pub(crate) async fn rows(stage: &Stage) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, attack, csr, lenient, _) in corpus() {
        let expected = match lenient {
            _ if BODY_BYTES_MAX < csr.len() => "413 body_too_large".to_owned(),
            accepted if accepted.starts_with("accepted") => accepted.replace("accepted", "minted"),
            code => format!("422 {code}"),
        };
        let observed = minted(send(stage, &csr).await);
        rows.push(live(id, attack, &expected, observed));
    }
    rows.push(own_keys(stage).await);
    rows.push(two_identities(stage).await);
    rows.push(huge(stage).await);
    rows.extend(replays(stage).await);
    rows
}

async fn send(stage: &Stage, csr: &[u8]) -> Option<Answer> {
    let raw = "content-type: application/pkcs10\r\n";
    stage.ask(&stage.web, "POST", "/v1/svids", raw, csr).await
}

/// A mint with what it passed over; the certificate has one name, and it is the caller's.
fn minted(answer: Option<Answer>) -> String {
    match answer {
        Some(answer) if answer.status == 201 => {
            let view: Value = serde_json::from_str(&answer.body).unwrap();
            let chain = read_chain(view["chain"].as_str().unwrap().as_bytes()).unwrap();
            let tbs = chain[0].tbs();
            let names = tbs.alt_names.clone().unwrap();
            assert_eq!(names.uris, [WEB]);
            assert!(names.dns.is_empty() && names.ips.is_empty() && !tbs.is_ca());
            assert_eq!(tbs.subject.text(), "");
            let ignored = view["ignored"].as_array().unwrap().iter();
            let ignored = ignored.map(|one| format!(" {}", one.as_str().unwrap()));
            format!("minted{}", ignored.collect::<String>())
        }
        answer => said(answer),
    }
}

/// C13, with the keys as a thief of the data directory has them.
async fn own_keys(stage: &Stage) -> Row {
    let mut answers = BTreeSet::new();
    let mut keys = 0;
    for file in std::fs::read_dir(stage.data().join("ca")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "key") {
            let key = PrivateKey::from_pkcs8_pem(&std::fs::read_to_string(path).unwrap()).unwrap();
            let csr = protem::x509::write_request(&key).unwrap();
            answers.insert(minted(send(stage, csr.as_bytes()).await));
            keys += 1;
        }
    }
    assert_eq!(keys, 4, "root, base, elevated, service");
    let answers: Vec<_> = answers.into_iter().collect();
    live(
        "C13",
        "the key of each of the authority's issuers",
        "422 key_blocked",
        answers.join(", "),
    )
}

/// C14: the ledger tells of both, with one fingerprint of the key.
async fn two_identities(stage: &Stage) -> Row {
    let csr = Ask::new().der();
    let raw = "content-type: application/pkcs10\r\n";
    let mut keys = BTreeSet::new();
    for caller in [&stage.web, &stage.db] {
        let answer = stage
            .ask(caller, "POST", "/v1/svids", raw, &csr)
            .await
            .unwrap();
        let view: Value = serde_json::from_str(&answer.body).unwrap();
        let event = format!("/v1/events/{}", view["event"]);
        let event = stage
            .json(&stage.operator, "GET", &event, &Value::Null)
            .await
            .unwrap();
        let event: Value = serde_json::from_str(&event.body).unwrap();
        let bytes: Value = serde_json::from_str(event["bytes"].as_str().unwrap()).unwrap();
        let key = find(&bytes, "key_sha256").unwrap();
        keys.insert((view["subject"].to_string(), key));
    }
    let [first, second] = keys.into_iter().collect::<Vec<_>>().try_into().unwrap();
    assert_eq!(first.1, second.1);
    let observed = "minted, one key under two subjects in the ledger".to_owned();
    live(
        "C14",
        "the same key for two workloads",
        "minted, one key under two subjects",
        observed,
    )
}

fn find(value: &Value, name: &str) -> Option<String> {
    match value {
        Value::Object(fields) => fields.iter().find_map(|(key, value)| match value {
            Value::String(text) if key == name => Some(text.clone()),
            value => find(value, name),
        }),
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}

async fn huge(stage: &Stage) -> Row {
    let head = "POST /v1/svids HTTP/1.1\r\nhost: protem.test\r\ncontent-length: 100000000\r\n\
        content-type: application/x-pem-file\r\n\r\n";
    let filled = [head.as_bytes(), &vec![b'A'; CSR_BYTES_MAX]].concat();
    let observed = said(stage.raw(&stage.web, &filled).await);
    live(
        "C17",
        "100 MB of base64, announced",
        "413 body_too_large",
        observed,
    )
}

/// C21 and C22: who asks is who is connected, whatever the request holds.
async fn replays(stage: &Stage) -> Vec<Row> {
    let captured = Ask::new().der();
    let raw = "content-type: application/pkcs10\r\n";
    let name = async |caller, target: &str| {
        let answer = stage.ask(caller, "POST", target, raw, &captured).await;
        match answer {
            Some(answer) if answer.status == 201 => {
                let view: Value = serde_json::from_str(&answer.body).unwrap();
                let subject = view["subject"].as_str().unwrap();
                let name = if subject == WEB { "web" } else { "db" };
                assert!([WEB, DB].contains(&subject));
                format!("minted for {name}")
            }
            answer => said(answer),
        }
    };
    let twice = [
        name(&stage.web, "/v1/svids").await,
        name(&stage.web, "/v1/svids").await,
    ];
    let other = name(&stage.db, "/v1/svids").await;
    let stranger = name(&stage.stranger, "/v1/svids").await;
    let ask = json!({ "scope": "db.read", "reason": "a customer waits" });
    let opened = stage
        .json(&stage.web, "POST", "/v1/elevations", &ask)
        .await
        .unwrap();
    assert_eq!(opened.status, 201);
    let scope = name(&stage.db, "/v1/svids?scope=db.read").await;
    vec![
        live(
            "C21",
            "the same request again",
            "minted for web",
            twice[1].clone(),
        ),
        live("C21", "a captured request, by nobody", "401", stranger),
        live(
            "C22",
            "the request of one workload, sent by another",
            "minted for db",
            other,
        ),
        live(
            "C22",
            "the same, for the other's open elevation",
            "409 no_elevation",
            scope,
        ),
    ]
}

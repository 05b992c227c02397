//! Groups S and T: names, scopes and secrets, as texts that a caller sends.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::abuse::stage::{Caller, Stage, entry, said};
use crate::abuse::{Row, live};
use crate::doors::wire::Answer;
use crate::hostile_names::tables::{scopes, spiffe_ids, trust_domains};
use crate::world::{DB, WEB};

pub(crate) async fn spiffe_id_rows(stage: &Stage) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, attack, text, _) in spiffe_ids() {
        let told = put(stage, &text).await;
        let expected = if text.len() < 65_536 {
            "422 field"
        } else {
            "413 body_too_large"
        };
        rows.push(live(id, &format!("registered: {attack}"), expected, told));
    }
    for (id, attack, name, _) in trust_domains() {
        let told = put(stage, &format!("spiffe://{name}/ns/demo/sa/web")).await;
        rows.push(live(
            id,
            &format!("a trust domain: {attack}"),
            "422 field",
            told,
        ));
    }
    for (id, attack, subject) in [
        (
            "S6",
            "a foreign trust domain",
            "spiffe://evil.example/ns/demo/sa/web",
        ),
        (
            "S6",
            "a sub-domain",
            "spiffe://a.dev.protem.test/ns/demo/sa/web",
        ),
        ("S6", "the parent", "spiffe://protem.test/ns/demo/sa/web"),
        (
            "S6",
            "a look-alike",
            "spiffe://dev.protem.test.evil/ns/demo/sa/web",
        ),
        (
            "S8",
            "a base identity with the path of a scope",
            &format!("{WEB}/scope/db.read"),
        ),
        ("S8", "one with a folded scope", &format!("{WEB}_db.read")),
        ("S8", "the marker of another tool", &format!("{WEB}_jit_db")),
        (
            "S8",
            "the server's own name",
            "spiffe://dev.protem.test/protem/server",
        ),
    ] {
        rows.push(live(id, attack, "422 field", put(stage, subject).await));
    }
    rows
}

async fn put(stage: &Stage, subject: &str) -> String {
    let put = stage
        .json(&stage.operator, "PUT", "/v1/entries", &entry(subject))
        .await;
    said(put)
}

pub(crate) async fn scope_rows(stage: &Stage) -> Vec<Row> {
    let mut rows = Vec::new();
    for (id, attack, text, _) in scopes() {
        let told = said(elevate(stage, &text).await);
        rows.push(live(id, &format!("a scope: {attack}"), "422 field", told));
    }
    for near in [
        "db.reads",
        "db.rea",
        "db.read.all",
        "db",
        "read",
        "a.db.read",
    ] {
        let told = said(elevate(stage, near).await);
        rows.push(live(
            "S10",
            &format!("near a scope that is held: {near}"),
            "403",
            told,
        ));
        let told = mint(stage, &stage.web, &json!({ "scope": near })).await;
        rows.push(live(
            "S10",
            &format!("minting {near}"),
            "409 no_elevation",
            told,
        ));
    }
    let ask = json!({ "scope": "payments.refund", "reason": "mine" });
    let told = said(stage.json(&stage.db, "POST", "/v1/elevations", &ask).await);
    rows.push(live("S14", "the scope of another group", "403", told));
    rows.extend(rights(stage).await);
    rows
}

async fn elevate(stage: &Stage, scope: &str) -> Option<Answer> {
    let ask = json!({ "scope": scope, "reason": "a customer waits" });
    stage.json(&stage.web, "POST", "/v1/elevations", &ask).await
}

async fn mint(stage: &Stage, caller: &Caller, more: &Value) -> String {
    match stage.mint(caller, more).await {
        Ok(_) => "minted".to_owned(),
        Err(refused) => said(refused),
    }
}

/// S15, S16: what an elevated SVID opens at the authority, and what one workload gets of another.
async fn rights(stage: &Stage) -> Vec<Row> {
    let raised = stage.elevated(&stage.web, "db.read").await;
    let ask = json!({ "scope": "db.read", "reason": "again" });
    let again = stage.json(&raised, "POST", "/v1/elevations", &ask).await;
    let of_db = json!({ "subject": DB });
    let of_web = json!({ "subject": WEB, "scope": "db.read" });
    vec![
        live(
            "S15",
            "an elevated SVID asks for elevation",
            "403 forbidden",
            said(again),
        ),
        live(
            "S15",
            "an elevated SVID renews itself",
            "403",
            mint(stage, &raised, &json!({ "scope": "db.read" })).await,
        ),
        live(
            "S15",
            "an elevated SVID fetches its base SVID",
            "403",
            mint(stage, &raised, &json!({})).await,
        ),
        live(
            "S16",
            "an elevated SVID fetches another's",
            "403",
            mint(stage, &raised, &of_db).await,
        ),
        live(
            "S16",
            "a base SVID fetches another's scope",
            "403 not_allowed",
            mint(stage, &stage.db, &of_web).await,
        ),
    ]
}

/// Group T, as far as there are tokens: join tokens and operator credentials.
pub(crate) async fn token_rows(stage: &Stage) -> Vec<Row> {
    let mut rows = vec![race(stage).await];
    let zeros = |kind: &str| format!("protem-{kind}-{}.{}", "0".repeat(32), "0".repeat(64));
    let real = stage.operator.bearer.clone().unwrap();
    let (id, secret) = real.split_once('.').unwrap();
    let flipped = if secret.starts_with('0') { "1" } else { "0" };
    for (row, attack, bearer) in [
        ("T10", "a join token that was never made", zeros("jt")),
        ("T10", "an operator that was never made", zeros("op")),
        (
            "T10",
            "an operator's id with another secret",
            format!("{id}.{flipped}{}", &secret[1..]),
        ),
        (
            "T10",
            "an operator's secret in upper case",
            format!("{id}.{}", secret.to_uppercase()),
        ),
        (
            "T10",
            "an operator's secret cut short",
            format!("{id}.{}", &secret[..40]),
        ),
        (
            "T10",
            "an operator credential said to be a join token",
            real.replace("-op-", "-jt-"),
        ),
        ("T11", "a Kubernetes service account token", JWT.to_owned()),
        ("T1", "a token without signature", NONE.to_owned()),
    ] {
        let caller = stage.bearer(&bearer);
        let told = said(stage.json(&caller, "GET", "/v1/policy", &Value::Null).await);
        rows.push(live(row, attack, "401", told));
    }
    let cookie = "cookie: __Host-session=operator; session=admin\r\n";
    let told = said(
        stage
            .ask(&stage.stranger, "GET", "/v1/policy", cookie, b"")
            .await,
    );
    rows.push(live(
        "T14",
        "a session cookie: there are no sessions",
        "401",
        told,
    ));
    for (row, attack, target) in [
        (
            "T9",
            "an OIDC callback: nobody logs in here",
            "/v1/oidc/callback?code=a&state=b",
        ),
        (
            "T13",
            "an attestation document: nothing attests by document",
            "/v1/attest",
        ),
        ("T15", "group claims: people have no door", "/v1/login"),
    ] {
        let told = said(
            stage
                .json(&stage.stranger, "POST", target, &json!({}))
                .await,
        );
        rows.push(live(row, attack, "404 path_unknown", told));
    }
    rows
}

/// T12: one join token, fifty redeemers at once.
async fn race(stage: &Stage) -> Row {
    let token = stage.token(WEB).await;
    let more = json!({});
    let mints = (0..50).map(|_| mint(stage, &token, &more));
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for word in join_all(mints).await {
        *told.entry(word).or_default() += 1;
    }
    let told: Vec<_> = told
        .iter()
        .map(|(word, count)| format!("{count} x {word}"))
        .collect();
    live(
        "T12",
        "one join token, redeemed by 50 at once",
        "49 x 401 token, 1 x minted",
        told.join(", "),
    )
}

/// `{"alg":"RS256"}.{"iss":"kubernetes/serviceaccount","sub":"system:serviceaccount:demo:web"}.x`
const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.\
    eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50Iiwic3ViIjoic3lz\
    dGVtOnNlcnZpY2VhY2NvdW50OmRlbW86d2ViIn0.eA";
/// `{"alg":"none"}.{"sub":"spiffe://dev.protem.test/ns/demo/sa/web"}.`
const NONE: &str = "eyJhbGciOiJub25lIn0.\
    eyJzdWIiOiJzcGlmZmU6Ly9kZXYucHJvdGVtLnRlc3QvbnMvZGVtby9zYS93ZWIifQ.";

//! The rows T1 to T10 and T13 of the threat list, each a token and the answer that it gets.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use aws_lc_rs::hmac;
use futures_util::poll;
use protem::attestation::{
    Claimant, IssuerTerms, Jws, JwsAlgorithm, KeySet, Neighbour, TokenError, TokenIssuer,
};
use protem::service::ServiceError;
use protem::service::callers::{IssuerDesk, Strangers};
use protem::time::{Clock as _, ManualClock, Seconds, Timestamp};
use serde_json::{Value, json};

use super::signer::{Signer, encode};
use crate::world::try_open;

const ISSUER: &str = "https://ci.example";
const NOW: i64 = 1_800_264_000;

/// An issuer, its key, and a token that is let in.
struct Issuer {
    rules: TokenIssuer,
    signer: Signer,
}

impl Issuer {
    fn new() -> Self {
        let terms = IssuerTerms {
            issuer: ISSUER.to_owned(),
            audience: "protem".to_owned(),
            algorithms: vec![JwsAlgorithm::Es256],
            life_max: Seconds::new(600),
            leeway: Seconds::new(30),
            require: BTreeMap::from([("ref".to_owned(), "refs/heads/main".to_owned())]),
            subject: "/ci/{repository:2}/{environment}".to_owned(),
        };
        Self {
            rules: TokenIssuer::new(terms, "td.example".parse().unwrap()).unwrap(),
            signer: Signer::new("k1"),
        }
    }

    fn admit(&self, token: &str) -> Result<Claimant, TokenError> {
        let keys = KeySet::parse(self.signer.set().to_string().as_bytes()).unwrap();
        let now = Timestamp::from_unix_s(NOW).unwrap();
        self.rules.admit(&Jws::parse(token)?, &keys, now)
    }

    /// What comes of the good token with some claims put in place; null takes one away.
    fn with(&self, changes: &Value) -> Result<Claimant, TokenError> {
        self.admit(&self.signer.token(&claims(changes)))
    }
}

fn claims(changes: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "protem", "sub": "repo:shop/web", "jti": "1",
        "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 290,
        "repository": "shop/web", "environment": "prod", "ref": "refs/heads/main",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let kept = claims.as_object_mut().unwrap();
    kept.retain(|_, value| !value.is_null());
    claims
}

#[test]
fn a_good_token_makes_its_subject() {
    let issuer = Issuer::new();
    let claimant = issuer.with(&json!({})).unwrap();
    let subject = "spiffe://td.example/ci/shop/web/prod";
    assert_eq!(claimant.subject.to_string(), subject);
    assert_eq!(&*claimant.issuer, ISSUER);
    let one = "jti-sha256:6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b";
    assert_eq!(claimant.token, one);
    let nameless = issuer.with(&json!({ "jti": null })).unwrap();
    assert!(nameless.token.starts_with("jws-sha256:"));
    for good in [
        json!({ "aud": ["protem"] }),
        json!({ "azp": "protem" }),
        json!({ "nbf": null }),
        json!({ "exp": NOW - 29, "iat": NOW - 300 }),
        json!({ "iat": NOW + 30, "nbf": NOW + 30 }),
    ] {
        assert!(issuer.with(&good).is_ok(), "{good}");
    }
}

#[test]
fn a_pod_is_named_by_claims_inside_of_claims() {
    let issuer = Issuer::new();
    let terms = IssuerTerms {
        require: [("kubernetes.io>namespace".to_owned(), "shop".to_owned())].into(),
        subject: "/ns/{kubernetes.io>namespace}/sa/{kubernetes.io>serviceaccount>name}".to_owned(),
        ..issuer.rules.terms().clone()
    };
    let issuer = Issuer {
        rules: TokenIssuer::new(terms, "td.example".parse().unwrap()).unwrap(),
        ..issuer
    };
    let pod = |namespace: Value, account: Value| {
        let inner = json!({ "namespace": namespace, "serviceaccount": account });
        issuer.with(&json!({ "kubernetes.io": inner }))
    };
    let web = pod(json!("shop"), json!({ "name": "web", "uid": "1" })).unwrap();
    assert_eq!(
        web.subject.to_string(),
        "spiffe://td.example/ns/shop/sa/web"
    );
    assert!(pod(json!("other"), json!({ "name": "web" })).is_err());
    assert!(pod(json!("shop"), json!("web")).is_err());
    assert!(pod(json!("shop"), json!({})).is_err());
    assert!(issuer.with(&json!({ "kubernetes.io": "shop" })).is_err());
}

#[tokio::test]
async fn few_wait_for_an_issuers_keys_and_nobody_from_where_strangers_flood() {
    let issuer = Issuer::new();
    let token = issuer.signer.token(&claims(&json!({})));
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_s(NOW).unwrap()));
    let opened = try_open(folder.path(), &clock, None).await.unwrap();
    let desk = Arc::new(IssuerDesk::new(issuer.rules));
    let strangers = Strangers {
        issuers: vec![Arc::clone(&desk)],
        ..Strangers::default()
    };
    let service = Arc::try_unwrap(opened.service).unwrap();
    let service = service.with_strangers(strangers);
    let mut waiting = Vec::new();
    for _ in 0..64 {
        let mut one = Box::pin(service.claimant(&token, None));
        assert!(poll!(one.as_mut()).is_pending());
        waiting.push(one);
    }
    let beyond = poll!(pin!(service.claimant(&token, None)));
    assert!(
        matches!(beyond, Poll::Ready(Err(ServiceError::KeysAway))),
        "{beyond:?}"
    );
    waiting.pop();
    let flooded = Some(Neighbour::of("192.0.2.1".parse().unwrap()));
    while service.heed_unproved(flooded, "bearer").is_ok() {}
    let refused = poll!(pin!(service.claimant(&token, flooded)));
    assert!(
        matches!(
            refused,
            Poll::Ready(Err(ServiceError::TooMany {
                code: "keys_away",
                ..
            }))
        ),
        "{refused:?}"
    );
    let keys = KeySet::parse(issuer.signer.set().to_string().as_bytes()).unwrap();
    desk.tried(Some(keys), clock.now());
    for one in waiting {
        one.await.unwrap();
    }
}

#[test]
fn hostile_headers_get_their_answers() {
    let issuer = Issuer::new();
    let body = claims(&json!({})).to_string();
    let attacker = Signer::new("k1");
    let unsigned =
        |header: &str| format!("{}.{}.", encode(header.as_bytes()), encode(body.as_bytes()));
    let good = issuer.signer.token(&claims(&json!({})));
    let other = issuer
        .signer
        .token(&claims(&json!({ "repository": "shop/db" })));
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (good, other) = (parts(&good), parts(&other));
    let hs256 = {
        let signed = format!(
            "{}.{}",
            encode(br#"{"alg":"HS256","kid":"k1"}"#),
            encode(body.as_bytes())
        );
        let key = hmac::Key::new(
            hmac::HMAC_SHA256,
            issuer.signer.set().to_string().as_bytes(),
        );
        format!(
            "{signed}.{}",
            encode(hmac::sign(&key, signed.as_bytes()).as_ref())
        )
    };
    let own_key = json!({ "alg": "ES256", "jwk": attacker.jwk(), "kid": "k1" }).to_string();
    let by_url =
        r#"{"alg":"ES256","kid":"k9","jku":"https://evil.example","x5u":"https://evil.example"}"#;
    for (id, what, token, error) in [
        (
            "T1",
            "alg none",
            unsigned(r#"{"alg":"none"}"#),
            TokenError::Algorithm,
        ),
        (
            "T1",
            "alg None",
            unsigned(r#"{"alg":"None"}"#),
            TokenError::Algorithm,
        ),
        (
            "T1",
            "no signature",
            unsigned(r#"{"alg":"ES256","kid":"k1"}"#),
            TokenError::Signature,
        ),
        ("T1", "no algorithm", unsigned("{}"), TokenError::Algorithm),
        (
            "T2",
            "the public key as a secret",
            hs256,
            TokenError::Algorithm,
        ),
        (
            "T2",
            "an algorithm of other keys",
            issuer.signer.sign(r#"{"alg":"RS256","kid":"k1"}"#, &body),
            TokenError::Algorithm,
        ),
        (
            "T3",
            "a key of its own",
            attacker.sign(&own_key, &body),
            TokenError::Signature,
        ),
        (
            "T3",
            "a place of its own",
            attacker.sign(by_url, &body),
            TokenError::KeyUnknown,
        ),
        (
            "T3",
            "a path as name",
            attacker.sign(r#"{"alg":"ES256","kid":"../../../dev/null"}"#, &body),
            TokenError::KeyUnknown,
        ),
        (
            "T3",
            "SQL as name",
            attacker.sign(r#"{"alg":"ES256","kid":"k1' OR '1'='1"}"#, &body),
            TokenError::KeyUnknown,
        ),
        (
            "T8",
            "a header twice",
            issuer
                .signer
                .sign(r#"{"alg":"ES256","alg":"ES256"}"#, &body),
            TokenError::Header("JSON"),
        ),
        (
            "T13",
            "claims of another token",
            [&*good[0], &other[1], &good[2]].join("."),
            TokenError::Signature,
        ),
        (
            "T13",
            "four parts",
            [&*good[0], &good[1], &good[2], &good[2]].join("."),
            TokenError::Base64,
        ),
    ] {
        assert_eq!(issuer.admit(&token).unwrap_err(), error, "{id} {what}");
    }
}

#[test]
fn hostile_claims_get_their_answers() {
    let issuer = Issuer::new();
    let audience = || TokenError::Audience("protem".to_owned());
    let subject = |name: &str| TokenError::Subject(name.to_owned());
    let whole = "/ci/{repository:2}/{environment}";
    for (id, claims, error) in [
        (
            "T5",
            json!({ "iss": "https://ci.example/" }),
            TokenError::UnknownIssuer,
        ),
        (
            "T5",
            json!({ "iss": "https://CI.example" }),
            TokenError::UnknownIssuer,
        ),
        (
            "T5",
            json!({ "iss": "https://ci.example:443" }),
            TokenError::UnknownIssuer,
        ),
        (
            "T5",
            json!({ "iss": ["https://ci.example"] }),
            TokenError::UnknownIssuer,
        ),
        ("T5", json!({ "iss": null }), TokenError::UnknownIssuer),
        ("T6", json!({ "aud": null }), audience()),
        ("T6", json!({ "aud": "Protem" }), audience()),
        ("T6", json!({ "aud": [] }), audience()),
        ("T6", json!({ "aud": ["protem", "other"] }), audience()),
        ("T6", json!({ "aud": ["protem", "protem"] }), audience()),
        ("T6", json!({ "aud": { "0": "protem" } }), audience()),
        (
            "T7",
            json!({ "exp": NOW - 30, "iat": NOW - 300 }),
            TokenError::Ended,
        ),
        ("T7", json!({ "exp": null }), TokenError::Claim("exp")),
        ("T7", json!({ "iat": null }), TokenError::Claim("iat")),
        ("T7", json!({ "nbf": NOW + 31 }), TokenError::NotYet),
        ("T7", json!({ "iat": NOW + 31 }), TokenError::NotYet),
        ("T7", json!({ "iat": NOW - 900 }), TokenError::LivesTooLong),
        (
            "T7",
            json!({ "exp": (NOW + 290) * 1_000 }),
            TokenError::Claim("exp"),
        ),
        ("T7", json!({ "exp": -1 }), TokenError::Claim("exp")),
        (
            "T8",
            json!({ "exp": (NOW + 290).to_string() }),
            TokenError::Claim("exp"),
        ),
        ("T8", json!({ "exp": 1.5 }), TokenError::Claim("exp")),
        ("T8", json!({ "exp": 1e30 }), TokenError::Claim("exp")),
        ("T8", json!({ "jti": 7 }), TokenError::Claim("jti")),
        (
            "T10",
            json!({ "azp": "other" }),
            TokenError::AuthorizedParty,
        ),
        (
            "T10",
            json!({ "azp": ["protem"] }),
            TokenError::AuthorizedParty,
        ),
        (
            "T15",
            json!({ "ref": null }),
            TokenError::Required("ref".to_owned()),
        ),
        (
            "T15",
            json!({ "ref": "refs/heads/main2" }),
            TokenError::Required("ref".to_owned()),
        ),
        (
            "T15",
            json!({ "ref": ["refs/heads/main"] }),
            TokenError::Required("ref".to_owned()),
        ),
        ("S1", json!({ "environment": "a%2Fb" }), subject(whole)),
        ("S2", json!({ "repository": "../web" }), subject(whole)),
        ("S2", json!({ "repository": "shop/" }), subject(whole)),
        ("S2", json!({ "environment": "" }), subject(whole)),
        (
            "S8",
            json!({ "repository": "shop/scope", "environment": "db.read" }),
            subject(whole),
        ),
        (
            "S8",
            json!({ "environment": "prod_db.read" }),
            subject(whole),
        ),
        ("S17", json!({ "environment": "prod\n" }), subject(whole)),
        // What fills another claim's segments would be a second way to one subject.
        (
            "S",
            json!({ "repository": "shop/web/prod" }),
            subject("repository"),
        ),
        ("S", json!({ "repository": "shop" }), subject("repository")),
        (
            "S",
            json!({ "environment": "prod/x" }),
            subject("environment"),
        ),
        ("S", json!({ "environment": 7 }), subject("environment")),
        ("S", json!({ "environment": null }), subject("environment")),
    ] {
        assert_eq!(issuer.with(&claims).unwrap_err(), error, "{id} {claims}");
    }
}

#[test]
fn claims_that_two_readers_read_differently_are_none() {
    let issuer = Issuer::new();
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let body = claims(&json!({})).to_string();
    let inner = body.strip_prefix('{').unwrap();
    let deep = format!("{}0{}", "[".repeat(200), "]".repeat(200));
    for text in [
        format!(r#"{{"aud":"other",{inner}"#),
        format!(r#"{{"\u0061ud":"protem",{inner}"#),
        format!(r#"{{"x":{{"a":1,"a":2}},{inner}"#),
        format!(r#"{{"x":1e999,{inner}"#),
        format!(r#"{{"x":{deep},{inner}"#),
        format!("{body}{body}"),
        format!("[{body}]"),
        "\"protem\"".to_owned(),
    ] {
        let answer = issuer.admit(&issuer.signer.sign(header, &text));
        assert_eq!(answer.unwrap_err(), TokenError::Claims, "T8 {text}");
    }
    let long = json!({ "x": "x".repeat(8_000) });
    let answer = issuer.with(&long);
    assert_eq!(answer.unwrap_err(), TokenError::TooLong, "T8 too long");
}

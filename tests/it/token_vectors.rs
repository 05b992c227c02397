//! What others know against token verifiers: every JWS, key set and JOSE test of Wycheproof, with
//! all algorithms pinned that protem knows. Counted, so that none is lost.
//!
//! A token that must be refused is refused, but for [`TAKEN_THOUGH`]; a good one is accepted, but
//! for what protem does not take at all: [`NOT_TAKEN`].

use base64ct::{Base64UrlUnpadded, Encoding as _};
use protem::attestation::{Jws, JwsAlgorithm, KeySet};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::tools::repository;

#[derive(Deserialize)]
struct Group {
    about: String,
    key: Value,
    tests: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: u32,
    about: String,
    token: String,
    valid: bool,
}

#[test]
fn signed_tokens_get_their_verdicts() {
    verdicts("jws", [16, 355, 30]);
}

#[test]
fn key_sets_get_their_verdicts() {
    verdicts("jwk", [1, 20, 4]);
}

#[test]
fn tokens_of_all_kinds_get_their_verdicts() {
    verdicts("jose", [2, 76, 4]);
}

/// Compares: accepted, refused as it must be, and good but not taken.
#[track_caller]
fn verdicts(file: &str, wanted: [usize; 3]) {
    let path = repository(&format!("tests/vectors/wycheproof/{file}.json"));
    let groups: Vec<Group> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let (mut counts, mut wrong) = ([0; 3], Vec::new());
    for group in &groups {
        for test in &group.tests {
            let accepted = accepts(&group.key, &test.token);
            match (accepted, test.valid) {
                (true, true) => counts[0] += 1,
                (false, false) => counts[1] += 1,
                (false, true) if is_not_taken(&test.token) => counts[2] += 1,
                (true, false) if TAKEN_THOUGH.contains(&test.about.as_str()) => {}
                (accepted, _) => wrong.push(format!(
                    "{} {} ({}): accepted {accepted}",
                    test.id, test.about, group.about
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(counts, wanted);
}

fn accepts(key: &Value, token: &str) -> bool {
    let set = match key.get("keys") {
        Some(_) => key.clone(),
        None => json!({ "keys": [key] }),
    };
    let Ok(keys) = KeySet::parse(set.to_string().as_bytes()) else {
        return false;
    };
    Jws::parse(token).is_ok_and(|jws| jws.verified(&keys, &JwsAlgorithm::ALL).is_ok())
}

fn is_not_taken(token: &str) -> bool {
    let header = token.split('.').next().unwrap();
    // One test lets a decoder pass over a character that is none of base64url (RFC 7515 2).
    let Ok(header) = Base64UrlUnpadded::decode_vec(header) else {
        return true;
    };
    let header: Value = serde_json::from_slice(&header).unwrap_or_default();
    let algorithm = header["alg"].as_str().unwrap_or_default();
    NOT_TAKEN.iter().any(|(one, _)| *one == algorithm)
}

/// Good tokens that are refused, by their algorithm, each with the reason.
const NOT_TAKEN: &[(&str, &str)] = &[
    ("HS256", "a symmetric key makes every reader a writer"),
    ("HS384", "as HS256"),
    ("HS512", "as HS256"),
    ("RS384", "no issuer needs it beside RS256"),
    ("RS512", "as RS384"),
    ("PS384", "as RS384"),
    ("PS512", "as RS384"),
    ("ES512", "P-521, which no issuer needs beside P-384"),
    ("A256KW", "encrypted, not signed"),
    ("ECDH-ES+A128KW", "encrypted, not signed"),
];

/// Tokens that are accepted although they should be refused. The key of this one was made by a
/// chip that draws weak primes (CVE-2017-15361); an issuer's keys are his to make well.
const TAKEN_THOUGH: &[&str] = &["rejectsKeyWithRocaVulnerability"];

//! Hostile names, each with its one expected answer: SPIFFE IDs and scopes.
//!
//! The rows carry the numbers of the threat list (S1 to S18). Where a row is about grammar it is
//! asked at both ways in: as the name in a request, and as the name in a peer's certificate. Where
//! it is about rights it is asked of the service, which must record its no and mint nothing
//! (`rights`).

mod rights;
pub(crate) mod tables;

use protem::attestation::{AttestationError, PeerNames, Workload};
use protem::identity::{SpiffeId, SpiffeIdError, Subject, TrustDomain};
use protem::scope::{Encoding, Scope, SvidName};
use protem::time::Timestamp;

use crate::hostile_names::tables::{scopes, spiffe_ids, trust_domains};
use crate::world::{DB, WEB};

/// Row, attack, text, the code of the refusal.
pub(crate) type Case = (&'static str, &'static str, String, &'static str);

#[test]
fn every_hostile_spiffe_id_gets_its_answer() {
    for (row, attack, id, code) in spiffe_ids() {
        let shown: String = id.chars().take(90).collect();
        let asked = id.parse::<Subject>().map_err(|error| error.code());
        assert_eq!(asked.as_ref().err(), Some(&code), "{row} {attack}: {shown}");
        // A text that is a SPIFFE ID, only not one of a base identity, may name an elevated peer.
        if id.parse::<SpiffeId>().is_err() {
            assert!(peer(&[&id], &[]).is_err(), "{row} {attack}: {shown}");
        }
    }
}

#[test]
fn every_hostile_trust_domain_gets_its_answer() {
    let name = |text: &str| text.parse::<TrustDomain>().map_err(|error| error.code());
    for (row, attack, text, code) in trust_domains() {
        assert_eq!(name(&text).err(), Some(code), "{row} {attack}");
    }
    let longest = format!("{}.ab", vec!["a".repeat(62); 4].join(".")) + "c";
    assert_eq!(
        name(&longest[..255]).map(|name| name.as_str().len()),
        Ok(255)
    );
    assert_eq!(
        name(&format!("{longest}d")).err(),
        Some("trust_domain_too_long")
    );
}

#[test]
fn every_hostile_scope_gets_its_answer() {
    for (row, attack, text, code) in scopes() {
        let error = text.parse::<Scope>().unwrap_err();
        assert_eq!(error.code(), code, "{row} {attack}: {text:?}");
        // With a slash it is another base identity, which the words of no rule match.
        for id in [format!("{WEB}/scope/{text}"), format!("{WEB}_{text}")] {
            let scope = peer(&[&id], &[]).map(|peer| peer.name.scope().cloned());
            assert!(matches!(scope, Err(_) | Ok(None)), "{row} {attack}: {id}");
        }
        let dns = format!("{text}.scope.dev.protem.test");
        assert!(peer(&[WEB], &[&dns]).is_err(), "{row} {attack}: {dns}");
    }
}

#[test]
fn no_base_identity_looks_elevated_under_any_encoding() {
    for (attack, id, code) in [
        (
            "the path encoding",
            format!("{WEB}/scope/db.read"),
            "reserved_scope",
        ),
        (
            "a scope that is none",
            format!("{WEB}/scope/DB"),
            "reserved_scope",
        ),
        (
            "below the root",
            "spiffe://dev.protem.test/scope/x".into(),
            "reserved_scope",
        ),
        (
            "a scope on a scope",
            format!("{WEB}/scope/a/scope/b"),
            "reserved_scope",
        ),
        (
            "the folded encoding",
            format!("{WEB}_db.read"),
            "reserved_fold",
        ),
        (
            "a lone fold",
            "spiffe://dev.protem.test/_".into(),
            "reserved_fold",
        ),
        (
            "a name of another tool",
            format!("{WEB}_jit_db"),
            "reserved_fold",
        ),
    ] {
        let refused = id.parse::<Subject>().map_err(|error| error.code());
        assert_eq!(refused.err(), Some(code), "S8 {attack}");
    }
    let subject: Subject = WEB.parse().unwrap();
    for encoding in [Encoding::Path, Encoding::Folded, Encoding::Dns] {
        let scope = "db.read".parse().unwrap();
        let name = SvidName::Elevated {
            subject: subject.clone(),
            scope,
            encoding,
        };
        let sans = name.sans().unwrap();
        let base = SvidName::from_sans(&sans.uri, sans.dns.as_deref()).unwrap();
        assert_eq!(base, name, "S8 {encoding}");
        let alone: Result<Subject, SpiffeIdError> = sans.uri.try_into();
        assert_eq!(alone.is_ok(), encoding == Encoding::Dns, "S8 {encoding}");
    }
}

#[test]
fn a_peer_with_more_than_one_name_is_nobody() {
    let elevated = format!("{WEB}/scope/db.read");
    let folded = format!("{WEB}_db.read");
    let dns = "db.read.scope.dev.protem.test";
    for (row, attack, uris, names) in [
        ("S18", "a SPIFFE ID as second URI", vec![DB, WEB], vec![]),
        ("S18", "the same URI twice", vec![WEB, WEB], vec![]),
        (
            "S18",
            "another URI first",
            vec!["https://a.example", WEB],
            vec![],
        ),
        ("S18", "no URI", vec![], vec![]),
        (
            "S12",
            "two scopes in the path",
            vec!["X/scope/db.read/scope/db.write"],
            vec![],
        ),
        (
            "S12",
            "two scopes folded",
            vec!["X_db.read_db.write"],
            vec![],
        ),
        (
            "S12",
            "one in the path, one folded",
            vec!["X_db.read/scope/db.write"],
            vec![],
        ),
        (
            "S12",
            "one in the path, one as DNS name",
            vec![&elevated],
            vec![dns],
        ),
        (
            "S12",
            "one folded, one as DNS name",
            vec![&folded],
            vec![dns],
        ),
        (
            "S12",
            "two DNS names",
            vec![WEB],
            vec![dns, "db.write.scope.dev.protem.test"],
        ),
        (
            "S13",
            "a wildcard DNS name",
            vec![WEB],
            vec!["*.scope.dev.protem.test"],
        ),
        (
            "S13",
            "a foreign DNS name",
            vec![WEB],
            vec!["db.read.scope.evil.example"],
        ),
        (
            "S6",
            "the DNS name of a sub-domain",
            vec![WEB],
            vec!["a.scope.x.dev.protem.test"],
        ),
        (
            "S6",
            "a foreign trust domain",
            vec!["spiffe://evil.example/a"],
            vec![],
        ),
        (
            "S6",
            "a sub-domain",
            vec!["spiffe://a.dev.protem.test/a"],
            vec![],
        ),
        ("S6", "the parent", vec!["spiffe://protem.test/a"], vec![]),
        (
            "S6",
            "a look-alike",
            vec!["spiffe://dev.protem.test.evil/a"],
            vec![],
        ),
        (
            "S6",
            "another look-alike",
            vec!["spiffe://xdev.protem.test/a"],
            vec![],
        ),
    ] {
        let uris: Vec<_> = uris.iter().map(|uri| uri.replace('X', WEB)).collect();
        let uris: Vec<_> = uris.iter().map(String::as_str).collect();
        assert!(peer(&uris, &names).is_err(), "{row} {attack}");
    }
    assert!(peer(&[&elevated], &[]).is_ok() && peer(&[WEB], &[dns]).is_ok());
}

fn peer(uris: &[&str], dns: &[&str]) -> Result<Workload, AttestationError> {
    let names = PeerNames {
        uris: uris.iter().map(ToString::to_string).collect(),
        dns: dns.iter().map(ToString::to_string).collect(),
        issuer_key_id: None,
        key_sha256: [7; 32],
        not_after: Timestamp::from_unix_s(9).unwrap(),
    };
    Workload::from_peer(&names, &"dev.protem.test".parse().unwrap())
}

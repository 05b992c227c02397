//! Hostile requests against the whole service: the minted certificate holds nothing of what was
//! asked, a refusal is recorded with its code, and nothing is minted then.
//!
//! The requests are those of `hostile_csr`; the rows carry the numbers of the threat list.

use protem::audit::{Key, SealedEvent};
use protem::service::ServiceError;
use protem::service::issue::{IssueRequest, Issued};
use protem::x509::{Certificate, ExtendedKeyUse, KeyKind, KeyUse, PrivateKey};

use crate::der::{alt_names, extension, name, oid, seq, tlv};
use crate::hostile_csr::{Ask, corpus};
use crate::world::{DB, Holder, KEYS_FOLDER, WEB, World, base, elevated};

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_request_is_answered_recorded_and_gets_nothing() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    world.elevate(&web, "db.read").await.unwrap();
    let raised = format!("{WEB}/scope/db.read");
    for (row, attack, csr, lenient, _) in corpus() {
        for (scope, uri) in [(None, WEB), (Some("db.read"), raised.as_str())] {
            let before = world.ledger().await.len();
            let scope = scope.map(|scope| scope.parse().unwrap());
            let request = IssueRequest {
                csr: csr.clone(),
                scope,
                ..base(&web.key)
            };
            let answer = world.service.issue(&web.call, request).await;
            let events = world.events().await.split_off(before);
            let told = format!("{row} {attack}");
            match answer {
                Ok(issued) => {
                    let ignored = issued
                        .ignored
                        .iter()
                        .map(|one| format!(" {}", one.as_str()));
                    assert_eq!(
                        format!("accepted{}", ignored.collect::<String>()),
                        lenient,
                        "{told}"
                    );
                    plain(&issued.svid.certificate, uri, &told);
                    minted(&events, &issued, &told);
                }
                Err(ServiceError::Csr(error)) => {
                    assert_eq!(error.code(), lenient, "{told}");
                    denied(&events, lenient, &told);
                }
                Err(error) => panic!("{told}: {error}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_powers_in_a_request_are_ignored() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let admin = format!("{WEB}/scope/admin");
    let certify = tlv(3, &[1, 0x06]);
    let signing = seq(&[oid("1.3.6.1.5.5.7.3.3")]);
    let every_name = seq(&[tlv(0xa0, &seq(&[tlv(0x86, b".evil.example")]))]);
    let authority = seq(&[tlv(1, &[0xff])]);
    let with = |extensions: &[Vec<u8>]| Ask::new().extensions(extensions).der();
    for (row, attack, csr, ignored) in [
        (
            "C1",
            "a URI name",
            with(&[alt_names(true, &[(6, admin.as_bytes())])]),
            "subject_alt_name",
        ),
        (
            "C1",
            "a DNS name",
            with(&[alt_names(false, &[(2, b"ca.example")])]),
            "subject_alt_name",
        ),
        (
            "C7",
            "CA:TRUE",
            with(&[extension("2.5.29.19", true, &authority)]),
            "basic_constraints",
        ),
        (
            "C8",
            "keyCertSign",
            with(&[extension("2.5.29.15", true, &certify)]),
            "key_usage",
        ),
        (
            "C8",
            "code signing",
            with(&[extension("2.5.29.37", false, &signing)]),
            "extended_key_usage",
        ),
        (
            "C8",
            "constraints",
            with(&[extension("2.5.29.30", true, &every_name)]),
            "name_constraints",
        ),
        (
            "C18",
            "a SPIFFE ID as common name",
            Ask::new().subject(name(&admin)).der(),
            "subject",
        ),
        (
            "C18",
            "a scope as common name",
            Ask::new().subject(name("db.write")).der(),
            "subject",
        ),
    ] {
        let before = world.ledger().await.len();
        let request = IssueRequest {
            csr,
            ..base(&web.key)
        };
        let issued = world.service.issue(&web.call, request).await.unwrap();
        let told: Vec<_> = issued
            .ignored
            .iter()
            .map(protem::x509::IgnoredRequest::as_str)
            .collect();
        assert_eq!(told, [ignored], "{row} {attack}");
        plain(&issued.svid.certificate, WEB, attack);
        let events = world.events().await.split_off(before);
        minted(&events, &issued, attack);
        // What was asked for in vain is nowhere in the ledger either.
        assert!(
            events.iter().all(|event| !event.bytes().contains("admin")),
            "{row} {attack}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authoritys_own_keys_are_never_certified() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let mut keys = 0;
    for file in std::fs::read_dir(world.directory.path().join(KEYS_FOLDER)).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "key") {
            let own = std::fs::read_to_string(&path).unwrap();
            let own = PrivateKey::from_pkcs8_pem(&own).unwrap();
            let before = world.ledger().await.len();
            let refused = world
                .service
                .issue(&web.call, base(&own))
                .await
                .unwrap_err();
            let ServiceError::Csr(error) = refused else {
                panic!("C13 {path:?}: {refused}")
            };
            assert_eq!(error.code(), "key_blocked", "C13 {path:?}");
            denied(
                &world.events().await.split_off(before),
                "key_blocked",
                "C13",
            );
            keys += 1;
        }
    }
    assert_eq!(keys, 4, "root, base, elevated, service");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_in_two_identities_shows_in_the_ledger() {
    let world = World::new().await;
    let [web, db] = [world.holder(WEB).await, world.holder(DB).await];
    let before = world.ledger().await.len();
    let shared = PrivateKey::generate(KeyKind::P256).unwrap();
    for (holder, uri) in [(&web, WEB), (&db, DB)] {
        let issued = world
            .service
            .issue(&holder.call, base(&shared))
            .await
            .unwrap();
        plain(&issued.svid.certificate, uri, "C14");
    }
    let events = world.events().await.split_off(before);
    let key = shared.public_key().fingerprint().to_string();
    let with_key = events.iter().filter(|event| {
        event
            .event()
            .field("key_sha256")
            .and_then(|value| value.as_text())
            == Some(key.as_str())
    });
    let subjects: Vec<_> = with_key
        .map(|event| event.event().key(Key::Subject))
        .collect();
    assert_eq!(subjects, [Some(WEB), Some(DB)], "C14");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_nothing_of_who_sends_it() {
    let world = World::new().await;
    let [web, db] = [world.holder(WEB).await, world.holder(DB).await];
    world.elevate(&web, "db.read").await.unwrap();
    let captured = base(&web.key).csr;
    let send = async |holder: &Holder, request: IssueRequest| {
        let before = world.ledger().await.len();
        let request = IssueRequest {
            csr: captured.clone(),
            ..request
        };
        let answer = world.service.issue(&holder.call, request).await;
        (answer, world.events().await.split_off(before))
    };
    for (row, holder, uri) in [("C21", &web, WEB), ("C21", &web, WEB), ("C22", &db, DB)] {
        let (answer, events) = send(holder, base(&web.key)).await;
        let issued = answer.unwrap();
        plain(&issued.svid.certificate, uri, row);
        minted(&events, &issued, row);
        let caller = events[0].event().key(Key::Caller).unwrap();
        assert_eq!(caller, holder.call.caller.to_string(), "{row}");
    }
    // The key that an elevation is bound to is the one of the session, never of the request.
    let (answer, events) = send(&db, elevated(&web.key, "db.read")).await;
    assert!(matches!(answer, Err(ServiceError::NoElevation)), "C22");
    denied(&events, "no_elevation", "C22");
}

/// A leaf as the profile has it, with this name and no other.
#[track_caller]
fn plain(certificate: &Certificate, uri: &str, told: &str) {
    let tbs = certificate.tbs();
    let names = tbs.alt_names.clone().unwrap();
    assert_eq!(names.uris, [uri], "{told}");
    assert!(names.dns.is_empty() && names.ips.is_empty(), "{told}");
    assert_eq!(tbs.subject.text(), "", "{told}");
    assert!(!tbs.is_ca() && tbs.name_constraints.is_none(), "{told}");
    assert_eq!(
        tbs.key_usage.as_deref(),
        Some(&[KeyUse::DigitalSignature][..]),
        "{told}"
    );
    let both = [ExtendedKeyUse::ServerAuth, ExtendedKeyUse::ClientAuth];
    assert_eq!(tbs.extended_key_usage.as_deref(), Some(&both[..]), "{told}");
    let evidence = usize::from(tbs.evidence.is_some());
    assert_eq!(
        tbs.extensions.len(),
        6 + evidence,
        "{told}: {:?}",
        tbs.extensions
    );
}

/// These events are a mint, of exactly this certificate.
#[track_caller]
fn minted(events: &[SealedEvent], issued: &Issued, told: &str) {
    let kinds: Vec<_> = events
        .iter()
        .map(|event| event.event().kind().as_str())
        .collect();
    assert_eq!(kinds, ["svid.intent", "svid.issued"], "{told}");
    let fingerprint = issued.svid.certificate.fingerprint().to_string();
    let told_of = events[1].event().key(Key::Fingerprint);
    assert_eq!(told_of, Some(fingerprint.as_str()), "{told}");
}

/// These events are one refusal with this outcome.
#[track_caller]
fn denied(events: &[SealedEvent], outcome: &str, told: &str) {
    let [event] = events else {
        panic!("{told}: {} events", events.len())
    };
    assert_eq!(event.event().kind().as_str(), "svid.denied", "{told}");
    assert_eq!(event.event().key(Key::Outcome), Some(outcome), "{told}");
    assert!(event.event().key(Key::Subject).is_some(), "{told}");
}

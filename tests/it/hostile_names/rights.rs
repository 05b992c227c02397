//! Names of others, scopes of others, elevations of others: asked of the service, which refuses
//! with one recorded event and mints nothing.

use protem::audit::Key;
use protem::elevation::Instances;
use protem::service::issue::IssueRequest;
use protem::service::{Call, ServiceError};
use protem::x509::{KeyKind, PrivateKey};

use crate::world::{DB, Holder, WEB, World, asked, base, call_of, elevated, terms};

#[tokio::test(flavor = "multi_thread")]
async fn names_of_others_are_not_registered() {
    let world = World::new().await;
    let before = world.ledger().await.len();
    for (row, attack, subject) in [
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
            "the server itself",
            "spiffe://dev.protem.test/protem/server",
        ),
        (
            "S8",
            "the authority's own path",
            "spiffe://dev.protem.test/protem",
        ),
        ("S8", "below it", "spiffe://dev.protem.test/protem/a/b"),
    ] {
        let refused = world
            .service
            .put_entry(&world.operator, terms(subject))
            .await;
        assert_eq!(word(&refused.unwrap_err()), "Field", "{row} {attack}");
        let call = world.holder(WEB).await.call;
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let named = IssueRequest {
            subject: Some(subject.parse().unwrap()),
            ..base(&key)
        };
        let told = refused_issue(&world, &call, named, "not_an_obtainer").await;
        assert_eq!(told, "NotAllowed", "{row} {attack}");
    }
    let ledger = world.ledger().await.split_off(before);
    assert!(!ledger.contains(&"entry.put".to_owned()), "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_is_the_whole_of_its_name() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    world.elevate(&web, "db.read").await.unwrap();
    for near in [
        "db.reads",
        "db.rea",
        "db.read.all",
        "db",
        "read",
        "db-read",
        "a.db.read",
    ] {
        let request = elevated(&web.key, near);
        let told = refused_issue(&world, &web.call, request, "no_elevation").await;
        assert_eq!(told, "NoElevation", "S10 {near}");
        let ServiceError::Refused(opened) = world.elevate(&web, near).await.unwrap_err() else {
            panic!("S10 {near}")
        };
        assert_eq!(opened.code, "scope_unknown", "S10 {near}");
        let last = world.events().await.pop().unwrap();
        assert_eq!(
            last.event().kind().as_str(),
            "elevation.denied",
            "S10 {near}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_of_others_is_denied_and_recorded() {
    let world = World::new().await;
    let db = world.holder(DB).await;
    let ServiceError::Refused(refusal) = world.elevate(&db, "payments.refund").await.unwrap_err()
    else {
        panic!("S14 is permitted")
    };
    assert_eq!(refusal.code, "no_permit");
    let last = world.events().await.pop().unwrap();
    assert_eq!(last.event().kind().as_str(), "elevation.denied");
    assert_eq!(
        last.event().field("refusal").unwrap().as_text(),
        Some("no_permit")
    );
    assert_eq!(
        word(&world.mint(&db, "payments.refund").await.unwrap_err()),
        "NoElevation"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elevated_svid_asks_for_nothing() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let opened = world.elevate(&web, "db.read").await.unwrap();
    let issued = world.mint(&web, "db.read").await.unwrap();
    let raised = call_of(&issued.svid.certificate);
    let key = &web.key;
    let other = IssueRequest {
        subject: Some(DB.parse().unwrap()),
        ..base(key)
    };
    let by_id = IssueRequest {
        elevation: Some(opened.elevation.id),
        ..base(key)
    };
    for (row, attack, request, code) in [
        ("S15", "its own base SVID", base(key), "not_an_obtainer"),
        ("S15", "itself again", elevated(key, "db.read"), "forbidden"),
        ("S15", "itself again, by elevation", by_id, "forbidden"),
        ("S16", "the SVID of another", other, "not_an_obtainer"),
    ] {
        let told = refused_issue(&world, &raised, request, code).await;
        assert!(
            ["Refused", "NotAllowed"].contains(&told.as_str()),
            "{row} {attack}: {told}"
        );
    }
    for scope in ["db.read", "db.write"] {
        let refused = world
            .service
            .elevate(&raised, asked(scope))
            .await
            .unwrap_err();
        let ServiceError::Refused(refusal) = refused else {
            panic!("S15 {scope}: {refused}")
        };
        assert_eq!(refusal.code, "forbidden", "S15 {scope}");
        assert!(
            refusal.text.contains("base SVID"),
            "S15 {scope}: {}",
            refusal.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_mints_from_the_elevation_of_another() {
    let world = World::new().await;
    let [web, db] = [world.holder(WEB).await, world.holder(DB).await];
    let mut open_to_all = asked("db.read");
    open_to_all.instances = Some(Instances::All);
    let opened = world.service.elevate(&web.call, open_to_all).await.unwrap();
    let of_web = Some(opened.elevation.id);
    let web_named = Some(WEB.parse().unwrap());
    let key = &db.key;
    let by_id = || IssueRequest {
        elevation: of_web,
        ..base(key)
    };
    let named = || IssueRequest {
        subject: web_named.clone(),
        ..elevated(key, "db.read")
    };
    let both = || IssueRequest {
        subject: web_named.clone(),
        ..by_id()
    };
    let token = world.token(DB).await;
    let (db, operator) = (&db.call, &world.operator);
    let own = elevated(key, "db.read");
    for (attack, call, request, outcome) in [
        ("the scope, as oneself", db, own, "no_elevation"),
        ("the elevation, as oneself", db, by_id(), "no_elevation"),
        ("the scope, as the other", db, named(), "not_an_obtainer"),
        ("the elevation, as the other", db, both(), "forbidden"),
        (
            "as the other, with a token",
            &token,
            named(),
            "not_an_obtainer",
        ),
        (
            "as the other, by an operator",
            operator,
            named(),
            "not_an_obtainer",
        ),
        (
            "his elevation, by an operator",
            operator,
            both(),
            "not_an_obtainer",
        ),
    ] {
        let told = refused_issue(&world, call, request, outcome).await;
        assert!(!told.is_empty(), "S16 {attack}");
    }
    world.mint(&web, "db.read").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_certificate_has_one_uri_and_no_wildcard() {
    let world = World::new().await;
    let web: Holder = world.holder(WEB).await;
    world.elevate(&web, "db.read").await.unwrap();
    let raised = world.mint(&web, "db.read").await.unwrap();
    for issued in [&web.issued, &raised] {
        let names = issued.svid.certificate.tbs().alt_names.clone().unwrap();
        assert_eq!(names.uris.len(), 1, "S18");
        assert!(
            !names.uris.concat().contains('*') && names.dns.is_empty(),
            "S13"
        );
    }
}

/// Asks, and checks that the refusal is the ledger's newest event, with this outcome.
async fn refused_issue(world: &World, call: &Call, asked: IssueRequest, outcome: &str) -> String {
    let before = world.ledger().await.len();
    let error = world.service.issue(call, asked).await.unwrap_err();
    let events = world.events().await.split_off(before);
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.event().kind().as_str(),
                event.event().key(Key::Outcome),
            )
        })
        .collect();
    assert_eq!(told, [("svid.denied", Some(outcome))], "{error}");
    word(&error)
}

/// The bare name of a refusal.
fn word(error: &ServiceError) -> String {
    let told = format!("{error:?}");
    told.split(|c: char| !c.is_alphanumeric())
        .next()
        .unwrap()
        .to_owned()
}

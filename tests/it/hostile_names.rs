//! Hostile names, each with its one expected answer: SPIFFE IDs and scopes.
//!
//! The rows carry the numbers of the threat list (S1 to S18). Where a row is about grammar it is
//! asked at both ways in: as the name in a request, and as the name in a peer's certificate. Where
//! it is about rights it is asked of the service, which must record its no and mint nothing.

use protem::attestation::{PeerNames, Workload};
use protem::identity::{SpiffeId, SpiffeIdError, Subject, TrustDomain};
use protem::scope::{Encoding, Scope, SvidName};
use protem::service::issue::IssueRequest;
use protem::service::{Call, ServiceError};
use protem::time::Timestamp;
use protem::x509::{KeyKind, PrivateKey};

use crate::world::{DB, Holder, WEB, World, asked, base, call_of, elevated, terms};

/// Row, attack, text, the code of the refusal.
type Case = (&'static str, &'static str, String, &'static str);

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
    for (row, attack, text, code) in [
        ("S7", "an IPv4 address", "10.0.0.1", "ip_address"),
        ("S7", "an IPv6 address", "[::1]", "trust_domain_character"),
        ("S7", "an IPv6 address without brackets", "::1", "port"),
        (
            "S7",
            "an underscore",
            "prod_1.example",
            "trust_domain_character",
        ),
        ("S3", "upper case", "Prod.example", "trust_domain_character"),
        ("S13", "a wildcard", "*.example", "trust_domain_character"),
        ("S5", "a port", "prod.example:443", "port"),
        (
            "S5",
            "user information",
            "root@prod.example",
            "user_information",
        ),
        (
            "S17",
            "a newline",
            "prod.example\n",
            "trust_domain_character",
        ),
        (
            "S2",
            "an empty label",
            "prod..example",
            "trust_domain_label",
        ),
        ("S2", "a final dot", "prod.example.", "trust_domain_label"),
        (
            "S1",
            "percent encoding",
            "prod%2eexample",
            "percent_encoding",
        ),
        ("S2", "nothing", "", "empty_trust_domain"),
    ] {
        assert_eq!(name(text).err(), Some(code), "{row} {attack}");
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
    open_to_all.instances = Some(protem::elevation::Instances::All);
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
        ("the scope, as the other", db, named(), "forbidden"),
        ("the elevation, as the other", db, both(), "forbidden"),
        ("as the other, with a token", &token, named(), "forbidden"),
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
                event.event().key(protem::audit::Key::Outcome),
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

fn peer(uris: &[&str], dns: &[&str]) -> Result<Workload, protem::attestation::AttestationError> {
    let names = PeerNames {
        uris: uris.iter().map(ToString::to_string).collect(),
        dns: dns.iter().map(ToString::to_string).collect(),
        key_sha256: [7; 32],
        not_after: Timestamp::from_unix_s(9).unwrap(),
    };
    Workload::from_peer(&names, &"dev.protem.test".parse().unwrap())
}

fn spiffe_ids() -> Vec<Case> {
    let td = "spiffe://dev.protem.test";
    let at = |path: &str| format!("{td}{path}");
    vec![
        ("S1", "an encoded slash", at("/a%2Fb"), "percent_encoding"),
        ("S1", "an encoded NUL", at("/a%00"), "percent_encoding"),
        ("S1", "an encoded letter", at("/%61"), "percent_encoding"),
        (
            "S1",
            "an encoded trust domain",
            "spiffe://%61.example/a".into(),
            "percent_encoding",
        ),
        ("S2", "one dot", at("/a/./b"), "relative_segment"),
        ("S2", "two dots", at("/a/../b"), "relative_segment"),
        ("S2", "three dots", at("/a/.../b"), "relative_segment"),
        ("S2", "two dots at the end", at("/a/.."), "relative_segment"),
        ("S2", "an empty segment", at("/a//b"), "empty_segment"),
        ("S2", "an empty first segment", at("//a"), "empty_segment"),
        ("S2", "a final slash", at("/a/"), "trailing_slash"),
        ("S2", "a lone slash", at("/"), "trailing_slash"),
        ("S2", "a backslash", at("/a\\b"), "path_character"),
        (
            "S3",
            "an upper-case scheme",
            "SPIFFE://dev.protem.test/a".into(),
            "scheme",
        ),
        (
            "S3",
            "a mixed scheme",
            "Spiffe://dev.protem.test/a".into(),
            "scheme",
        ),
        (
            "S3",
            "another scheme",
            "https://dev.protem.test/a".into(),
            "scheme",
        ),
        (
            "S3",
            "an upper-case name",
            "spiffe://Dev.protem.test/a".into(),
            "trust_domain_character",
        ),
        (
            "S4",
            "2,049 bytes",
            at(&format!("/{}", "a".repeat(2_024))),
            "too_long",
        ),
        (
            "S4",
            "a megabyte",
            at(&format!("/{}", "a".repeat(1 << 20))),
            "too_long",
        ),
        (
            "S4",
            "a name of 256",
            format!("spiffe://{}/a", "a".repeat(256)),
            "trust_domain_too_long",
        ),
        (
            "S5",
            "a port",
            "spiffe://dev.protem.test:443/a".into(),
            "port",
        ),
        (
            "S5",
            "a user",
            "spiffe://root@dev.protem.test/a".into(),
            "user_information",
        ),
        (
            "S5",
            "a password",
            "spiffe://a:b@dev.protem.test/a".into(),
            "port",
        ),
        ("S5", "a query", at("/a?b=c"), "query"),
        (
            "S5",
            "a query before the path",
            "spiffe://dev.protem.test?b/a".into(),
            "query",
        ),
        ("S5", "a fragment", at("/a#b"), "fragment"),
        (
            "S7",
            "an IPv4 address",
            "spiffe://127.0.0.1/a".into(),
            "ip_address",
        ),
        (
            "S7",
            "an IPv6 address",
            "spiffe://[::1]/a".into(),
            "trust_domain_character",
        ),
        (
            "S7",
            "an underscore",
            "spiffe://dev_1.test/a".into(),
            "trust_domain_character",
        ),
        ("S11", "a Cyrillic letter", at("/\u{430}"), "path_character"),
        (
            "S11",
            "one in the name",
            "spiffe://d\u{435}v.test/a".into(),
            "trust_domain_character",
        ),
        (
            "S11",
            "a zero-width joiner",
            at("/a\u{200d}b"),
            "path_character",
        ),
        ("S11", "right to left", at("/a\u{202e}b"), "path_character"),
        ("S17", "a final newline", at("/a\n"), "path_character"),
        ("S17", "a final space", at("/a "), "path_character"),
        ("S17", "a leading space", format!(" {td}/a"), "scheme"),
        ("S17", "a tab", at("/a\tb"), "path_character"),
        ("S17", "a NUL", at("/a\0b"), "path_character"),
        (
            "S17",
            "a newline after the name",
            "spiffe://td\n/a".into(),
            "trust_domain_character",
        ),
        (
            "S18",
            "two IDs in one",
            at("/a,spiffe://dev.protem.test/b"),
            "path_character",
        ),
        ("S8", "no path", td.into(), "no_path"),
        ("S2", "nothing", String::new(), "empty"),
    ]
}

fn scopes() -> Vec<Case> {
    vec![
        ("S9", "a slash", "db/read".into(), "character"),
        ("S9", "a star", "db.*".into(), "character"),
        ("S9", "a comma", "db.read,db.write".into(), "character"),
        ("S9", "a space", "db read".into(), "character"),
        ("S9", "a control", "db\u{7}".into(), "character"),
        ("S9", "a colon", "db:read".into(), "character"),
        ("S9", "64 characters", "a".repeat(64), "too_long"),
        ("S9", "200 characters", "a".repeat(200), "too_long"),
        ("S9", "nothing", String::new(), "empty"),
        ("S9", "a dot", ".".into(), "label"),
        ("S9", "two dots", "..".into(), "label"),
        ("S9", "an empty part", "db..read".into(), "label"),
        ("S9", "a hyphen in front", "-db".into(), "label"),
        (
            "S9",
            "what Istio appends",
            "db-cacert".into(),
            "reserved_end",
        ),
        ("S10", "a pattern", "db.read.*".into(), "character"),
        ("S10", "an expression", "^db$".into(), "character"),
        ("S11", "upper case", "DB.read".into(), "character"),
        (
            "S11",
            "one upper-case letter",
            "db.Read".into(),
            "character",
        ),
        (
            "S11",
            "a Cyrillic letter",
            "d\u{432}.read".into(),
            "character",
        ),
        (
            "S11",
            "a full-width letter",
            "\u{ff44}b".into(),
            "character",
        ),
        ("S11", "a dotless i", "wr\u{131}te".into(), "character"),
        ("S12", "two, folded", "db.read_db.write".into(), "character"),
        (
            "S12",
            "two, by path",
            "db.read/scope/db.write".into(),
            "character",
        ),
        (
            "S12",
            "two, by plus",
            "db.read+db.write".into(),
            "character",
        ),
        ("S13", "a wildcard", "*".into(), "character"),
        ("S17", "a final newline", "db.read\n".into(), "character"),
        ("S17", "a final space", "db.read ".into(), "character"),
        ("S1", "percent encoding", "db%2eread".into(), "character"),
    ]
}

//! The walk, as a caller sees it.

use protem::elevation::{End, State};
use protem::policy::BundleSource;
use protem::service::ServiceError;
use protem::time::Seconds;
use protem::x509::{KeyKind, PrivateKey};

use crate::world::{DB, WEB, World, asked, base, changed_policy, elevated};

#[tokio::test(flavor = "multi_thread")]
async fn a_base_svid_names_its_subject_and_ends_with_its_life() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    let tbs = holder.issued.svid.certificate.tbs();
    assert_eq!(tbs.alt_names.as_ref().unwrap().uris, [WEB]);
    let now = world.service.now();
    assert_eq!(tbs.not_after, now.plus(Seconds::new(3_599)));
    assert_eq!(tbs.not_before, now.minus(Seconds::new(30)));
    assert!(tbs.evidence.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elevated_svid_ends_with_its_elevation_and_tells_its_evidence() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    let opened = world.elevate(&holder, "db.read").await.unwrap();
    let issued = world.mint(&holder, "db.read").await.unwrap();
    let tbs = issued.svid.certificate.tbs();
    assert_eq!(
        tbs.alt_names.as_ref().unwrap().uris,
        [format!("{WEB}/scope/db.read")]
    );
    assert_eq!(tbs.not_after, world.service.now().plus(Seconds::new(59)));
    let evidence = tbs.evidence.unwrap();
    assert_eq!(&evidence.elevation, opened.elevation.id.bytes());
    assert_eq!(
        evidence.activation_index,
        issued.svid.intent.number().index()
    );
    let again = world.mint(&holder, "db.read").await.unwrap();
    let renewed = again.svid.certificate.tbs().evidence.unwrap();
    assert_eq!(renewed.activation_index, evidence.activation_index);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_svid_outlives_its_elevation() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    let mut request = asked("db.read");
    request.duration = Some(Seconds::new(90));
    world.service.elevate(&holder.call, request).await.unwrap();
    let start = world.service.now();
    world.mint(&holder, "db.read").await.unwrap();
    world.clock.advance(Seconds::new(60));
    let last = world.mint(&holder, "db.read").await.unwrap();
    assert_eq!(
        last.svid.certificate.tbs().not_after,
        start.plus(Seconds::new(89))
    );
    world.clock.advance(Seconds::new(30));
    assert!(matches!(
        world.mint(&holder, "db.read").await,
        Err(ServiceError::Move(_))
    ));
    world.service.sweep().await.unwrap();
    assert!(matches!(
        world.mint(&holder, "db.read").await,
        Err(ServiceError::NoElevation)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_elevation_cannot_renew() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    let opened = world.elevate(&holder, "db.read").await.unwrap();
    world.mint(&holder, "db.read").await.unwrap();
    let id = opened.elevation.id;
    let row = world
        .service
        .revoke(&world.operator, id, "it is over")
        .await
        .unwrap();
    assert!(matches!(
        row.elevation.state,
        State::Ended {
            how: End::Revoked,
            ..
        }
    ));
    assert!(matches!(
        world.mint(&holder, "db.read").await,
        Err(ServiceError::NoElevation)
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_people_says_whom_it_waits_for() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    let opened = world.elevate(&holder, "db.write").await.unwrap();
    let State::Pending { waits_for, .. } = opened.elevation.state else {
        panic!("pending")
    };
    assert_eq!(waits_for.first().unwrap().route, ["sre:1"]);
    assert!(matches!(
        world.mint(&holder, "db.write").await,
        Err(ServiceError::Refused(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_judged_anew_when_a_policy_comes_into_force() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    world.service.judge_pending().await.unwrap();
    let mut opened = Vec::new();
    for _ in 0..70 {
        opened.push(world.elevate(&holder, "db.write").await.unwrap());
    }
    assert_eq!(world.service.judge_pending().await.unwrap(), 0, "none owed");
    let other = changed_policy("elevate.cedar", "08:00 to 18:00", "8 to 18");
    let activate = async |policy: &BundleSource| {
        let service = &world.service;
        let activated = service.activate_policy(&world.operator, policy).await;
        activated.unwrap();
        let mut approved = 0;
        // More than one page, and each tells that there is another.
        for _ in 0..2 {
            service.pending_is_due().await;
            approved += service.judge_pending().await.unwrap();
        }
        approved
    };
    assert_eq!(activate(&other).await, 0, "still an approval is missing");
    let without = changed_policy(
        "elevate.cedar",
        "resource == Scope::\"db.read\"",
        "resource == Scope::\"db.write\"",
    );
    // Its own tests say that writing waits.
    let files = without
        .files()
        .filter(|(name, _)| !name.starts_with("tests/"));
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    let without = BundleSource::collect(files).unwrap();
    let mut moved = world
        .service
        .begin_wait(&holder.call, opened[69].elevation.id)
        .unwrap();
    assert_eq!(activate(&without).await, 70);
    moved.moved().await;
    let id = opened[0].elevation.id;
    let row = world.service.elevation(&holder.call, id).await.unwrap();
    assert!(matches!(row.elevation.state, State::Approved { .. }));
    let events = world.events().await;
    let event = events.last().unwrap().event();
    assert_eq!(event.kind().as_str(), "elevation.approved");
    assert!(event.key(protem::audit::Key::Policy).is_some());
    world.mint(&holder, "db.write").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_elevation_is_recorded_and_told() {
    let world = World::new().await;
    let holder = world.holder(DB).await;
    let refused = world.elevate(&holder, "payments.refund").await.unwrap_err();
    let ServiceError::Refused(refusal) = refused else {
        panic!("{refused}")
    };
    let row = world
        .service
        .elevation(&holder.call, refusal.elevation.unwrap())
        .await
        .unwrap();
    assert!(matches!(row.elevation.state, State::Denied { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elevated_svid_opens_nothing_at_the_authority() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    world.elevate(&holder, "db.read").await.unwrap();
    let issued = world.mint(&holder, "db.read").await.unwrap();
    let raised = crate::world::call_of(&issued.svid.certificate);
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    assert!(world.service.issue(&raised, base(&key)).await.is_err());
    assert!(
        world
            .service
            .issue(&raised, elevated(&key, "db.read"))
            .await
            .is_err()
    );
    assert!(
        world
            .service
            .elevate(&raised, asked("db.read"))
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_is_spent_once() {
    let world = World::new().await;
    let call = world.token(WEB).await;
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    world.service.issue(&call, base(&key)).await.unwrap();
    assert!(world.service.issue(&call, base(&key)).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_gets_the_same_certificate_while_it_lives() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    let request = || {
        let mut request = base(&holder.key);
        request.idempotency_key = Some("once".to_owned());
        request
    };
    let first = world.service.issue(&holder.call, request()).await.unwrap();
    let again = world.service.issue(&holder.call, request()).await.unwrap();
    assert_eq!(first.svid.certificate.der(), again.svid.certificate.der());
    assert_eq!(first.svid.chain_pem, again.svid.chain_pem);
    world.clock.advance(Seconds::new(3_600));
    assert!(world.service.issue(&holder.call, request()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_everything_stops_minting_until_it_is_released() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    world.elevate(&holder, "db.read").await.unwrap();
    let target = protem::service::revoke::Target::Everything;
    let revoked = world
        .service
        .revoke_many(&world.operator, target, "incident")
        .await
        .unwrap();
    assert_eq!((revoked.elevations, revoked.minting_stopped), (1, true));
    assert!(
        world
            .service
            .issue(&holder.call, base(&holder.key))
            .await
            .is_err()
    );
    world
        .service
        .release_minting(&world.operator, "over")
        .await
        .unwrap();
    assert!(
        world
            .service
            .issue(&holder.call, base(&holder.key))
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_minted_while_the_clock_is_in_doubt() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    world
        .clock
        .set_wall(world.service.now().minus(Seconds::new(3_600)));
    let refused = world
        .service
        .issue(&holder.call, base(&holder.key))
        .await
        .unwrap_err();
    assert!(matches!(refused, ServiceError::ClockInDoubt(_)));
    world
        .service
        .accept_clock(&world.operator, "it was an hour fast")
        .await
        .unwrap();
    assert!(
        world
            .service
            .issue(&holder.call, base(&holder.key))
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_in_the_ledger_without_a_gap() {
    let world = World::new().await;
    let before = world.ledger().await.len();
    let holder = world.holder(WEB).await;
    world.elevate(&holder, "db.read").await.unwrap();
    world.mint(&holder, "db.read").await.unwrap();
    world.elevate(&holder, "db.write").await.unwrap();
    let ledger = world.ledger().await;
    assert_eq!(
        ledger.get(before..).unwrap(),
        [
            "token.created",
            "svid.intent",
            "svid.issued",
            "elevation.approved",
            "svid.intent",
            "svid.issued",
            "elevation.pending"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_while_minting_is_stopped_is_denied_with_words() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    let target = protem::service::revoke::Target::Everything;
    let revoked = world
        .service
        .revoke_many(&world.operator, target, "incident")
        .await;
    assert!(revoked.unwrap().minting_stopped);
    let refused = world.elevate(&holder, "db.read").await.unwrap_err();
    let ServiceError::Refused(refusal) = refused else {
        panic!("{refused}")
    };
    assert_eq!(refusal.code, "minting_stopped");
    assert_eq!(world.ledger().await.last().unwrap(), "elevation.denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_without_an_elevation_is_denied_and_recorded() {
    let world = World::new().await;
    let holder = world.holder(WEB).await;
    let outcome = async || {
        let events = world.events().await;
        let event = events.last().unwrap().event();
        assert_eq!(event.kind().as_str(), "svid.denied");
        event.key(protem::audit::Key::Outcome).unwrap().to_owned()
    };
    assert!(world.mint(&holder, "db.read").await.is_err());
    assert_eq!(outcome().await, "no_elevation");
    let mut request = asked("db.read");
    request.instances = Some(protem::elevation::Instances::Count(1));
    world.service.elevate(&holder.call, request).await.unwrap();
    world.mint(&holder, "db.read").await.unwrap();
    let other = world.holder(WEB).await;
    assert!(world.mint(&other, "db.read").await.is_err());
    assert_eq!(outcome().await, "elevation_state");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_leaves_of_its_own_issuers_are_callers() {
    let world = World::new().await;
    let elsewhere = World::new().await;
    let holder = world.holder(WEB).await;
    world.elevate(&holder, "db.read").await.unwrap();
    let raised = world.mint(&holder, "db.read").await.unwrap();
    let authority = world.service.authority();
    assert!(authority.has_signed(&holder.issued.svid.certificate));
    assert!(authority.has_signed(&raised.svid.certificate));
    // The same names, signed by another, and an issuer, signed by the root.
    let sibling = elsewhere.holder(WEB).await;
    assert!(!authority.has_signed(&sibling.issued.svid.certificate));
    assert!(!authority.has_signed(authority.root().unwrap()));
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let names = (vec!["localhost".to_owned()], Vec::new());
    let server = world
        .service
        .mint_service(key.public_key(), names)
        .await
        .unwrap();
    assert!(!authority.has_signed(&server.certificate));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_bundle_locks_the_operators_out_who_activate_it() {
    let world = World::new().await;
    let mut files: Vec<_> = crate::world::example_policy()
        .files()
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
        .collect();
    files.retain(|(path, _)| path != "operate.cedar" && path != "tests/operate.toml");
    let locked = BundleSource::collect(files).unwrap();
    let refused = world
        .service
        .activate_policy(&world.operator, &locked)
        .await;
    assert!(
        matches!(refused, Err(ServiceError::Field(_))),
        "{refused:?}"
    );
    let again = crate::world::example_policy();
    assert!(
        world
            .service
            .activate_policy(&world.operator, &again)
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_in_a_revocation_does_not_look_like_success() {
    let world = World::new().await;
    let target = protem::service::revoke::Target::Scope("db.raed".parse().unwrap());
    let refused = world
        .service
        .revoke_many(&world.operator, target, "a slip")
        .await;
    assert!(
        matches!(refused, Err(ServiceError::NotFound(_))),
        "{refused:?}"
    );
    let target = protem::service::revoke::Target::Scope("db.read".parse().unwrap());
    let revoked = world
        .service
        .revoke_many(&world.operator, target, "nobody has it")
        .await;
    assert_eq!(revoked.unwrap().elevations, 0);
}

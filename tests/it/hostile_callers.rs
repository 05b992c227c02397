//! Callers who come too late, for somebody else, or with the wrong SVID; and policies that come
//! into force at once.

use std::sync::Arc;

use protem::attestation::Obtainer;
use protem::elevation::{DECIDE_WITHIN, End, State, StateName};
use protem::id::{ElevationId, PolicyVersion};
use protem::policy::BundleSource;
use protem::service::ServiceError;
use protem::service::elevate::ElevateRequest;
use protem::service::issue::IssueRequest;
use protem::time::Seconds;

use crate::world::{DB, Holder, WEB, World, asked, base, call_of, changed_policy, elevated, terms};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_decides_after_decide_by() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let late = world.elevate(&web, "db.write").await.unwrap();
    assert_eq!(late.elevation.state.name(), StateName::Pending);
    world.clock.advance(DECIDE_WITHIN);
    let open = r#"context.elevation.hasTag("sre") && context.elevation.getTag("sre") >= 1"#;
    let lax = changed_policy("elevate.cedar", &format!("&&\n  {open}"), "");
    let lax = lax
        .files()
        .map(|(name, text)| (name.to_owned(), text.replacen("@route(\"sre:1\")\n", "", 1)));
    let lax = BundleSource::collect(lax.filter(|(name, _)| !name.starts_with("tests/"))).unwrap();
    world.service.activate_first_policy(&lax).await.unwrap();
    let request = IssueRequest {
        elevation: Some(late.elevation.id),
        ..elevated(&web.key, "db.write")
    };
    let answer = world.service.issue(&web.call, request).await;
    assert!(matches!(answer, Err(ServiceError::Move(_))), "{answer:?}");
    world.service.sweep().await.unwrap();
    let row = world.service.elevation(&web.call, late.elevation.id).await;
    assert_eq!(row.unwrap().elevation.state.name(), StateName::Lapsed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_an_entry_obtains_for_nobody() {
    let world = World::new().await;
    let mut served = terms(DB);
    served.obtained_by = vec![Obtainer::Agent(WEB.parse().unwrap()), Obtainer::Token];
    world
        .service
        .put_entry(&world.operator, served)
        .await
        .unwrap();
    let agent = world.holder(WEB).await;
    let entries = world.service.entries(&world.operator, None, 10).await;
    let own = entries
        .unwrap()
        .into_iter()
        .find(|entry| entry.terms.subject.to_string() == WEB)
        .unwrap();
    let obtain = async || {
        let request = IssueRequest {
            subject: Some(DB.parse().unwrap()),
            ..base(&agent.key)
        };
        world.service.issue(&agent.call, request).await
    };
    obtain().await.unwrap();
    // M8: the SVID outlives the entry, the right does not.
    world
        .service
        .remove_entry(&world.operator, own.id)
        .await
        .unwrap();
    let answer = obtain().await;
    assert!(
        matches!(answer, Err(ServiceError::NotAllowed(_))),
        "{answer:?}"
    );
    let ask = ElevateRequest {
        subject: Some(DB.parse().unwrap()),
        ..asked("db.read")
    };
    let answer = world.service.elevate(&agent.call, ask).await;
    assert!(
        matches!(answer, Err(ServiceError::NotAllowed(_))),
        "{answer:?}"
    );
    // Nor does he learn what is open for whom.
    let db = world.holder(DB).await;
    let look = async || {
        let request = IssueRequest {
            subject: Some(DB.parse().unwrap()),
            ..elevated(&agent.key, "db.read")
        };
        let answer = world.service.issue(&agent.call, request).await;
        answer.unwrap_err().to_string()
    };
    let before = look().await;
    world.elevate(&db, "db.read").await.unwrap();
    assert_eq!(look().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_does_not_learn_that_an_elevation_exists() {
    let world = World::new().await;
    let [web, db] = [world.holder(WEB).await, world.holder(DB).await];
    let there = world.elevate(&web, "db.read").await.unwrap().elevation.id;
    let nowhere: ElevationId = "el-00000000000000000000000000000001".parse().unwrap();
    let told = async |id| {
        let reads = world.service.elevation(&db.call, id).await;
        let revokes = world.service.revoke(&db.call, id, "mine").await;
        let cancels = world.service.cancel(&db.call, id).await;
        [reads, revokes, cancels].map(|answer| answer.unwrap_err().to_string())
    };
    assert_eq!(told(there).await, told(nowhere).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elevated_svid_ends_no_elevation() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let id = world.elevate(&web, "db.read").await.unwrap().elevation.id;
    let minted = world.mint(&web, "db.read").await.unwrap();
    let raised = call_of(&minted.svid.certificate);
    let answer = world.service.revoke(&raised, id, "found its key").await;
    assert!(
        matches!(answer, Err(ServiceError::Refused(_))),
        "{answer:?}"
    );
    let row = world.service.revoke(&web.call, id, "done").await.unwrap();
    let State::Ended { how, .. } = row.elevation.state else {
        panic!("{:?}", row.elevation.state)
    };
    assert_eq!(how, End::Withdrawn);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elevation_for_one_scope_gives_no_other() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let reads = world.elevate(&web, "db.read").await.unwrap().elevation.id;
    let named = |scope| IssueRequest {
        elevation: Some(reads),
        ..elevated(&web.key, scope)
    };
    let answer = world.service.issue(&web.call, named("db.write")).await;
    assert!(
        matches!(answer, Err(ServiceError::NotFound(_))),
        "{answer:?}"
    );
    world
        .service
        .issue(&web.call, named("db.read"))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_elevations_of_one_instance_do_not_hide_those_of_another() {
    let world = World::new().await;
    let [greedy, web] = [world.holder(WEB).await, world.holder(WEB).await];
    for _ in 0..70 {
        world.elevate(&greedy, "db.read").await.unwrap();
    }
    world.elevate(&web, "db.read").await.unwrap();
    world.mint(&web, "db.read").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_later_of_two_policies_rules_however_long_the_earlier_takes() {
    let world = World::new().await;
    let web: Holder = world.holder(WEB).await;
    let small = changed_policy("scopes.toml", "the orders", "all orders");
    let small = BundleSource::collect(
        small
            .files()
            .filter(|(name, _)| !name.starts_with("tests/")),
    )
    .unwrap();
    let more = |number: u16| {
        format!(
            "@id(\"more-{number}\") permit (principal, action == Action::\"elevate\", \
             resource == Scope::\"db.read\") when {{ context.has_ticket }};\n"
        )
    };
    let large = (0..600).map(more).collect::<Vec<_>>().concat();
    let files = small
        .files()
        .map(|(name, text)| (name.to_owned(), text.to_owned()));
    let large = BundleSource::collect(files.chain([("more.cedar".to_owned(), large)])).unwrap();
    let service = Arc::clone(&world.service);
    let slow = tokio::spawn(async move { service.activate_first_policy(&large).await });
    let stored = async || world.store.active_policy().await.unwrap().unwrap().version;
    let second = PolicyVersion::new(2).unwrap();
    while stored().await < second {
        tokio::task::yield_now().await;
    }
    world.service.activate_first_policy(&small).await.unwrap();
    slow.await.unwrap().unwrap();
    let rules = world.service.in_force().unwrap().version;
    assert_eq!(rules, stored().await);
    world.clock.advance(Seconds::new(1));
    world
        .service
        .elevate(&web.call, asked("db.read"))
        .await
        .unwrap();
}

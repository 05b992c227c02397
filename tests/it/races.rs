//! Many at once: one place is taken once, and nothing is planned after an end.

mod commit_model;
mod elevation_model;
mod schedules;

use std::collections::BTreeSet;
use std::sync::Arc;

use protem::attestation::Caller;
use protem::audit::{Event, EventKind, Key};
use protem::elevation::{Instances, Move, MoveError, State};
use protem::id::ElevationId;
use protem::pki::FinishError;
use protem::service::ServiceError;
use protem::service::revoke::Target;
use protem::store::{ElevationChange, ElevationFilter, StoreError};
use protem::time::Clock as _;
use protem::x509::{KeyKind, PrivateKey};
use tokio::task::JoinSet;

use crate::world::{Holder, WEB, World, asked, base, elevated};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_mints_at_once_of_one_place_give_one_instance() {
    for one in [false, true] {
        let world = World::new().await;
        let mut holders = Vec::new();
        for _ in 0..64 {
            holders.push(world.holder(WEB).await);
        }
        let Caller::Workload(first) = &holders[0].call.caller else {
            panic!("a workload")
        };
        // For the first that mints, or for the one that asked.
        let instances = if one {
            Instances::One(first.instance)
        } else {
            Instances::Count(1)
        };
        let mut request = asked("db.read");
        request.instances = Some(instances);
        let opened = world.service.elevate(&holders[0].call, request).await;
        let id = opened.unwrap().elevation.id;
        let before = world.ledger().await.len();
        let mut mints = JoinSet::new();
        for holder in holders {
            let service = Arc::clone(&world.service);
            mints.spawn(async move {
                let mut request = elevated(&holder.key, "db.read");
                request.elevation = Some(id);
                service.issue(&holder.call, request).await
            });
        }
        let answers = mints.join_all().await;
        let minted = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(minted, 1);
        for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let wanted = if one {
                MoveError::OtherInstance
            } else {
                MoveError::InstancesTaken(instances)
            };
            let right = match refused {
                ServiceError::Move(error)
                | ServiceError::Store(StoreError::Elevation(_, error)) => *error == wanted,
                _ => false,
            };
            assert!(right, "{refused:?}");
        }
        let row = world.store.elevation(id).await.unwrap().unwrap();
        let State::Active { bound, .. } = row.elevation.state else {
            panic!("not active")
        };
        assert_eq!(bound.len(), 1);
        let ledger = world.ledger().await.split_off(before);
        let of = |kind: &str| ledger.iter().filter(|one| *one == kind).count();
        assert_eq!((of("svid.intent"), of("svid.issued")), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mints_at_once_with_a_revocation_end_with_it() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    for round in 0..8 {
        let opened = world.elevate(&web, "db.read").await.unwrap();
        world.mint(&web, "db.read").await.unwrap();
        let id = opened.elevation.id;
        let mut mints = JoinSet::new();
        for _ in 0..16 {
            let service = Arc::clone(&world.service);
            let (call, request) = (web.call.clone(), elevated(&web.key, "db.read"));
            mints.spawn(async move { service.issue(&call, request).await });
        }
        world
            .service
            .revoke(&world.operator, id, "it is over")
            .await
            .unwrap();
        let answers = mints.join_all().await;
        let events = world.events().await;
        let ended = events
            .iter()
            .rposition(|event| event.event().kind().as_str() == "elevation.ended");
        let after = &events[ended.unwrap()..];
        let late = after
            .iter()
            .any(|event| event.event().kind().as_str() == "svid.intent");
        assert!(!late, "round {round}: planned after the end");
        for issued in answers.into_iter().flatten() {
            assert!(issued.svid.intent.number().value() <= u64::try_from(ended.unwrap()).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_redeemed_by_fifty_at_once_gives_one() {
    let world = World::new().await;
    let token = world.token(WEB).await;
    let before = world.ledger().await.len();
    let mut redeemers = JoinSet::new();
    for _ in 0..50 {
        let (service, call) = (Arc::clone(&world.service), token.clone());
        let request = base(&PrivateKey::generate(KeyKind::P256).unwrap());
        redeemers.spawn(async move { service.issue(&call, request).await });
    }
    let answers = redeemers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        let spent = matches!(refused, ServiceError::Store(StoreError::TokenSpent));
        assert!(spent, "{refused:?}");
    }
    let ledger = world.ledger().await.split_off(before);
    let of = |kind: &str| ledger.iter().filter(|one| *one == kind).count();
    assert_eq!(
        (of("svid.intent"), of("svid.issued"), of("svid.denied")),
        (1, 1, 49)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_used_by_sixty_four_at_once_mints_once() {
    let world = World::new().await;
    let token = world.token(WEB).await;
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let before = world.ledger().await.len();
    let mut askers = JoinSet::new();
    for _ in 0..64 {
        let (service, call) = (Arc::clone(&world.service), token.clone());
        let mut request = base(&key);
        request.idempotency_key = Some("once".to_owned());
        askers.spawn(async move { service.issue(&call, request).await });
    }
    let mut serials = BTreeSet::new();
    for answer in askers.join_all().await {
        match answer {
            Ok(issued) => {
                serials.insert(issued.svid.certificate.fingerprint().to_string());
            }
            // The first is still being signed: said so, and nothing is minted a second time.
            Err(ServiceError::Finish(FinishError::NotIssued)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let mut request = base(&key);
    request.idempotency_key = Some("once".to_owned());
    let later = world.service.issue(&token, request).await.unwrap();
    serials.insert(later.svid.certificate.fingerprint().to_string());
    assert_eq!(serials.len(), 1);
    let ledger = world.ledger().await.split_off(before);
    let of = |kind: &str| ledger.iter().filter(|one| *one == kind).count();
    assert_eq!((of("svid.intent"), of("svid.issued")), (1, 1));
}

#[tokio::test]
async fn two_instances_may_choose_the_same_key() {
    let world = World::new().await;
    let (here, there) = (world.holder(WEB).await, world.holder(WEB).await);
    let mut opened = BTreeSet::new();
    for holder in [&here, &there, &here] {
        let mut request = asked("db.read");
        request.idempotency_key = Some("renewal-1".to_owned());
        let row = world.service.elevate(&holder.call, request).await.unwrap();
        opened.insert(row.elevation.id);
        let mut mint = elevated(&holder.key, "db.read");
        mint.elevation = Some(row.elevation.id);
        mint.idempotency_key = Some("renewal-1".to_owned());
        world.service.issue(&holder.call, mint).await.unwrap();
    }
    assert_eq!(
        opened.len(),
        2,
        "each has its own, and a repetition finds it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_elevations_end_once_each_however_many_pull_at_them() {
    let world = Arc::new(World::new().await);
    let web = Arc::new(world.holder(WEB).await);
    for round in 0..ROUNDS {
        let mut ends = JoinSet::new();
        let mut ids = Vec::new();
        for number in 0..AT_ONCE {
            // One waits for people, the other is permitted.
            let scope = if number % 2 == 0 {
                "db.write"
            } else {
                "db.read"
            };
            let id = world.elevate(&web, scope).await.unwrap().elevation.id;
            ids.push(id.to_string());
            for act in 0..5 {
                let (world, web) = (Arc::clone(&world), Arc::clone(&web));
                ends.spawn(async move { pulled(&world, &web, id, act).await });
            }
        }
        let ended = ends
            .join_all()
            .await
            .into_iter()
            .filter(|ended| *ended)
            .count();
        assert_eq!(
            ended,
            ids.len(),
            "round {round}: one of those who pulled ended each"
        );
        let filter = ElevationFilter {
            open_only: true,
            ..ElevationFilter::default()
        };
        let open = world.store.elevations(filter, None, 100).await.unwrap();
        assert!(open.is_empty(), "round {round}: {open:?}");
    }
    let events = world.events().await;
    let finals = ["elevation.ended", "elevation.cancelled", "elevation.lapsed"];
    let mut ended = BTreeSet::new();
    let mut minted_later = BTreeSet::new();
    for event in events.iter().rev() {
        let Some(id) = event.event().key(Key::Elevation) else {
            continue;
        };
        let kind = event.event().kind().as_str();
        if finals.contains(&kind) {
            assert!(ended.insert(id.to_owned()), "{id} ended twice");
            assert!(!minted_later.contains(id), "{id} minted from after its end");
        } else if kind == "svid.intent" {
            minted_later.insert(id.to_owned());
        }
    }
    assert_eq!(ended.len(), ROUNDS * AT_ONCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn ending_many_ends_all_though_they_move_meanwhile() {
    let world = Arc::new(World::new().await);
    let mut holders = Vec::new();
    for _ in 0..24 {
        holders.push(Arc::new(world.holder(WEB).await));
    }
    let mut ids = Vec::new();
    for _ in 0..4 {
        let mut request = asked("db.read");
        request.instances = Some(Instances::All);
        let opened = world
            .service
            .elevate(&holders[0].call, request)
            .await
            .unwrap();
        ids.push(opened.elevation.id);
    }
    let mut mints = JoinSet::new();
    for (holder, id) in holders
        .iter()
        .flat_map(|holder| ids.iter().map(move |id| (holder, *id)))
    {
        let (world, holder) = (Arc::clone(&world), Arc::clone(holder));
        mints.spawn(async move {
            let mut request = elevated(&holder.key, "db.read");
            request.elevation = Some(id);
            world.service.issue(&holder.call, request).await
        });
    }
    let target = Target::Subject(WEB.parse().unwrap());
    let ended = world
        .service
        .revoke_many(&world.operator, target, "incident")
        .await;
    assert_eq!(ended.unwrap().elevations, 4);
    mints.join_all().await;
    for id in ids {
        let row = world.store.elevation(id).await.unwrap().unwrap();
        assert!(
            matches!(row.elevation.state, State::Ended { .. }),
            "{row:?}"
        );
    }
}

/// One who pulls at an elevation; whether it was he who ended it.
async fn pulled(world: &World, web: &Holder, id: ElevationId, act: usize) -> bool {
    match act {
        0 => world
            .service
            .revoke(&world.operator, id, "it is over")
            .await
            .is_ok(),
        1 => world.service.cancel(&web.call, id).await.is_ok(),
        2 => {
            let mut request = elevated(&web.key, "db.read");
            (request.scope, request.elevation) = (None, Some(id));
            // Whether it comes in time or not, it ends nothing.
            let _ = world.service.issue(&web.call, request).await;
            false
        }
        // The word of people, and a clock: as the service moves it, on the version that was read.
        _ => {
            let step = if act == 3 {
                Move::Approve
            } else {
                Move::RunOut
            };
            for _ in 0..8 {
                let before = world.store.elevation(id).await.unwrap().unwrap().elevation;
                let from_version = before.version;
                let Ok(after) = before.moved(step, world.clock.now()) else {
                    return false;
                };
                let kind = match after.state {
                    State::Lapsed { .. } => EventKind::ElevationLapsed,
                    State::Ended { .. } => EventKind::ElevationEnded,
                    _ => EventKind::ElevationApproved,
                };
                let event = Event::new(kind, world.clock.now(), "tester");
                let change = ElevationChange {
                    from_version,
                    after,
                    event: event.with(Key::Elevation, id.to_string()),
                    reason: None,
                };
                match world.store.change_elevation(change).await {
                    Ok(_) => return step == Move::RunOut,
                    Err(StoreError::FactChanged(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            false
        }
    }
}

/// Rounds of elevations that are pulled at together: a thousand in all.
const ROUNDS: usize = 25;
const AT_ONCE: usize = 40;

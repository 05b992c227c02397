//! Many at once: one place is taken once, and nothing is planned after an end.

mod commit_model;
mod elevation_model;
mod schedules;

use std::sync::Arc;

use protem::elevation::{Instances, MoveError, State};
use protem::service::ServiceError;
use protem::store::StoreError;
use tokio::task::JoinSet;

use crate::world::{WEB, World, asked, elevated};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_mints_at_once_of_one_place_give_one_instance() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let mut request = asked("db.read");
    request.instances = Some(Instances::Count(1));
    let opened = world.service.elevate(&web.call, request).await.unwrap();
    let mut holders = Vec::new();
    for _ in 0..64 {
        holders.push(world.holder(WEB).await);
    }
    let before = world.ledger().await.len();
    let mut mints = JoinSet::new();
    for holder in holders {
        let service = Arc::clone(&world.service);
        mints.spawn(async move {
            service
                .issue(&holder.call, elevated(&holder.key, "db.read"))
                .await
        });
    }
    let answers = mints.join_all().await;
    let minted = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(minted, 1);
    for refused in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        let taken = MoveError::InstancesTaken(Instances::Count(1));
        let right = match refused {
            ServiceError::Move(error) | ServiceError::Store(StoreError::Elevation(_, error)) => {
                *error == taken
            }
            _ => false,
        };
        assert!(right, "{refused:?}");
    }
    let id = opened.elevation.id;
    let row = world.store.elevation(id).await.unwrap().unwrap();
    let State::Active { bound, .. } = row.elevation.state else {
        panic!("not active")
    };
    assert_eq!(bound.len(), 1);
    let ledger = world.ledger().await.split_off(before);
    let of = |kind: &str| ledger.iter().filter(|one| *one == kind).count();
    assert_eq!((of("svid.intent"), of("svid.issued")), (1, 1));
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

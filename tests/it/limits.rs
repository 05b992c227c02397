//! Past the limits: who floods is told so and counted, who is nearest his end is served first, and
//! nobody else notices.

use std::sync::Arc;

use protem::attestation::{
    Caller, ENTRY_GROUPS_MAX, ENTRY_OBTAINERS_BYTES_MAX, ENTRY_SELECTORS_MAX, EntryTermsError,
    Obtainer,
};
use protem::audit::{EVENT_BYTES_MAX, Key, SealedEvent, Value};
use protem::client::{Client, Proof};
use protem::id::OperatorId;
use protem::id::entropy::Entropy;
use protem::service::{Call, Service, ServiceError};
use protem::store::sqlite::Sqlite;
use protem::store::{EventFilter, Store as _};
use protem::time::{Seconds, SystemClock};
use tokio::task::JoinSet;

use crate::live::Place;
use crate::world::{DB, WEB, World, asked, base, terms};

#[tokio::test]
async fn a_flood_of_refusals_is_counted_and_disturbs_nobody() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let db = world.holder(DB).await;
    let before = world.ledger().await.len();
    let (mut refused, mut too_many) = (0, 0);
    for _ in 0..RECORDED + 50 {
        // `db` is nobody that `web` may ask for.
        let mut request = base(&web.key);
        request.subject = Some(DB.parse().unwrap());
        match world.service.issue(&web.call, request).await.unwrap_err() {
            ServiceError::NotAllowed(_) => refused += 1,
            ServiceError::TooMany { code, wait } => {
                assert_eq!(code, "not_an_obtainer");
                assert_eq!(wait, Seconds::new(5));
                too_many += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((refused, too_many), (RECORDED, 50));
    // An elevation that policy denies opens a row and an event: it falls under the same bound.
    let denied = world.service.elevate(&web.call, asked("no.such")).await;
    assert!(
        matches!(denied, Err(ServiceError::TooMany { .. })),
        "{denied:?}"
    );
    assert_eq!(world.ledger().await.len() - before, RECORDED);

    // What he may have, he gets; and so does everybody else.
    world
        .service
        .issue(&web.call, base(&web.key))
        .await
        .unwrap();
    world.elevate(&web, "db.read").await.unwrap();
    let mut of_another = base(&db.key);
    of_another.subject = Some(WEB.parse().unwrap());
    let refused = world.service.issue(&db.call, of_another).await;
    assert!(matches!(refused, Err(ServiceError::NotAllowed(_))));

    assert_eq!(world.service.record_overflow().await.unwrap(), 1);
    let event = world.events().await.pop().unwrap();
    assert_eq!(event.event().kind().as_str(), "overflow.counted");
    assert_eq!(
        event.event().key(Key::Caller),
        Some(&*web.call.caller.to_string())
    );
    assert_eq!(event.event().field("count"), Some(&Value::Integer(51)));
    assert_eq!(counted(&event, "not_an_obtainer"), Some(50));
    assert_eq!(world.service.record_overflow().await.unwrap(), 0, "once");
    world.clock.advance(Seconds::new(5));
    let mut request = base(&web.key);
    request.subject = Some(DB.parse().unwrap());
    let refused = world.service.issue(&web.call, request).await;
    assert!(
        matches!(refused, Err(ServiceError::NotAllowed(_))),
        "recorded again"
    );
}

#[tokio::test]
async fn strangers_are_counted_by_neighbour() {
    let world = World::new().await;
    let from = |address: &str| Some(protem::attestation::Neighbour::of(address.parse().unwrap()));
    for _ in 0..RECORDED {
        world
            .service
            .heed_unproved(from("192.0.2.1"), "nobody")
            .unwrap();
    }
    let one_more = world.service.heed_unproved(from("192.0.2.1"), "bearer");
    assert!(matches!(one_more, Err(ServiceError::TooMany { .. })));
    // Networks without end do not make events without end.
    for network in 0..1_000 {
        let _ = world
            .service
            .heed_unproved(from(&format!("2001:db8:0:{network:x}::1")), "nobody");
    }
    let recorded = world.service.record_overflow().await.unwrap();
    assert_eq!(recorded, 257, "256 by name, the others together");
    let events = world.events().await;
    let counts = events
        .iter()
        .filter_map(|event| match event.event().field("count") {
            Some(Value::Integer(count)) => Some(*count),
            _ => None,
        });
    assert_eq!(
        counts.sum::<i64>(),
        i64::try_from(RECORDED).unwrap() + 1 + 1_000
    );
    let of_one =
        |event: &&SealedEvent| event.event().key(Key::Caller) == Some("neighbour:192.0.2.1");
    let event = events.iter().find(of_one).unwrap();
    assert_eq!(
        (counted(event, "nobody"), counted(event, "bearer")),
        (Some(256), Some(1))
    );
}

#[tokio::test]
async fn a_caller_has_many_requests_and_not_any_number() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    for _ in 0..20_000 {
        world.service.heed(&web.call.caller).unwrap();
    }
    let one_more = world.service.heed(&web.call.caller);
    assert!(matches!(
        one_more,
        Err(ServiceError::TooMany {
            code: "too_many_requests",
            ..
        })
    ));
    world.service.heed(&world.operator.caller).unwrap();
    world.clock.advance(Seconds::new(1));
    for _ in 0..10_000 {
        world.service.heed(&web.call.caller).unwrap();
    }
}

#[tokio::test]
async fn a_batch_costs_what_its_items_do() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    for _ in 0..40 {
        world.service.heed_more(&web.call.caller, 501).unwrap();
    }
    let one_more = world.service.heed(&web.call.caller);
    assert!(matches!(one_more, Err(ServiceError::TooMany { .. })));
}

#[tokio::test]
async fn batches_are_few_for_each_caller_and_in_all() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let begin = |call: &Call| world.service.begin_batch(call);
    let mut places: Vec<_> = (0..4).map(|_| begin(&web.call).unwrap()).collect();
    let fifth = begin(&web.call).unwrap_err();
    assert!(
        matches!(
            fifth,
            ServiceError::TooMany {
                code: "too_many_batches",
                ..
            }
        ),
        "{fifth:?}"
    );
    places.pop();
    places.push(begin(&web.call).unwrap());
    let entropy = Entropy::seeded(3);
    let another = || Call {
        caller: Caller::Operator(OperatorId::random(&entropy)),
        source: None,
    };
    places.extend((0..28).map(|_| begin(&another()).unwrap()));
    let crowded = begin(&another()).unwrap_err();
    assert!(
        matches!(crowded, ServiceError::Crowded { .. }),
        "{crowded:?}"
    );
    drop(places);
    begin(&another()).unwrap();
}

#[tokio::test]
async fn whose_certificate_ends_first_is_served_first() {
    let world = World::new().await;
    let mut callers = Vec::new();
    for number in 0..64 {
        let subject = format!("spiffe://dev.protem.test/ns/crowd/sa/s{number}");
        let subject = subject.replace(
            "dev.protem.test",
            world.service.authority().trust_domain().as_str(),
        );
        world.register(&subject).await;
        callers.push(world.holder(&subject).await);
        world.clock.advance(Seconds::new(7));
    }
    // The house is full, and stays so but for one place.
    let mut held = Vec::new();
    for number in 0..PLACES {
        held.push(place_for(&world, &callers[number % 2].call).await);
    }
    let before = world.events().await.len();
    let mut mints = JoinSet::new();
    // Those with the most life come first.
    for caller in callers.iter().rev() {
        let (service, call, request) = (
            Arc::clone(&world.service),
            caller.call.clone(),
            base(&caller.key),
        );
        mints.spawn(async move {
            let _place = service.admitted(&call).await.unwrap();
            service.issue(&call, request).await.unwrap();
        });
    }
    while waiting(&world.service) < callers.len() {
        tokio::task::yield_now().await;
    }
    // Nobody in the admin plane waits for them.
    world.service.minting(&world.operator).await.unwrap();
    held.pop();
    mints.join_all().await;
    let events = world.events().await.split_off(before);
    let served: Vec<_> = events
        .iter()
        .filter(|event| event.event().kind().as_str() == "svid.intent")
        .map(|event| event.event().key(Key::Subject).unwrap().to_owned())
        .collect();
    let wanted = callers
        .iter()
        .map(|one| one.call.caller.subject().unwrap().to_string());
    assert!(served.iter().cloned().eq(wanted), "{served:#?}");
    drop(held);
    assert!(world.metrics().contains("protem_mints_under_way 0"));
}

#[tokio::test(start_paused = true)]
async fn who_finds_no_place_in_time_is_told_when_to_ask_again() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let db = world.holder(DB).await;
    let mut held = Vec::new();
    for number in 0..PLACES {
        held.push(place_for(&world, if number % 2 == 0 { &web.call } else { &db.call }).await);
    }
    // A quarter of what `web` has left, within bounds.
    for (advance, wait) in [(0, 300), (3_200, 99), (298, 25), (100, 1)] {
        world.clock.advance(Seconds::new(advance));
        let told = world.service.admitted(&web.call).await;
        let Err(ServiceError::Crowded { wait: told }) = told else {
            panic!("{told:?}")
        };
        assert_eq!(told.count(), wait, "{advance}");
    }
    held.clear();
    world.service.admitted(&web.call).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn places_of_those_who_go_away_are_free_again() {
    let world = Arc::new(World::new().await);
    let (web, db) = (world.holder(WEB).await, world.holder(DB).await);
    let mut askers = JoinSet::new();
    for number in 0..3_000 {
        let world = Arc::clone(&world);
        let call = if number % 2 == 0 { &web.call } else { &db.call }.clone();
        let asker = askers.spawn(async move {
            let _place = world.service.admitted(&call).await;
            tokio::task::yield_now().await;
        });
        if number % 3 == 0 {
            asker.abort();
        }
    }
    while askers.join_next().await.is_some() {}
    let metrics = world.metrics();
    assert!(metrics.contains("protem_mints_under_way 0"), "{metrics}");
    assert!(metrics.contains("protem_mints_waiting 0"), "{metrics}");
    assert!(
        metrics.contains("protem_mints_turned_away_total 0"),
        "{metrics}"
    );
}

#[tokio::test]
async fn waits_are_bounded_and_wake_for_their_own_elevation_alone() {
    let world = World::new().await;
    let (web, db) = (world.holder(WEB).await, world.holder(DB).await);
    let one = world.elevate(&web, "db.read").await.unwrap().elevation.id;
    let other = world.elevate(&web, "db.read").await.unwrap().elevation.id;
    let mut waits: Vec<_> = (0..199)
        .map(|_| world.service.begin_wait(&web.call, one).unwrap())
        .collect();
    let mut of_other = world.service.begin_wait(&web.call, other).unwrap();
    let one_more = world.service.begin_wait(&web.call, other);
    assert!(matches!(
        one_more,
        Err(ServiceError::TooMany {
            code: "too_many_waits",
            ..
        })
    ));
    assert!(
        world.service.begin_wait(&db.call, other).is_ok(),
        "another may"
    );
    world.service.revoke(&web.call, one, "done").await.unwrap();
    for wait in &mut waits {
        wait.moved().await;
    }
    let woken = tokio::select! {
        biased;
        () = of_other.moved() => true,
        () = std::future::ready(()) => false,
    };
    assert!(!woken, "another elevation moved, not this one");
    world
        .service
        .revoke(&web.call, other, "done")
        .await
        .unwrap();
    of_other.moved().await;
    drop((waits, of_other));
    assert!(world.metrics().contains("protem_elevation_waits 0"));
}

#[test]
fn the_stop_records_what_was_only_counted() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path());
    let live = place.serve();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stranger = Client {
        address: place.url().parse().unwrap(),
        bundle: place.directory.join("bundle.pem"),
        proof: Proof::None,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(Entropy::system()),
    };
    runtime.block_on(stranger.minting()).unwrap_err();
    assert_eq!(live.terminate().0.code(), Some(0));
    let store = Sqlite::open(&place.directory.join("protem.db")).unwrap();
    let filter = EventFilter {
        caller: Some("neighbour:127.0.0.1".to_owned()),
        ..EventFilter::default()
    };
    let events = runtime
        .block_on(store.events(filter, None, None, 9))
        .unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(counted(&events[0], "nobody"), Some(1));
}

#[tokio::test]
async fn a_registration_at_every_bound_still_fits_into_its_events() {
    let world = World::new().await;
    let long = |count: usize| {
        let agent = format!("{WEB}/{}", "a".repeat(2_048 - WEB.len() - 3));
        (0..count)
            .map(move |number| Obtainer::Agent(format!("{agent}{number:02}").parse().unwrap()))
    };
    let mut terms = terms(WEB);
    terms.selectors = (0..ENTRY_SELECTORS_MAX)
        .map(|number| {
            format!("a:{number:02}{}", "\"".repeat(252))
                .parse()
                .unwrap()
        })
        .collect();
    terms.groups = (0..ENTRY_GROUPS_MAX)
        .map(|number| format!("{number:063}").parse().unwrap())
        .collect();
    terms.obtained_by = long(32).collect();
    let refused = world
        .service
        .put_entry(&world.operator, terms.clone())
        .await;
    let Err(ServiceError::Entry(EntryTermsError::ObtainersTooLong(bytes))) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(bytes, 32 * 2_048);
    terms.obtained_by = long(ENTRY_OBTAINERS_BYTES_MAX / 2_048 - 1)
        .chain([Obtainer::Token])
        .collect();
    world
        .service
        .put_entry(&world.operator, terms)
        .await
        .unwrap();
    // Minted, opened and denied, each with the whole of it in the event.
    let web = world.holder(WEB).await;
    let denied = world.elevate(&web, "db.read").await;
    assert!(
        matches!(denied, Err(ServiceError::Refused(_))),
        "{denied:?}"
    );
    let events = world.events().await;
    let longest = events
        .iter()
        .map(|event| event.bytes().len())
        .max()
        .unwrap();
    assert!(
        (20_000..EVENT_BYTES_MAX / 2).contains(&longest),
        "{longest}"
    );
}

fn counted(event: &SealedEvent, code: &str) -> Option<i64> {
    let Some(Value::Map(codes)) = event.event().field("codes") else {
        return None;
    };
    match codes.get(code) {
        Some(Value::Integer(count)) => Some(*count),
        _ => None,
    }
}

async fn place_for(world: &World, call: &Call) -> protem::service::Place {
    world.service.admitted(call).await.unwrap()
}

fn waiting(service: &Service) -> usize {
    let metrics = crate::world::metrics(service);
    let line = metrics
        .lines()
        .find(|line| line.starts_with("protem_mints_waiting "));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

/// Refusals of one caller that are recorded one by one when they come at once.
const RECORDED: usize = 256;
/// Walks that are under way at once.
const PLACES: usize = 512;

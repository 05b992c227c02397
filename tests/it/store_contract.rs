//! What every `Store` does, whatever is below it: each behaviour once, run on each backend.
//!
//! A behaviour is a function over the trait; the table at the end of each half makes it a test
//! for each backend. What only files do is in `store_sqlite`.

mod memory;
mod uses;
pub(crate) mod world;

use std::sync::Arc;

use protem::audit::{EventKind, Value};
use protem::elevation::{Instances, Move, State};
use protem::id::PolicyVersion;
use protem::policy::FactVersion;
use protem::store::{ElevationChange, Intent, Outcome, Store, StoreError};

use world::*;

/// Makes each behaviour a test on each backend.
macro_rules! contract {
    ($($behaviour:ident)+) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $behaviour() {
                let world = crate::store_contract::world::sqlite();
                super::$behaviour(std::sync::Arc::clone(&world.store)).await;
            })+
        }
    };
}
pub(crate) use contract;

contract! {
    numbers_have_no_gap
    a_refusal_never_fails_its_neighbours
    the_bytes_carry_their_own_index
    an_index_without_place_is_refused
    a_serial_is_used_once
    a_changed_fact_refuses
    stopped_minting_refuses
    a_token_is_spent_once
    a_token_opens_nothing_late_or_for_another
    a_repeated_request_finds_the_first
    a_key_answers_for_a_day_and_an_hour
    an_intent_has_one_outcome
    an_elevation_serves_as_many_as_asked
    the_first_mint_activates_and_renewals_change_nothing
    one_of_many_moves_wins
    a_subject_has_bounded_open_elevations
    pages_neither_skip_nor_repeat
}

async fn numbers_have_no_gap(store: Arc<dyn Store>) {
    let found = together(&store, 64, |store, caller| async move {
        let mut numbers = Vec::new();
        for _ in 0..4 {
            let kind = EventKind::SvidDenied;
            numbers.push(store.append(event(kind)).await.unwrap().value());
            let refused = store.remove_token(token(caller).id, event(kind)).await;
            assert!(
                matches!(refused, Err(StoreError::NotFound(_))),
                "{refused:?}"
            );
        }
        numbers
    });
    let mut found = found.await.concat();
    found.sort_unstable();
    assert_eq!(found, gapless(256));
    assert_eq!(numbers(&*store).await, gapless(256));
    assert_eq!(store.head().await.unwrap().unwrap().number, number(256));
}

async fn a_refusal_never_fails_its_neighbours(store: Arc<dyn Store>) {
    let kept = together(&store, 64, |store, caller| async move {
        let odd = caller % 2 == 1;
        let guards = odd
            .then_some(FactVersion::Minting(99))
            .into_iter()
            .collect();
        let intended = store.intend(Intent { guards, ..intent() }).await;
        assert_eq!(intended.is_err(), odd, "{intended:?}");
        intended.ok().map(|intended| intended.event)
    });
    let kept: Vec<_> = kept.await.into_iter().flatten().collect();
    assert_eq!(kept.len(), 32);
    assert_eq!(numbers(&*store).await, gapless(32));
    for event in kept {
        assert_eq!(store.event(event.number()).await.unwrap(), Some(event));
    }
}

async fn the_bytes_carry_their_own_index(store: Arc<dyn Store>) {
    store.append(event(EventKind::ServerStarted)).await.unwrap();
    let intended = store.intend(intent()).await.unwrap();
    let mut expected = vec![0xab; 64];
    expected[8..16].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(
        (intended.event.number(), &intended.tbs),
        (number(2), &expected)
    );
    let digest = "3f4ff5cebc4d8b005b6f89e73b8b03f27a5d4d23f000af1406ef60294d4c1b48";
    let field = intended.event.event().field("tbs_sha256");
    assert_eq!(field, Some(&Value::from(digest)));
}

async fn an_index_without_place_is_refused(store: Arc<dyn Store>) {
    for at in [57, 64, usize::MAX] {
        let index_at = Some(at);
        let refused = store
            .intend(Intent {
                index_at,
                ..intent()
            })
            .await;
        assert!(
            matches!(refused, Err(StoreError::IndexPlace(_))),
            "{refused:?}"
        );
    }
    assert_eq!(store.head().await.unwrap(), None);
}

async fn a_serial_is_used_once(store: Arc<dyn Store>) {
    let serial = intent().serial;
    let taken = together(&store, 16, move |store, _| {
        let serial = serial.clone();
        async move { store.intend(Intent { serial, ..intent() }).await.err() }
    });
    let taken: Vec<_> = taken.await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 15);
    assert!(
        taken
            .iter()
            .all(|refused| matches!(refused, StoreError::SerialTaken))
    );
    assert_eq!(numbers(&*store).await, gapless(1));
}

async fn a_changed_fact_refuses(store: Arc<dyn Store>) {
    let one = store.activate_policy(policy(b"one")).await.unwrap();
    let put = |store: Arc<dyn Store>| async move {
        store
            .put_entry(entry(), event(EventKind::EntryPut))
            .await
            .unwrap()
    };
    let entry = put(Arc::clone(&store)).await;
    store
        .open_elevation(opening(approved(1, Instances::All)))
        .await
        .unwrap();
    let minting = store.minting().await.unwrap().version;
    let guards = [
        FactVersion::Policy(one),
        FactVersion::Entry(entry.id, entry.version),
        FactVersion::Elevation(elevation_id(1), 1),
        FactVersion::Minting(minting),
    ];
    let guarded = |guards: &[FactVersion]| Intent {
        guards: guards.to_vec(),
        ..intent()
    };
    store.intend(guarded(&guards)).await.unwrap();

    store.activate_policy(policy(b"two")).await.unwrap();
    put(Arc::clone(&store)).await;
    store.intend(mint(1, 1)).await.unwrap();
    for stopped in [true, false] {
        store
            .set_minting(stopped, event(EventKind::MintingStopped), None)
            .await
            .unwrap();
    }
    let before = store.head().await.unwrap();
    for guard in guards {
        let refused = store.intend(guarded(&[guard])).await;
        assert!(
            matches!(refused, Err(StoreError::FactChanged(_))),
            "{guard:?}"
        );
        let opening = opening(approved(2, Instances::All));
        let guards = vec![guard];
        let refused = store.open_elevation(protem::store::NewElevation { guards, ..opening });
        let refused = refused.await;
        assert!(
            matches!(refused, Err(StoreError::FactChanged(_))),
            "{guard:?}"
        );
    }
    assert_eq!(store.head().await.unwrap(), before);
}

async fn stopped_minting_refuses(store: Arc<dyn Store>) {
    let stop = event(EventKind::MintingStopped);
    let version = store.set_minting(true, stop, None).await.unwrap().version;
    let guards = vec![FactVersion::Minting(version)];
    let refused = store.intend(Intent { guards, ..intent() }).await;
    assert!(
        matches!(refused, Err(StoreError::FactChanged(_))),
        "{refused:?}"
    );
    let never = vec![FactVersion::Policy(PolicyVersion::new(1).unwrap())];
    let refused = store
        .intend(Intent {
            guards: never,
            ..intent()
        })
        .await;
    assert!(
        matches!(refused, Err(StoreError::FactChanged(_))),
        "{refused:?}"
    );
}

async fn a_token_is_spent_once(store: Arc<dyn Store>) {
    let spend = Some(token(1).id);
    store.create_token(token(1)).await.unwrap();
    let won = together(&store, 50, move |store, _| async move {
        match store.intend(Intent { spend, ..intent() }).await {
            Ok(intended) => Some(intended.event.number()),
            Err(refused) => {
                assert!(matches!(refused, StoreError::TokenSpent), "{refused:?}");
                None
            }
        }
    });
    let won: Vec<_> = won.await.into_iter().flatten().collect();
    assert_eq!(won, [number(2)]);
    let row = store.token(token(1).id).await.unwrap().unwrap();
    assert_eq!((row.created, row.spent), (number(1), Some(number(2))));
    let late = store
        .remove_token(row.id, event(EventKind::TokenRemoved))
        .await;
    assert!(matches!(late, Err(StoreError::TokenSpent)), "{late:?}");
}

async fn a_token_opens_nothing_late_or_for_another(store: Arc<dyn Store>) {
    store.create_token(token(1)).await.unwrap();
    let kind = EventKind::SvidIntent;
    let late = event_at(kind, 2_000);
    let other = event(kind).with(protem::audit::Key::Subject, "spiffe://td.example/other");
    let nobody = protem::audit::Event::new(kind, at(1_000), "tester");
    for event in [late, other, nobody] {
        let spend = Some(token(1).id);
        let refused = store
            .intend(Intent {
                spend,
                event,
                ..intent()
            })
            .await;
        assert!(
            matches!(refused, Err(StoreError::TokenSpent)),
            "{refused:?}"
        );
    }
    assert_eq!(store.token(token(1).id).await.unwrap().unwrap().spent, None);
}

async fn a_repeated_request_finds_the_first(store: Arc<dyn Store>) {
    store.create_token(token(1)).await.unwrap();
    let asked = |caller, request| Intent {
        retry: Some(retry(caller, request)),
        spend: Some(token(1).id),
        ..intent()
    };
    let first = store.intend(asked("web", 1)).await.unwrap();
    let again = store.intend(asked("web", 1)).await.unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!((again.event, again.tbs), (first.event, first.tbs));
    let mismatch = store.intend(asked("web", 2)).await;
    assert!(
        matches!(mismatch, Err(StoreError::RetryMismatch)),
        "{mismatch:?}"
    );
    let another = store.intend(asked("db", 1)).await;
    assert!(
        matches!(another, Err(StoreError::TokenSpent)),
        "{another:?}"
    );

    // The same key for another verb is another key.
    for repeated in [false, true] {
        let mut new = opening(approved(1, Instances::All));
        new.retry = Some(retry("web", 3));
        let opened = store.open_elevation(new).await.unwrap();
        assert_eq!(
            (opened.repeated, opened.row.opened.number()),
            (repeated, number(3))
        );
    }
}

async fn a_key_answers_for_a_day_and_an_hour(store: Arc<dyn Store>) {
    let asked = |unix_s| Intent {
        retry: Some(retry("web", 1)),
        event: event_at(EventKind::SvidIntent, unix_s),
        ..intent()
    };
    assert!(!store.intend(asked(1_000)).await.unwrap().repeated);
    assert!(store.intend(asked(91_000)).await.unwrap().repeated);
    assert!(!store.intend(asked(91_001)).await.unwrap().repeated);
    assert!(store.intend(asked(91_002)).await.unwrap().repeated);
}

async fn an_intent_has_one_outcome(store: Arc<dyn Store>) {
    let conclude = |intent| Outcome {
        intent,
        event: event(EventKind::SvidIssued),
        certificate: Some(vec![1, 2, 3]),
    };
    let first = store.intend(intent()).await.unwrap().event.number();
    let second = store.intend(intent()).await.unwrap();
    let won = together(&store, 16, move |store, _| async move {
        store.conclude(conclude(first)).await.ok()
    });
    let won: Vec<_> = won.await.into_iter().flatten().collect();
    assert_eq!(won, [number(3)]);
    let again = store.conclude(conclude(first)).await;
    assert!(matches!(again, Err(StoreError::Concluded)), "{again:?}");
    let unknown = store.conclude(conclude(number(3))).await;
    assert!(
        matches!(unknown, Err(StoreError::NotFound("intent"))),
        "{unknown:?}"
    );

    let row = store.certificate(first).await.unwrap().unwrap();
    assert_eq!((row.issued, row.der), (number(3), vec![1, 2, 3]));
    let left = store.unfinished(10).await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!((&left[0].event, &left[0].tbs), (&second.event, &second.tbs));
    let mut failed = conclude(second.event.number());
    failed.certificate = None;
    store.conclude(failed).await.unwrap();
    assert!(
        store
            .certificate(second.event.number())
            .await
            .unwrap()
            .is_none()
    );
    assert!(store.unfinished(10).await.unwrap().is_empty());
}

async fn an_elevation_serves_as_many_as_asked(store: Arc<dyn Store>) {
    let count = Instances::Count(3);
    store
        .open_elevation(opening(approved(1, count)))
        .await
        .unwrap();
    // Sixty-four mints of sixteen instances.
    let served = together(&store, 64, |store, caller| async move {
        let minted = store.intend(mint(1, caller % 16)).await;
        if let Err(refused) = &minted {
            assert!(matches!(refused, StoreError::Elevation(..)), "{refused:?}");
        }
        minted.is_ok().then_some(instance(caller % 16))
    });
    let mut served: Vec<_> = served.await.into_iter().flatten().collect();
    served.sort();
    served.dedup();
    assert_eq!(served.len(), 3);
    let row = store.elevation(elevation_id(1)).await.unwrap().unwrap();
    let State::Active { mut bound, .. } = row.elevation.state else {
        panic!("{row:?}");
    };
    bound.sort();
    assert_eq!((bound, row.elevation.version), (served, 4));
}

async fn the_first_mint_activates_and_renewals_change_nothing(store: Arc<dyn Store>) {
    let opened = approved(1, Instances::One(instance(1)));
    store.open_elevation(opening(opened.clone())).await.unwrap();
    let other = store.intend(mint(1, 2)).await;
    assert!(matches!(other, Err(StoreError::Elevation(..))), "{other:?}");
    let unknown = store.intend(mint(9, 1)).await;
    assert!(
        matches!(unknown, Err(StoreError::NotFound("elevation"))),
        "{unknown:?}"
    );

    let first = store.intend(mint(1, 1)).await.unwrap().event.number();
    let active = opened.minted(instance(1), at(1_100), first).unwrap();
    for _ in 0..3 {
        let row = store.elevation(elevation_id(1)).await.unwrap().unwrap();
        assert_eq!(row.elevation, active);
        store.intend(mint(1, 1)).await.unwrap();
    }
    let ended = active.clone().moved(Move::Revoke, at(1_200)).unwrap();
    store.change_elevation(change(1 + 1, ended)).await.unwrap();
    let late = store.intend(mint(1, 1)).await;
    assert!(matches!(late, Err(StoreError::Elevation(..))), "{late:?}");
}

async fn one_of_many_moves_wins(store: Arc<dyn Store>) {
    let opened = approved(1, Instances::All);
    store.open_elevation(opening(opened.clone())).await.unwrap();
    let after = opened.moved(Move::Cancel, at(1_100)).unwrap();
    let lost = together(&store, 32, move |store, _| {
        let change = change(1, after.clone());
        async move { store.change_elevation(change).await.err() }
    });
    let lost: Vec<_> = lost.await.into_iter().flatten().collect();
    assert_eq!(lost.len(), 31);
    assert!(
        lost.iter()
            .all(|refused| matches!(refused, StoreError::FactChanged(_)))
    );
    let unknown = store
        .change_elevation(change(1, approved(9, Instances::All)))
        .await;
    assert!(
        matches!(unknown, Err(StoreError::NotFound(_))),
        "{unknown:?}"
    );
    assert_eq!(numbers(&*store).await, gapless(2));
}

async fn a_subject_has_bounded_open_elevations(store: Arc<dyn Store>) {
    let open = |number, unix_s| {
        let mut new = opening(approved(number, Instances::All));
        new.open_max = 2;
        new.event = event_at(EventKind::ElevationApproved, unix_s);
        new
    };
    let opened = together(&store, 32, move |store, caller| async move {
        store.open_elevation(open(caller, 1_000)).await.is_ok()
    });
    assert_eq!(opened.await.into_iter().filter(|opened| *opened).count(), 2);
    let refused = store.open_elevation(open(40, 1_000)).await;
    assert!(
        matches!(refused, Err(StoreError::TooManyOpen(2))),
        "{refused:?}"
    );
    // Their clocks ran out; that nobody swept them yet is no reason.
    store.open_elevation(open(41, 1_900)).await.unwrap();
}

async fn pages_neither_skip_nor_repeat(store: Arc<dyn Store>) {
    let writing = Arc::clone(&store);
    let writer = tokio::spawn(async move {
        for _ in 0..400 {
            writing.append(event(EventKind::SvidDenied)).await.unwrap();
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 400 {
        let after = seen.last().copied().and_then(protem::id::EventNumber::new);
        let page = store.events(protem::store::EventFilter::default(), after, None, 7);
        let page = page.await.unwrap();
        assert!(page.len() <= 7);
        seen.extend(page.iter().map(|event| event.number().value()));
    }
    writer.await.unwrap();
    assert_eq!(seen, gapless(400));
}

fn change(from_version: u64, after: protem::elevation::Elevation) -> ElevationChange {
    ElevationChange {
        from_version,
        after,
        event: event(EventKind::ElevationEnded),
        reason: None,
    }
}

//! What every `Store` does with uses that are reported, and with elevations that nobody uses.

use std::sync::Arc;

use protem::audit::{EventKind, SealedEvent};
use protem::elevation::{Instances, Move, State, Used};
use protem::id::ElevationId;
use protem::store::{ElevationChange, EventFilter, NewUses, Store, StoreError, USE_TOLD_EVERY};

use super::world::*;

super::contract! {
    a_use_counts_for_what_is_active_and_moves_no_clock
    a_use_is_told_once_in_a_while_and_whole_in_the_end
    no_end_is_written_over_a_use
    what_nobody_uses_is_found
    a_use_survives_a_renewal
}

async fn a_use_counts_for_what_is_active_and_moves_no_clock(store: Arc<dyn Store>) {
    // Two active, one approved, one over; one of another scope.
    for number in 1..=5 {
        let mut elevation = approved(number, Instances::All);
        if number == 5 {
            elevation.request.scope = "db.write".parse().unwrap();
        }
        store.open_elevation(opening(elevation)).await.unwrap();
    }
    for number in [1, 2, 4, 5] {
        store.intend(mint(number, 1)).await.unwrap();
    }
    let over = get(&store, 4).await.moved(Move::Revoke, at(1_200)).unwrap();
    end(&store, over).await.unwrap();
    let before = get(&store, 1).await;

    let noted = store.note_uses(uses(1_300, &[("db.read", seen(1_210, 1_290, 3))]));
    assert_eq!(noted.await.unwrap(), [2]);
    let none = uses(1_300, &[("db.none", seen(1_210, 1_290, 3))]);
    assert_eq!(store.note_uses(none).await.unwrap(), [0]);
    for (number, used) in [
        (1, Some(seen(1_210, 1_290, 3))),
        (2, Some(seen(1_210, 1_290, 3))),
        (3, None),
        (4, None),
        (5, None),
    ] {
        assert_eq!(get(&store, number).await.used(), used, "{number}");
    }
    let after = get(&store, 1).await;
    assert_eq!(after.runs_out_at(), before.runs_out_at());
    assert_eq!(after.version, before.version + 1);
    let told = told(&store).await;
    let whose: Vec<_> = told.iter().map(|event| field(event, "elevation")).collect();
    assert_eq!(
        whose,
        [elevation_id(1).to_string(), elevation_id(2).to_string()]
    );
    assert_eq!(field(&told[0], "scope"), "db.read");
    assert_eq!(field(&told[0], "subject"), subject().to_string());
    assert_eq!(field(&told[0], "first_used_at"), at(1_210).rfc3339());
    assert_eq!(field(&told[0], "last_used_at"), at(1_290).rfc3339());
    assert_eq!(told[0].event().field("uses"), Some(&3_u64.into()));
}

async fn a_use_is_told_once_in_a_while_and_whole_in_the_end(store: Arc<dyn Store>) {
    activate(&store, 1).await;
    let every = i64::from(USE_TOLD_EVERY.count());
    for (after, events) in [(0, 1), (1, 1), (every - 1, 1), (every, 2), (every + 9, 2)] {
        let now = 1_200 + after;
        let lines = [("db.read", seen(now, now, 1))];
        assert_eq!(store.note_uses(uses(now, &lines)).await.unwrap(), [1]);
        assert_eq!(told(&store).await.len(), events, "{after}");
        let last = get(&store, 1).await.used().unwrap().last;
        assert_eq!(last, at(now), "durable at once");
    }
    let last = told(&store).await.pop().unwrap();
    assert_eq!(last.event().field("uses"), Some(&4_u64.into()));
    let over = get(&store, 1)
        .await
        .moved(Move::FallIdle, at(1_500))
        .unwrap();
    end(&store, over.clone()).await.unwrap();
    assert_eq!(get(&store, 1).await, over);
    let State::Ended { used, .. } = over.state else {
        panic!("{over:?}")
    };
    assert_eq!(used, Some(seen(1_200, 1_200 + every + 9, 5)));
}

async fn no_end_is_written_over_a_use(store: Arc<dyn Store>) {
    activate(&store, 1).await;
    let idle = get(&store, 1)
        .await
        .moved(Move::FallIdle, at(1_400))
        .unwrap();
    let lines = [("db.read", seen(1_399, 1_399, 1))];
    store.note_uses(uses(1_400, &lines)).await.unwrap();
    let late = end(&store, idle).await;
    assert!(matches!(late, Err(StoreError::FactChanged(_))), "{late:?}");
    // Many reports and many ends at once: one end, and every use of before it.
    let ends = together(&store, 32, |store, caller| async move {
        if caller % 2 == 0 {
            let noted = store.note_uses(uses(1_400, &[("db.read", seen(1_398, 1_399, 1))]));
            return u64::from(noted.await.unwrap()[0]) << 32;
        }
        let idle = get(&store, 1).await.moved(Move::FallIdle, at(1_401));
        match idle {
            Ok(idle) => u64::from(end(&store, idle).await.is_ok()),
            Err(_) => 0,
        }
    });
    let sum: u64 = ends.await.into_iter().sum();
    let (noted, ended) = (sum >> 32, sum & 0xffff);
    let last = get(&store, 1).await;
    assert!(ended <= 1);
    assert_eq!(ended == 1, matches!(last.state, State::Ended { .. }));
    assert_eq!(last.used().unwrap().count, noted + 1);
}

async fn what_nobody_uses_is_found(store: Arc<dyn Store>) {
    // Activated at 1,100.
    for number in 1..=3 {
        activate(&store, number).await;
    }
    store
        .open_elevation(opening(approved(4, Instances::All)))
        .await
        .unwrap();
    let over = get(&store, 3).await.moved(Move::Revoke, at(1_150)).unwrap();
    end(&store, over).await.unwrap();
    let idle = async |scope: &str, since, limit| -> Vec<ElevationId> {
        let scope = scope.parse().unwrap();
        let found = store.idle_elevations(&scope, at(since), limit).await;
        found.unwrap().into_iter().map(|one| one.id).collect()
    };
    assert_eq!(idle("db.read", 1_099, 9).await, []);
    let both = [elevation_id(1), elevation_id(2)];
    assert_eq!(idle("db.read", 1_100, 9).await, both);
    assert_eq!(idle("db.read", 1_100, 1).await, both[..1]);
    assert_eq!(idle("db.write", 1_100, 9).await, []);
    store
        .note_uses(uses(1_200, &[("db.read", seen(1_150, 1_180, 1))]))
        .await
        .unwrap();
    assert_eq!(idle("db.read", 1_179, 9).await, []);
    assert_eq!(idle("db.read", 1_180, 9).await, both);
}

async fn a_use_survives_a_renewal(store: Arc<dyn Store>) {
    activate(&store, 1).await;
    let lines = [("db.read", seen(1_150, 1_180, 2))];
    store.note_uses(uses(1_200, &lines)).await.unwrap();
    for holder in [1, 2] {
        store.intend(mint(1, holder)).await.unwrap();
    }
    assert_eq!(get(&store, 1).await.used(), Some(seen(1_150, 1_180, 2)));
}

/// Opens an elevation and mints from it at second 1,100.
async fn activate(store: &Arc<dyn Store>, number: u8) {
    store
        .open_elevation(opening(approved(number, Instances::All)))
        .await
        .unwrap();
    store.intend(mint(number, 1)).await.unwrap();
}

async fn get(store: &Arc<dyn Store>, number: u8) -> protem::elevation::Elevation {
    let row = store.elevation(elevation_id(number)).await.unwrap();
    row.unwrap().elevation
}

async fn end(
    store: &Arc<dyn Store>,
    after: protem::elevation::Elevation,
) -> Result<protem::id::EventNumber, StoreError> {
    let change = ElevationChange {
        from_version: after.version - 1,
        after,
        event: event(EventKind::ElevationEnded),
        reason: None,
    };
    store.change_elevation(change).await
}

async fn told(store: &Arc<dyn Store>) -> Vec<SealedEvent> {
    let filter = EventFilter {
        kind: Some(EventKind::ElevationUsed),
        ..EventFilter::default()
    };
    store.events(filter, None, None, 100).await.unwrap()
}

fn field(event: &SealedEvent, name: &str) -> String {
    let key = event.event().field(name).unwrap();
    key.as_text().unwrap().to_owned()
}

/// Uses by [`subject`], reported at a second.
fn uses(now: i64, lines: &[(&str, Used)]) -> NewUses {
    let line = |(scope, used): &(&str, Used)| (subject(), scope.parse().unwrap(), *used);
    NewUses {
        event: protem::audit::Event::new(EventKind::ElevationUsed, at(now), "workload:agent"),
        uses: lines.iter().map(line).collect(),
    }
}

fn seen(first: i64, last: i64, count: u64) -> Used {
    Used {
        first: at(first),
        last: at(last),
        count,
    }
}

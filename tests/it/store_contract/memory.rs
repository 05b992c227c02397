//! What every `Store` remembers: rows read back as they were written, and are found by filters.

use std::sync::Arc;

use protem::attestation::{Bearer, Obtainer};
use protem::audit::{Commitment, EventKind, Key};
use protem::elevation::{Elevation, Instances, Move, StateName, WaitsFor};
use protem::id::entropy::Entropy;
use protem::id::{OperatorId, PolicyVersion};
use protem::store::{
    ElevationChange, ElevationFilter, EventFilter, Minting, NewOperator, Outcome, Reason, Store,
    StoreError,
};

use super::world::*;

super::contract! {
    every_act_leaves_its_event
    an_elevation_reads_back_in_every_state
    a_reason_stands_beside_its_elevation
    elevations_are_found
    elevations_come_due
    entries_read_back
    tokens_read_back
    operators_read_back
    policies_read_back
    minting_reads_back
    events_are_found
    what_a_decision_rests_on_is_read_together
    the_store_tells_that_it_can_record
}

async fn every_act_leaves_its_event(store: Arc<dyn Store>) {
    let first = approved(1, Instances::All);
    let cancelled = first.clone().moved(Move::Cancel, at(1_100)).unwrap();
    let entry = store
        .put_entry(entry(), event(EventKind::EntryPut))
        .await
        .unwrap();
    let intent = store.intend(intent()).await.unwrap().event.number();
    let outcome = Outcome {
        intent,
        event: event(EventKind::SvidFailed),
        certificate: None,
    };
    store.conclude(outcome).await.unwrap();
    store.open_elevation(opening(first)).await.unwrap();
    store.change_elevation(change(cancelled)).await.unwrap();
    store
        .remove_entry(entry.id, event(EventKind::EntryRemoved))
        .await
        .unwrap();
    store.create_token(token(1)).await.unwrap();
    store
        .remove_token(token(1).id, event(EventKind::TokenRemoved))
        .await
        .unwrap();
    store.create_operator(operator()).await.unwrap();
    store.activate_policy(policy(b"one")).await.unwrap();
    store
        .set_minting(true, event(EventKind::MintingStopped), None)
        .await
        .unwrap();
    store.append(event(EventKind::SvidDenied)).await.unwrap();
    store
        .open_elevation(opening(approved(2, Instances::All)))
        .await
        .unwrap();
    store.intend(mint(2, 1)).await.unwrap();
    let used = protem::elevation::Used {
        first: at(1_200),
        last: at(1_200),
        count: 1,
    };
    let uses = protem::store::NewUses {
        event: event(EventKind::ElevationUsed),
        uses: vec![(subject(), "db.read".parse().unwrap(), used)],
    };
    store.note_uses(uses).await.unwrap();

    let events = store
        .events(EventFilter::default(), None, None, 100)
        .await
        .unwrap();
    let kinds: Vec<_> = events.iter().map(|sealed| sealed.event().kind()).collect();
    let expected = [
        EventKind::EntryPut,
        EventKind::SvidIntent,
        EventKind::SvidFailed,
        EventKind::ElevationApproved,
        EventKind::ElevationCancelled,
        EventKind::EntryRemoved,
        EventKind::TokenCreated,
        EventKind::TokenRemoved,
        EventKind::OperatorCreated,
        EventKind::PolicyActivated,
        EventKind::MintingStopped,
        EventKind::SvidDenied,
        EventKind::ElevationApproved,
        EventKind::SvidIntent,
        EventKind::ElevationUsed,
    ];
    assert_eq!(kinds, expected);
}

async fn an_elevation_reads_back_in_every_state(store: Arc<dyn Store>) {
    let waits_for = vec![WaitsFor {
        route: vec!["sre:2".to_owned()],
        needs: vec!["security:1".to_owned()],
    }];
    let mut asked = request(Instances::Count(2));
    asked.not_before = Some(at(5_000));
    asked.extends = Some(elevation_id(9));
    asked.on_demand = true;
    let open = approved(2, Instances::One(instance(1)));
    let active = approved(3, Instances::All);
    let active = active.minted(instance(1), at(1_100), number(1)).unwrap();
    let pending = Elevation::pending(elevation_id(1), asked, waits_for);
    for opened in [
        pending,
        open.clone(),
        active,
        Elevation::denied(elevation_id(4), request(Instances::All)),
    ] {
        store.open_elevation(opening(opened.clone())).await.unwrap();
        let row = store.elevation(opened.id).await.unwrap().unwrap();
        assert_eq!(row.elevation, opened);
    }
    let mut last = open;
    for (number, step) in (5..).zip([Move::Cancel, Move::RunOut, Move::Revoke]) {
        last.id = elevation_id(number);
        store.open_elevation(opening(last.clone())).await.unwrap();
        let after = last.clone().moved(step, at(1_200)).unwrap();
        store.change_elevation(change(after.clone())).await.unwrap();
        let row = store.elevation(after.id).await.unwrap().unwrap();
        assert_eq!(row.elevation, after);
    }
}

async fn a_reason_stands_beside_its_elevation(store: Arc<dyn Store>) {
    let (salt, text) = ([3; 16], "the queue is stuck \"again\"");
    let commitment = Commitment::new(&salt, text);
    let mut elevation = approved(1, Instances::All);
    elevation.request.reason = Some(*commitment.bytes());
    let mut new = opening(elevation);
    new.reason = Some(Reason {
        commitment,
        salt,
        text: text.to_owned(),
    });
    let opened = store.open_elevation(new).await.unwrap().row;
    let row = store.elevation(elevation_id(1)).await.unwrap().unwrap();
    for row in [opened, row] {
        assert_eq!(row.reason.as_deref(), Some(text));
        assert!(!row.opened.bytes().contains("queue"));
    }
}

async fn elevations_are_found(store: Arc<dyn Store>) {
    for number in 1..=4 {
        let mut elevation = approved(number, Instances::One(instance(number)));
        if number == 2 {
            elevation.request.scope = "db.write".parse().unwrap();
            elevation.request.subject = "spiffe://td.example/db".parse().unwrap();
        }
        store.open_elevation(opening(elevation)).await.unwrap();
    }
    store
        .open_elevation(opening(approved(5, Instances::All)))
        .await
        .unwrap();
    store.intend(mint(5, 4)).await.unwrap();
    let over = approved(1, Instances::One(instance(1))).moved(Move::Cancel, at(1_100));
    store.change_elevation(change(over.unwrap())).await.unwrap();

    let find = async |filter, after: Option<u64>, limit| {
        let after = after.map(number);
        let rows = store.elevations(filter, after, limit).await.unwrap();
        let opened = |row: &protem::store::ElevationRow| row.opened.number().value();
        rows.iter().map(opened).collect::<Vec<_>>()
    };
    let with = |set: fn(&mut ElevationFilter)| {
        let mut filter = ElevationFilter::default();
        set(&mut filter);
        filter
    };
    assert_eq!(find(with(|_| ()), None, 10).await, [1, 2, 3, 4, 5]);
    assert_eq!(find(with(|_| ()), Some(2), 2).await, [3, 4]);
    for (filter, expected) in [
        (with(|it| it.subject = Some(subject())), vec![1, 3, 4, 5]),
        (with(|it| it.scope = "db.write".parse().ok()), vec![2]),
        (with(|it| it.state = Some(StateName::Cancelled)), vec![1]),
        (with(|it| it.state = Some(StateName::Active)), vec![5]),
        (with(|it| it.open_only = true), vec![2, 3, 4, 5]),
        (with(|it| it.instance = Some(instance(4))), vec![4, 5]),
        (with(|it| it.instance = Some(instance(9))), vec![]),
    ] {
        assert_eq!(find(filter.clone(), None, 10).await, expected, "{filter:?}");
    }
}

async fn elevations_come_due(store: Arc<dyn Store>) {
    // Approved at 1,000, to be activated by 1,900; activated at 1,100, over at 1,700.
    for number in 1..=3 {
        store
            .open_elevation(opening(approved(number, Instances::All)))
            .await
            .unwrap();
    }
    store.intend(mint(2, 1)).await.unwrap();
    let over = approved(3, Instances::All)
        .moved(Move::Cancel, at(1_100))
        .unwrap();
    store.change_elevation(change(over)).await.unwrap();
    let due = async |unix_s, limit| {
        let due = store.due_elevations(at(unix_s), limit).await.unwrap();
        due.into_iter()
            .map(|elevation| elevation.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(due(1_699, 9).await, []);
    assert_eq!(due(1_700, 9).await, [elevation_id(2)]);
    assert_eq!(due(9_000, 9).await, [elevation_id(2), elevation_id(1)]);
    assert_eq!(due(9_000, 1).await, [elevation_id(2)]);
}

async fn entries_read_back(store: Arc<dyn Store>) {
    let put = async |entry| {
        store
            .put_entry(entry, event(EventKind::EntryPut))
            .await
            .unwrap()
    };
    assert_eq!(put(entry()).await, entry());
    let mut again = entry();
    again.id = protem::id::EntryId::random(&Entropy::seeded(2));
    again.terms.hint = None;
    let second = put(again).await;
    assert_eq!((second.id, second.version), (entry().id, 2), "the id stays");
    assert_eq!(store.entry(second.id).await.unwrap(), Some(second.clone()));
    let written = store.event(number(2)).await.unwrap().unwrap();
    assert_eq!(written.event().field("version"), Some(&2_u64.into()));

    let mut other = entry();
    other.id = protem::id::EntryId::random(&Entropy::seeded(3));
    other.terms.subject = "spiffe://td.example/a".parse().unwrap();
    let other = put(other).await;
    let all = store.entries(None, 10).await.unwrap();
    assert_eq!(all, [other.clone(), second.clone()]);
    let after = Some(other.terms.subject.clone());
    assert_eq!(
        store.entries(after.clone(), 10).await.unwrap(),
        std::slice::from_ref(&second)
    );
    let agent = "spiffe://td.example/agent/a".parse().unwrap();
    let of_agent = async |after, limit| store.entries_of(&agent, after, limit).await.unwrap();
    assert_eq!(of_agent(None, 10).await, all);
    assert_eq!(of_agent(None, 1).await, std::slice::from_ref(&other));
    assert_eq!(of_agent(after, 10).await, std::slice::from_ref(&second));
    let nobody = "spiffe://td.example/agent".parse().unwrap();
    let none = store.entries_of(&nobody, None, 10).await.unwrap();
    assert!(none.is_empty(), "{none:?}");
    let mut unnamed = second;
    unnamed
        .terms
        .obtained_by
        .retain(|one| *one == Obtainer::Token);
    put(unnamed).await;
    assert_eq!(of_agent(None, 10).await, std::slice::from_ref(&other));
    store
        .remove_entry(other.id, event(EventKind::EntryRemoved))
        .await
        .unwrap();
    let gone = store
        .remove_entry(other.id, event(EventKind::EntryRemoved))
        .await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
    assert_eq!(store.entry(other.id).await.unwrap(), None);
    assert_eq!(of_agent(None, 10).await, []);
}

async fn tokens_read_back(store: Arc<dyn Store>) {
    for number in 1..=3 {
        store.create_token(token(number)).await.unwrap();
    }
    let row = store.token(token(2).id).await.unwrap().unwrap();
    assert!(row.digest.matches(&token(2).digest));
    assert_eq!(
        (row.subject, row.expires_at, row.spent),
        (subject(), at(2_000), None)
    );
    let page = store.tokens(Some(number(1)), 1).await.unwrap();
    assert_eq!(page.iter().map(|row| row.id).collect::<Vec<_>>(), [row.id]);
    store
        .remove_token(row.id, event(EventKind::TokenRemoved))
        .await
        .unwrap();
    assert!(store.token(row.id).await.unwrap().is_none());
    assert_eq!(store.tokens(None, 10).await.unwrap().len(), 2);
}

async fn operators_read_back(store: Arc<dyn Store>) {
    assert!(!store.has_operator().await.unwrap());
    store.create_operator(operator()).await.unwrap();
    assert!(store.has_operator().await.unwrap());
    let row = store.operator(operator().id).await.unwrap().unwrap();
    assert!(row.id == operator().id && row.digest.matches(&operator().digest));
    let unknown = OperatorId::random(&Entropy::seeded(8));
    assert!(store.operator(unknown).await.unwrap().is_none());
}

async fn policies_read_back(store: Arc<dyn Store>) {
    assert!(store.active_policy().await.unwrap().is_none());
    for (content, version) in [(b"one", 1_u64), (b"two", 2)] {
        let activated = store.activate_policy(policy(content)).await.unwrap();
        assert_eq!(activated.value(), version);
        let written = store.event(number(version)).await.unwrap().unwrap();
        assert_eq!(written.event().field("version"), Some(&version.into()));
    }
    let active = store.active_policy().await.unwrap().unwrap();
    assert_eq!(
        (active.version, active.content),
        (PolicyVersion::new(2).unwrap(), b"two".into())
    );
    assert_eq!(
        (active.author.as_str(), active.activated_at),
        ("operator:alice", at(1_000))
    );
}

async fn minting_reads_back(store: Arc<dyn Store>) {
    let set = async |stopped, unix_s| {
        let event = protem::audit::Event::new(EventKind::MintingStopped, at(unix_s), "tester");
        store.set_minting(stopped, event, None).await.unwrap()
    };
    let first = store.minting().await.unwrap();
    assert_eq!((first.stopped, first.since), (false, None));
    for (stopped, unix_s, since) in [
        (false, 10, None),
        (true, 20, Some(at(20))),
        (true, 30, Some(at(20))),
        (false, 40, Some(at(40))),
    ] {
        let before = store.minting().await.unwrap().version;
        let version = before + 1;
        let expected = Minting {
            stopped,
            since,
            version,
        };
        assert_eq!(set(stopped, unix_s).await, expected);
        assert_eq!(store.minting().await.unwrap(), expected);
    }
}

async fn events_are_found(store: Arc<dyn Store>) {
    let denied = event_at(EventKind::SvidDenied, 3_000)
        .with(Key::Scope, "db.read")
        .with(Key::Fingerprint, "0b")
        .with(Key::Elevation, elevation_id(1).to_string())
        .with(Key::Policy, "0c")
        .with(Key::Outcome, "denied");
    store.append(event(EventKind::ServerStarted)).await.unwrap();
    store.append(denied).await.unwrap();
    // Decided before and recorded after: the head's time is the latest that any event bears.
    store.append(event(EventKind::ServerStarted)).await.unwrap();
    let head = store.head().await.unwrap().unwrap();
    assert_eq!((head.number, head.at), (number(3), at(3_000)));

    let find = async |filter: &EventFilter, until: Option<u64>| {
        let until = until.map(number);
        let found = store.events(filter.clone(), None, until, 10).await.unwrap();
        found
            .iter()
            .map(|sealed| sealed.number().value())
            .collect::<Vec<_>>()
    };
    let with = |set: fn(&mut EventFilter)| {
        let mut filter = EventFilter::default();
        set(&mut filter);
        filter
    };
    for filter in [
        with(|it| it.kind = Some(EventKind::SvidDenied)),
        with(|it| it.scope = Some("db.read".to_owned())),
        with(|it| it.fingerprint = Some("0b".to_owned())),
        with(|it| it.elevation = Some(elevation_id(1).to_string())),
        with(|it| it.policy = Some("0c".to_owned())),
        with(|it| it.outcome = Some("denied".to_owned())),
        with(|it| (it.from, it.to) = (Some(at(1_001)), Some(at(3_001)))),
    ] {
        assert_eq!(find(&filter, None).await, [2], "{filter:?}");
        assert_eq!(find(&filter, Some(1)).await, [0; 0], "{filter:?}");
    }
    let early = with(|it| it.to = Some(at(3_000)));
    assert_eq!(find(&early, None).await, [1, 3]);
    let mut tester = with(|it| it.caller = Some("tester".to_owned()));
    tester.subject = Some(subject().to_string());
    assert_eq!(find(&tester, Some(2)).await, [1, 2]);
    let hostile = with(|it| it.subject = Some("' OR 1=1 --".to_owned()));
    assert_eq!(find(&hostile, None).await, [0; 0]);

    // A serial number is an intent's and its outcome's.
    let mut planned = intent();
    planned.serial = vec![0x0a, 0xbc];
    let intended = store.intend(planned).await.unwrap();
    let mut of_serial = with(|it| it.serial = Some("0abc".to_owned()));
    assert_eq!(find(&of_serial, None).await, [4]);
    let outcome = Outcome {
        intent: intended.event.number(),
        event: event(EventKind::SvidFailed),
        certificate: None,
    };
    store.conclude(outcome).await.unwrap();
    assert_eq!(find(&of_serial, None).await, [4, 5]);
    for other in ["0a", "0abc00", "no hex", ""] {
        of_serial.serial = Some(other.to_owned());
        assert_eq!(find(&of_serial, None).await, [0; 0], "{other}");
    }
}

async fn what_a_decision_rests_on_is_read_together(store: Arc<dyn Store>) {
    let undecided = store.standing(Some(subject()), None).await;
    assert!(
        matches!(undecided, Err(StoreError::NotFound(_))),
        "{undecided:?}"
    );
    store.activate_policy(policy(b"one")).await.unwrap();
    let entry = store
        .put_entry(entry(), event(EventKind::EntryPut))
        .await
        .unwrap();
    store
        .open_elevation(opening(approved(1, Instances::All)))
        .await
        .unwrap();

    let nothing = store.standing(None, None).await.unwrap();
    assert!(nothing.entry.is_none() && nothing.elevation.is_none());
    let by_elevation = store.standing(None, Some(elevation_id(1))).await.unwrap();
    let both = store
        .standing(Some(subject()), Some(elevation_id(1)))
        .await
        .unwrap();
    for standing in [by_elevation, both] {
        assert_eq!(standing.entry, Some(Arc::new(entry.clone())));
        assert_eq!(standing.elevation, Some(approved(1, Instances::All)));
    }
}

async fn the_store_tells_that_it_can_record(store: Arc<dyn Store>) {
    store.probe().await.unwrap();
    assert_eq!(store.head().await.unwrap(), None, "a probe is no event");
}

fn change(after: Elevation) -> ElevationChange {
    ElevationChange {
        from_version: after.version - 1,
        after,
        event: event(EventKind::ElevationCancelled),
        reason: None,
    }
}

fn operator() -> NewOperator {
    let entropy = Entropy::seeded(1);
    NewOperator {
        id: OperatorId::random(&entropy),
        digest: Bearer::operator(&entropy).digest(),
        event: event(EventKind::OperatorCreated),
    }
}

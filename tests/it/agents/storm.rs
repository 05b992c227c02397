//! Everything changes at once: agents that come and go, that are too slow, and whose server starts
//! anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use protem::attestation::{EntryTerms, Obtainer};
use protem::elevation::StateName;
use protem::id::ElevationId;
use protem::service::agents::{Telling, Watch};
use protem::service::elevate::ElevateRequest;
use protem::service::issue::IssueRequest;
use protem::service::revoke::Target;
use protem::service::{Call, Service, ServiceError};
use protem::store::EventFilter;
use protem::time::{Clock as _, Seconds};
use protem::wire::elevation::{ElevationQuery, ElevationRequest};
use protem::wire::entry::EntryRequest;
use protem::wire::page::PageQuery;
use tokio_util::sync::CancellationToken;

use super::image::Watching;
use crate::strangers::house::House;
use crate::world::{Ground, Holder, WEB, World, asked, elevated, terms, try_open};

const AGENT: &str = "spiffe://dev.protem.test/agents/one";

/// What an agent of the service itself makes of what it is told.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Version by subject.
    entries: BTreeMap<String, u64>,
    /// State and version by id.
    open: BTreeMap<String, (String, u64)>,
    denied: BTreeSet<String>,
}

impl Seen {
    fn take(&mut self, telling: &Telling, ids: &mut BTreeMap<String, String>) {
        match telling {
            Telling::Entry(entry) => {
                let subject = entry.terms.subject.to_string();
                ids.insert(entry.id.to_string(), subject.clone());
                self.entries.insert(subject, entry.version);
            }
            Telling::EntryRemoved(id) => {
                let subject = ids.remove(&id.to_string()).unwrap();
                self.entries.remove(&subject);
            }
            Telling::Elevation(elevation) => {
                let id = elevation.id.to_string();
                let state = elevation.state.name();
                match elevation.runs_out_at() {
                    Some(_) => {
                        let stands = (state.as_str().to_owned(), elevation.version);
                        self.open.insert(id, stands);
                    }
                    None => {
                        self.open.remove(&id);
                    }
                }
            }
            Telling::Denied(denial, _) => {
                self.denied.insert(denial.fingerprint.to_string());
            }
            Telling::Beat | Telling::Bundle(..) | Telling::Ready => {}
        }
    }
}

/// Listens until everything was told once more.
async fn until_ready(watch: &mut Watch, seen: &mut Seen, ids: &mut BTreeMap<String, String>) {
    loop {
        let telling = watch.next().await.unwrap();
        seen.take(&telling, ids);
        if let Telling::Ready = telling {
            return;
        }
    }
}

/// Everything as it stands, as somebody new is told.
async fn stands(service: &Arc<Service>, call: &Call) -> Seen {
    let mut watch = service.watch(call, true).await.unwrap();
    let (mut seen, mut ids) = (Seen::default(), BTreeMap::new());
    until_ready(&mut watch, &mut seen, &mut ids).await;
    seen
}

fn served(subject: &str) -> EntryTerms {
    EntryTerms {
        obtained_by: vec![Obtainer::Agent(AGENT.parse().unwrap()), Obtainer::Token],
        ..terms(subject)
    }
}

async fn agent(world: &World) -> Holder {
    world.register(AGENT).await;
    let put = world.service.put_entry(&world.operator, served(WEB)).await;
    put.unwrap();
    world.holder(AGENT).await
}

fn subject(number: usize) -> String {
    format!("spiffe://dev.protem.test/many/{number}")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_hears_too_little_is_told_everything_anew() {
    let world = World::new().await;
    let agent = agent(&world).await;
    let (service, operator) = (&world.service, &world.operator);
    for number in 0..3 {
        let put = service.put_entry(operator, served(&subject(number))).await;
        put.unwrap();
    }
    let opening = |number: usize| ElevateRequest {
        subject: Some(subject(number).parse().unwrap()),
        ..asked("db.read")
    };
    let ends = service.elevate(&agent.call, opening(1)).await.unwrap();
    service.elevate(&agent.call, opening(2)).await.unwrap();
    let mut watch = service.watch(&agent.call, true).await.unwrap();
    let (mut seen, mut ids) = (Seen::default(), BTreeMap::new());
    until_ready(&mut watch, &mut seen, &mut ids).await;
    assert_eq!((seen.entries.len(), seen.open.len()), (4, 2));

    // One entry goes to others, one elevation ends, and more happens than waits for anybody.
    service
        .put_entry(operator, terms(&subject(0)))
        .await
        .unwrap();
    let id = ends.elevation.id;
    service.revoke(operator, id, "over").await.unwrap();
    for _ in 0..70 {
        let puts = (0..64).map(|number| {
            let other = terms(&format!("spiffe://dev.protem.test/others/{number}"));
            service.put_entry(operator, other)
        });
        join_all(puts).await.into_iter().for_each(|put| {
            put.unwrap();
        });
    }
    service
        .put_entry(operator, served(&subject(3)))
        .await
        .unwrap();
    until_ready(&mut watch, &mut seen, &mut ids).await;
    assert_eq!(seen, stands(service, &agent.call).await);
    assert_eq!((seen.entries.len(), seen.open.len()), (4, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_opens_and_loses_at_once_hears_of_the_end() {
    let world = World::new().await;
    let agent = agent(&world).await;
    let mut watch = world.service.watch(&agent.call, false).await.unwrap();
    let (mut seen, mut ids) = (Seen::default(), BTreeMap::new());
    until_ready(&mut watch, &mut seen, &mut ids).await;
    let request = ElevateRequest {
        subject: Some(WEB.parse().unwrap()),
        ..asked("db.read")
    };
    let opened = world.service.elevate(&agent.call, request).await.unwrap();
    let id = opened.elevation.id;
    world
        .service
        .revoke(&world.operator, id, "no")
        .await
        .unwrap();
    let Telling::Elevation(told) = watch.next().await.unwrap() else {
        panic!("an elevation moved")
    };
    assert_eq!((told.id, told.state.name()), (id, StateName::Ended));
}

/// The agent drops what is open for a subject whose entry is removed.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_removed_and_put_again_brings_what_is_open_once_more() {
    let world = World::new().await;
    let agent = agent(&world).await;
    let request = ElevateRequest {
        subject: Some(WEB.parse().unwrap()),
        ..asked("db.read")
    };
    let opened = world.service.elevate(&agent.call, request).await.unwrap();
    let mut watch = world.service.watch(&agent.call, false).await.unwrap();
    let (mut seen, mut ids) = (Seen::default(), BTreeMap::new());
    until_ready(&mut watch, &mut seen, &mut ids).await;
    let (service, operator) = (&world.service, &world.operator);
    let before = ids.into_keys().next().unwrap().parse().unwrap();
    service.remove_entry(operator, before).await.unwrap();
    service.put_entry(operator, served(WEB)).await.unwrap();
    let Telling::EntryRemoved(removed) = watch.next().await.unwrap() else {
        panic!("the entry that was told is gone")
    };
    assert_eq!(removed, before);
    let Telling::Entry(_) = watch.next().await.unwrap() else {
        panic!("another came in its place")
    };
    let Telling::Elevation(told) = watch.next().await.unwrap() else {
        panic!("what is open for it comes with it")
    };
    assert_eq!(told.id, opened.elevation.id);
}

/// Fingerprints of all certificates of elevations that ended early.
async fn issued_and_lost(world: &World) -> BTreeSet<String> {
    let find = async |kind: &str| {
        let filter = EventFilter {
            kind: Some(kind.parse().unwrap()),
            ..EventFilter::default()
        };
        world
            .store
            .events(filter, None, None, 10_000)
            .await
            .unwrap()
    };
    let key = |event: &protem::audit::SealedEvent, key| event.event().key(key).map(str::to_owned);
    let ended = find("elevation.ended").await;
    let ended: BTreeSet<_> = ended
        .iter()
        .filter(|event| {
            let how = key(event, protem::audit::Key::Outcome).unwrap();
            ["revoked", "withdrawn", "signal_lost"].contains(&how.as_str())
        })
        .filter_map(|event| key(event, protem::audit::Key::Elevation))
        .collect();
    let issued = find("svid.issued").await;
    let lost = issued.iter().filter(|event| {
        let of = key(event, protem::audit::Key::Elevation);
        of.is_some_and(|id| ended.contains(&id))
    });
    lost.filter_map(|event| key(event, protem::audit::Key::Fingerprint))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_signed_while_its_elevation_ends_is_denied() {
    let world = World::new().await;
    let agent = agent(&world).await;
    let web = world.holder(WEB).await;
    let mut ids: Vec<ElevationId> = Vec::new();
    for _ in 0..40 {
        let opened = world.elevate(&web, "db.read").await.unwrap();
        let id = opened.elevation.id;
        let mint = || IssueRequest {
            elevation: Some(id),
            ..elevated(&web.key, "db.read")
        };
        world.service.issue(&web.call, mint()).await.unwrap();
        // Some are signed before the end, some after it, and some not at all.
        let mints = (0..4).map(|_| world.service.issue(&web.call, mint()));
        let (_, ended) = tokio::join!(
            join_all(mints),
            world.service.revoke(&world.operator, id, "over")
        );
        ended.unwrap();
        ids.push(id);
    }
    let expected = issued_and_lost(&world).await;
    assert!(ids.len() <= expected.len());
    let seen = stands(&world.service, &agent.call).await;
    assert_eq!(seen.denied, expected);
    // What has ended by itself is forgotten.
    world.clock.advance(Seconds::new(1_000));
    world.service.sweep().await.unwrap();
    let seen = stands(&world.service, &agent.call).await;
    assert!(seen.denied.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kill_switch_denies_every_certificate_also_after_a_start() {
    let world = World::new().await;
    let agent = agent(&world).await;
    let mut kept = Vec::new();
    for _ in 0..3 {
        let web = world.holder(WEB).await;
        world.elevate(&web, "db.read").await.unwrap();
        world.mint(&web, "db.read").await.unwrap();
        kept.push(web);
    }
    // One that is given back, and one that only runs out.
    let own = world.holder(WEB).await;
    let opened = world.elevate(&own, "db.read").await.unwrap();
    world.mint(&own, "db.read").await.unwrap();
    let id = opened.elevation.id;
    world.service.revoke(&own.call, id, "done").await.unwrap();
    assert_eq!(stands(&world.service, &agent.call).await.denied.len(), 1);
    let everything = Target::Everything;
    let ended = world
        .service
        .revoke_many(&world.operator, everything, "breach")
        .await;
    assert_eq!(ended.unwrap().elevations, 3);
    let expected = issued_and_lost(&world).await;
    assert_eq!(expected.len(), 4);
    let before = stands(&world.service, &agent.call).await;
    assert_eq!(before.denied, expected);

    let World {
        service,
        store,
        directory,
        clock,
        ..
    } = world;
    drop((service, store));
    let opened = try_open(directory.path(), &clock, Ground::default().issuer).await;
    let opened = opened.unwrap();
    assert_eq!(stands(&opened.service, &agent.call).await, before);
    clock.advance(Seconds::new(310));
    opened.service.sweep().await.unwrap();
    let after = stands(&opened.service, &agent.call).await;
    assert!(after.denied.is_empty(), "{:?}", clock.now());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_running_holder_has_so_many_living_certificates_of_one_elevation() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    world.elevate(&web, "db.read").await.unwrap();
    for _ in 0..64 {
        world.mint(&web, "db.read").await.unwrap();
    }
    let refused = world.mint(&web, "db.read").await.unwrap_err();
    let ServiceError::TooMany { code, wait } = refused else {
        panic!("{refused}")
    };
    assert_eq!(code, "too_many_living");
    world.clock.advance(wait);
    world.mint(&web, "db.read").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_knows_every_denial_before_anybody_is_told() {
    let world = World::new().await;
    let agent = agent(&world).await;
    let web = world.holder(WEB).await;
    // More than one round looks up.
    for _ in 0..65 {
        let opened = join_all((0..16).map(|_| world.elevate(&web, "db.read"))).await;
        let ended = opened.into_iter().map(async |opened| {
            let id = opened.unwrap().elevation.id;
            let request = IssueRequest {
                elevation: Some(id),
                ..elevated(&web.key, "db.read")
            };
            world.service.issue(&web.call, request).await.unwrap();
            let ended = world.service.revoke(&world.operator, id, "over");
            ended.await.unwrap();
        });
        join_all(ended).await;
    }
    let World {
        service,
        store,
        directory,
        clock,
        ..
    } = world;
    drop((service, store));
    let opened = try_open(directory.path(), &clock, Ground::default().issuer).await;
    let told = stands(&opened.unwrap().service, &agent.call).await;
    assert_eq!(told.denied.len(), 65 * 16);
}

/// Entries and elevations come, move and go, while the agent loses its connection again and again.
#[test]
fn nothing_is_missed_in_a_storm_with_reconnects() {
    let house = House::new("");
    house.register(AGENT, "token");
    let agent = house.arrive(AGENT, "agent");
    let operator = house.operator();
    let put = async |number: usize, mine: bool| {
        let obtainer = if mine { AGENT } else { "token" };
        let request = EntryRequest {
            subject: subject(number % 7),
            obtained_by: vec![obtainer.to_owned()],
            owner: "demo".to_owned(),
            groups: vec!["demo".to_owned()],
            life: "1h".to_owned(),
            ..EntryRequest::default()
        };
        operator.put_entry(&request).await.unwrap()
    };
    let over = CancellationToken::new();
    let storm = async {
        for step in 0..120_usize {
            let entry = put(step, step % 5 != 0).await;
            let request = ElevationRequest {
                scope: ["db.read", "db.write"][step % 2].to_owned(),
                subject: Some(entry.subject.clone()),
                reason: Some("a storm".to_owned()),
                ..ElevationRequest::default()
            };
            let opened = agent.elevate(&request).await;
            if let (0, Ok(opened)) = (step % 3, opened) {
                operator.revoke_one(&opened.id, "over").await.unwrap();
            }
            if step % 11 == 0 {
                operator.remove_entry(&entry.id).await.unwrap();
            }
        }
        over.cancel();
    };
    let listen = async {
        for heard in [3_usize, 1, 9, 0, 27, 5, 40, 2] {
            let mut watching = Watching::begin(&agent).await;
            for _ in 0..heard {
                tokio::select! {
                    told = watching.next() => drop(told.unwrap()),
                    () = over.cancelled() => break,
                }
            }
        }
        Watching::begin(&agent).await
    };
    let ((), mut watching) = house.run(async { tokio::join!(storm, listen) });
    // The last word: whatever came before it was told before.
    let last = house.run(put(6, true));
    house.run(watching.until(|image| {
        let told = image.entries.get(&last.id);
        told.is_some_and(|entry| entry.version == last.version)
    }));

    let entries = house.run(operator.entries(&PageQuery::default())).unwrap();
    let mine = entries.items.iter();
    let mine = mine.filter(|one| one.obtained_by.iter().any(|by| by == AGENT));
    let mine: BTreeMap<_, _> = mine
        .map(|one| (one.id.clone(), (one.subject.clone(), one.version)))
        .collect();
    let told: BTreeMap<_, _> = watching
        .image
        .entries
        .iter()
        .map(|(id, one)| (id.clone(), (one.subject.clone(), one.version)))
        .collect();
    assert_eq!(told, mine);
    let subjects: BTreeSet<_> = mine.values().map(|(subject, _)| subject.clone()).collect();
    let every = ElevationQuery {
        limit: Some(1_000),
        ..ElevationQuery::default()
    };
    let every = house.run(operator.elevations(&every)).unwrap().items;
    let is_open = |state: &str| ["pending", "approved", "active"].contains(&state);
    let open: BTreeMap<_, _> = every
        .into_iter()
        .filter(|one| is_open(&one.state) && subjects.contains(&one.subject))
        .map(|one| (one.id, one.state))
        .collect();
    assert!(!open.is_empty());
    let told = watching.image.open.iter();
    let told: BTreeMap<_, _> = told
        .map(|(id, one)| (id.clone(), one.state.clone()))
        .collect();
    assert_eq!(told, open);
}

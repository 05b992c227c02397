//! Elevations that are used and elevations that lie idle, as the agents of a scope's servers tell.
//!
//! `db.read` of the example opens one server, `db`, and has an idle time of ten minutes in
//! at most thirty.

use protem::attestation::Obtainer;
use protem::audit::{EventKind, SealedEvent, Value};
use protem::elevation::{Elevation, End, State, Used};
use protem::identity::Subject;
use protem::policy::BundleSource;
use protem::service::ServiceError;
use protem::service::uses::{Cover, Report, Reported, Seen};
use protem::time::{Seconds, Timestamp};

use crate::world::{
    DB, Holder, Opened, WEB, World, changed_policy, example_policy, terms, try_open,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_used_elevation_lives_to_its_end_and_an_idle_one_ends_unused() {
    let house = House::new(&[ONE]).await;
    let (used, idle) = (house.active(WEB).await, house.active(DB).await);
    let ends_at = used.runs_out_at().unwrap();
    let since = house.now();
    for minute in 1..30 {
        house.world.clock.advance(Seconds::new(60));
        let now = house.now();
        let report = Report {
            uses: vec![seen(WEB, now.minus(Seconds::new(30)), now)],
            cover: Some(cover(since, now)),
        };
        let reported = house.report(ONE, report).await.unwrap();
        assert_eq!((reported.noted, reported.covered), (1, 1));
        house.world.service.sweep().await.unwrap();
        let (used, idle) = (house.get(&used).await, house.get(&idle).await);
        assert!(matches!(used.state, State::Active { .. }), "{minute}");
        assert_eq!(used.runs_out_at(), Some(ends_at), "a use prolongs nothing");
        let over = State::Ended {
            at: since.plus(Seconds::new(600)),
            how: End::Unused,
            used: None,
        };
        let active = matches!(idle.state, State::Active { .. });
        assert!(
            if minute < 10 {
                active
            } else {
                idle.state == over
            },
            "{minute} {idle:?}"
        );
    }
    house.world.clock.advance(Seconds::new(60));
    house.world.service.sweep().await.unwrap();
    let used = house.get(&used).await;
    let State::Ended { how, used, .. } = used.state else {
        panic!("{used:?}")
    };
    assert_eq!(how, End::Expired);
    assert_eq!(used.unwrap().count, 29);

    let ends = house.events(EventKind::ElevationEnded).await;
    let unused = ends[0].event();
    assert_eq!(unused.field("outcome"), Some(&"unused".into()));
    assert_eq!(unused.field("idle_longest_s"), Some(&600_u32.into()));
    assert_eq!(
        unused.field("reporters"),
        Some(&Value::List(vec![ONE.into()]))
    );
    let until = since.plus(Seconds::new(600)).rfc3339();
    assert_eq!(unused.field("covered_until"), Some(&until.into()));
    assert_eq!(ends[1].event().field("uses"), Some(&29_u32.into()));
    let told = house.events(EventKind::ElevationUsed).await;
    assert_eq!(
        told[0].event().field("caller"),
        Some(&format!("workload:{ONE}").into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_no_use() {
    let house = House::new(&[ONE]).await;
    let web = house.world.holder(WEB).await;
    let idle = house.activate(&web).await;
    let since = house.now();
    for _ in 0..10 {
        house.world.mint(&web, SCOPE).await.unwrap();
        house.world.clock.advance(Seconds::new(60));
        house.covers(ONE, since, house.now()).await;
    }
    assert_eq!(house.swept(&idle).await, Some(End::Unused));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_reports_silence_ends_nothing() {
    let house = House::new(&[ONE, TWO]).await;
    let idle = house.active(WEB).await;
    let since = house.now();
    house.world.clock.advance(Seconds::new(660));
    assert_eq!(house.swept(&idle).await, None, "nobody");
    house.covers(ONE, since, house.now()).await;
    assert_eq!(house.swept(&idle).await, None, "one of two");
    assert_eq!(house.uncovered().await, 1);
    house.covers(TWO, since, house.now()).await;
    // Both, and the idle time is over.
    assert_eq!(house.uncovered().await, 0);
    assert_eq!(house.swept(&idle).await, Some(End::Unused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_reporter_holds_the_idle_time_up() {
    let house = House::new(&[ONE, TWO]).await;
    let idle = house.active(WEB).await;
    let since = house.now();
    for minute in 1..=15 {
        house.world.clock.advance(Seconds::new(60));
        house.covers(ONE, since, house.now()).await;
        if minute <= 4 {
            house.covers(TWO, since, house.now()).await;
        }
        assert_eq!(house.swept(&idle).await, None, "{minute}");
    }
    assert_eq!(house.uncovered().await, 1);
    // It comes back and has lost what was logged meanwhile: ten minutes from then on.
    let back = house.now();
    for minute in 1..=10 {
        house.world.clock.advance(Seconds::new(60));
        for agent in [ONE, TWO] {
            let since = if agent == ONE { since } else { back };
            house.covers(agent, since, house.now()).await;
        }
        let end = (minute == 10).then_some(End::Unused);
        assert_eq!(house.swept(&idle).await, end, "{minute}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_without_a_cover_ends_nothing_and_one_that_comes_late_counts() {
    let house = House::new(&[ONE]).await;
    let idle = house.active(WEB).await;
    let since = house.now();
    house.world.clock.advance(Seconds::new(900));
    let used = since.plus(Seconds::new(500));
    let report = Report {
        uses: vec![seen(WEB, used, used)],
        cover: None,
    };
    house.report(ONE, report).await.unwrap();
    assert_eq!(house.swept(&idle).await, None, "no cover");
    // A cover reaches as far as it says, not as far as it came.
    house.covers(ONE, since, used.plus(Seconds::new(599))).await;
    assert_eq!(house.swept(&idle).await, None, "ten minutes less a second");
    // And no further than now.
    house
        .covers(ONE, since, used.plus(Seconds::new(9_000)))
        .await;
    assert_eq!(house.swept(&idle).await, None, "not over yet");
    house.world.clock.advance(Seconds::new(200));
    house.covers(ONE, since, house.now()).await;
    assert_eq!(house.swept(&idle).await, Some(End::Unused));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_agents_of_a_scopes_servers_are_believed() {
    let house = House::new(&[ONE]).await;
    let idle = house.active(WEB).await;
    let since = house.now();
    // TWO is an agent too, of another server.
    house
        .serve("spiffe://dev.protem.test/ns/payments/sa/ledger", &[TWO])
        .await;
    house.world.clock.advance(Seconds::new(660));
    let now = house.now();
    let ledger: Subject = "spiffe://dev.protem.test/ns/payments/sa/ledger"
        .parse()
        .unwrap();
    let mut both = cover(since, now);
    both.servers.push(ledger);
    let report = Report {
        uses: vec![seen(WEB, now, now)],
        cover: Some(both),
    };
    let expected = Reported {
        not_served: 1,
        covered: 1,
        ..Reported::default()
    };
    assert_eq!(house.report(TWO, report).await.unwrap(), expected);
    assert_eq!(house.get(&idle).await.used(), None);
    assert_eq!(
        house.swept(&idle).await,
        None,
        "its word is none for this server"
    );
    let refused = house.report(
        TWO,
        Report {
            uses: Vec::new(),
            cover: Some(cover(since, now)),
        },
    );
    let refused = refused.await;
    assert!(
        matches!(refused, Err(ServiceError::NotAllowed(_))),
        "{refused:?}"
    );
    house.covers(ONE, since, now).await;
    assert_eq!(house.swept(&idle).await, Some(End::Unused));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_in_force_says_what_is_idle() {
    let house = House::new(&[ONE]).await;
    let idle = house.active(WEB).await;
    let since = house.now();
    let activate = async |policy: &BundleSource| {
        let service = &house.world.service;
        service
            .activate_policy(&house.world.operator, policy)
            .await
            .unwrap();
    };
    activate(&changed_policy(
        "scopes.toml",
        "idle_longest = \"10m\"\n",
        "",
    ))
    .await;
    house.world.clock.advance(Seconds::new(1_200));
    house.covers(ONE, since, house.now()).await;
    assert_eq!(house.swept(&idle).await, None);
    assert_eq!(house.uncovered().await, 0);
    activate(&changed_policy("scopes.toml", "\"10m\"", "\"21m\"")).await;
    assert_eq!(house.swept(&idle).await, None);
    activate(&example_policy()).await;
    assert_eq!(house.swept(&idle).await, Some(End::Unused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_an_agent_holds_the_idle_time_up() {
    let house = House::new(&[ONE]).await;
    let idle = house.active(WEB).await;
    let since = house.now();
    house.world.clock.advance(Seconds::new(660));
    house.covers(ONE, since, house.now()).await;
    // It cannot be ONE alone any more that knows.
    house.serve(SERVER, &[]).await;
    assert_eq!(house.swept(&idle).await, None);
    house.serve(SERVER, &[ONE, TWO]).await;
    assert_eq!(house.swept(&idle).await, None);
    house.serve(SERVER, &[ONE]).await;
    assert_eq!(house.swept(&idle).await, Some(End::Unused));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_knows_every_use_and_nobodys_cover() {
    let house = House::new(&[ONE]).await;
    let idle = house.active(WEB).await;
    let since = house.now();
    house.world.clock.advance(Seconds::new(300));
    let used = house.now();
    // The second is not told by an event, and durable all the same.
    for _ in 0..2 {
        house.world.clock.advance(Seconds::new(5));
        let report = Report {
            uses: vec![seen(WEB, used, house.now())],
            cover: Some(cover(since, house.now())),
        };
        house.report(ONE, report).await.unwrap();
    }
    assert_eq!(house.events(EventKind::ElevationUsed).await.len(), 1);
    let last = house.now();
    let House { world, mut agents } = house;
    let (_, agent) = agents.remove(0);
    let World {
        service,
        clock,
        store,
        directory,
        ..
    } = world;
    drop((service, store));
    let opened = try_open(directory.path(), &clock, None).await.unwrap();
    let Opened { service, store, .. } = opened;
    let row = store.elevation(idle.id).await.unwrap().unwrap();
    let expected = Used {
        first: used,
        last,
        count: 2,
    };
    assert_eq!(row.elevation.used(), Some(expected));
    clock.advance(Seconds::new(600));
    assert_eq!(
        service.sweep().await.unwrap(),
        0,
        "nobody has said anything"
    );
    for (until, ended) in [(599, 0), (600, 1)] {
        let report = Report {
            uses: Vec::new(),
            cover: Some(cover(since, last.plus(Seconds::new(until)))),
        };
        service.report_uses(&agent.call, report).await.unwrap();
        assert_eq!(service.sweep().await.unwrap(), ended, "{until}");
    }
}

/// A world whose one server has agents.
struct House {
    world: World,
    agents: Vec<(&'static str, Holder)>,
}

impl House {
    async fn new(agents: &[&'static str]) -> Self {
        let world = World::new().await;
        let mut holders = Vec::new();
        for agent in [ONE, TWO] {
            world.register(agent).await;
            holders.push((agent, world.holder(agent).await));
        }
        let house = Self {
            world,
            agents: holders,
        };
        house.serve(SERVER, agents).await;
        house
    }

    /// Registers a server that these agents obtain the SVID for.
    async fn serve(&self, server: &str, agents: &[&str]) {
        let mut entry = terms(server);
        let named = agents.iter().map(|id| Obtainer::Agent(id.parse().unwrap()));
        entry.obtained_by.extend(named);
        let put = self.world.service.put_entry(&self.world.operator, entry);
        put.await.unwrap();
    }

    fn agent(&self, id: &str) -> &Holder {
        let mut agents = self.agents.iter();
        &agents.find(|(name, _)| *name == id).unwrap().1
    }

    /// An active elevation of a workload.
    async fn active(&self, subject: &str) -> Elevation {
        self.activate(&self.world.holder(subject).await).await
    }

    async fn activate(&self, holder: &Holder) -> Elevation {
        let row = self.world.elevate(holder, SCOPE).await.unwrap();
        self.world.mint(holder, SCOPE).await.unwrap();
        self.get(&row.elevation).await
    }

    async fn report(&self, agent: &str, report: Report) -> Result<Reported, ServiceError> {
        let call = &self.agent(agent).call;
        self.world.service.report_uses(call, report).await
    }

    /// An agent gives its word that nobody used anything.
    async fn covers(&self, agent: &str, since: Timestamp, until: Timestamp) {
        let report = Report {
            uses: Vec::new(),
            cover: Some(cover(since, until)),
        };
        self.report(agent, report).await.unwrap();
    }

    async fn get(&self, elevation: &Elevation) -> Elevation {
        let row = self.world.store.elevation(elevation.id).await.unwrap();
        row.unwrap().elevation
    }

    /// How an elevation ended, if a sweep ends it.
    async fn swept(&self, elevation: &Elevation) -> Option<End> {
        self.world.service.sweep().await.unwrap();
        match self.get(elevation).await.state {
            State::Ended { how, .. } => Some(how),
            _ => None,
        }
    }

    async fn events(&self, kind: EventKind) -> Vec<SealedEvent> {
        let mut events = self.world.events().await;
        events.retain(|event| event.event().kind() == kind);
        events
    }

    /// How many scopes the metrics show as not covered.
    async fn uncovered(&self) -> u32 {
        self.world.service.measure().await.unwrap();
        let metrics = self.world.metrics();
        let mut lines = metrics.lines();
        let shown = lines.find_map(|line| line.strip_prefix("protem_scopes_uncovered "));
        shown.unwrap().parse().unwrap()
    }

    fn now(&self) -> Timestamp {
        self.world.service.now()
    }
}

fn seen(subject: &str, first: Timestamp, last: Timestamp) -> Seen {
    Seen {
        server: SERVER.parse().unwrap(),
        whom: Some((subject.parse().unwrap(), SCOPE.parse().unwrap())),
        used: Used {
            first,
            last,
            count: 1,
        },
    }
}

fn cover(since: Timestamp, until: Timestamp) -> Cover {
    Cover {
        servers: vec![SERVER.parse().unwrap()],
        since,
        until,
    }
}

const SCOPE: &str = "db.read";
const SERVER: &str = "spiffe://dev.protem.test/ns/demo/sa/db";
const ONE: &str = "spiffe://dev.protem.test/agent/one";
const TWO: &str = "spiffe://dev.protem.test/agent/two";

//! The agent of the one server that `db.read` opens: what it saw, what it says, and what of all
//! elevations lies idle by that.

use std::collections::BTreeMap;

use protem::attestation::Obtainer;
use protem::elevation::{Elevation, End, State, Used};
use protem::id::ElevationId;
use protem::policy::BundleSource;
use protem::service::uses::{Cover, Report, Seen};
use protem::store::ElevationFilter;
use protem::time::{Seconds, Timestamp};

use super::Walk;
use crate::world::{DB, Holder, WEB, World, terms};

/// What we believe of uses.
pub(super) struct Silence {
    agent: Holder,
    /// Since when each elevation was not used: its activation or its last use.
    quiet: BTreeMap<ElevationId, Timestamp>,
    /// From when it listens without having lost anything.
    listens: Timestamp,
    /// The cover that was given last.
    covered: Option<(Timestamp, Timestamp)>,
    /// How many ended by silence.
    pub(super) ended: usize,
}

impl Silence {
    pub(super) async fn new(world: &World) -> Self {
        world.register(AGENT).await;
        let mut server = terms(SERVER);
        server
            .obtained_by
            .push(Obtainer::Agent(AGENT.parse().unwrap()));
        let put = world.service.put_entry(&world.operator, server);
        put.await.unwrap();
        Self {
            agent: world.holder(AGENT).await,
            quiet: BTreeMap::new(),
            listens: world.service.now(),
            covered: None,
            ended: 0,
        }
    }

    /// An elevation was minted from: the first time it began to be quiet.
    pub(super) fn minted(&mut self, id: ElevationId, now: Timestamp) {
        self.quiet.entry(id).or_insert(now);
    }

    /// Whether an elevation lies idle, by what the agent gave its word for.
    fn is_idle(&self, id: ElevationId) -> bool {
        let quiet = self.quiet[&id];
        self.covered
            .is_some_and(|(since, until)| quiet.max(since).plus(IDLE_LONGEST) <= until)
    }
}

/// The same policy with a shorter idle time, or nothing would lie idle for so long.
pub(super) fn impatient(policy: &BundleSource) -> BundleSource {
    let files = policy.files().map(|(name, text)| {
        let text = text.replace("idle_longest = \"10m\"", "idle_longest = \"2m\"");
        // A server of its own: the entries of the others come and go.
        let text = text.replace(
            &format!("servers = [{DB:?}]"),
            &format!("servers = [{SERVER:?}]"),
        );
        (name.to_owned(), text)
    });
    let impatient = BundleSource::collect(files).unwrap();
    assert_ne!(&impatient, policy);
    impatient
}

impl Walk {
    /// The agent tells of a use or two, of a cover, or of both; and sometimes it has lost some.
    pub(super) async fn report(&mut self) {
        if self.below(2) == 0 {
            // A while in which nothing else happened.
            self.world.clock.advance(Seconds::new(125));
        }
        let now = self.world.service.now();
        let back = |seconds: usize| now.minus(Seconds::new(u32::try_from(seconds).unwrap()));
        if self.below(16) == 0 {
            self.silence.listens = now;
        }
        let mut uses = Vec::new();
        let active = self.active().await;
        for _ in 0..[0, 0, 1, 2][self.below(4)] {
            let subject = [WEB, DB][self.below(2)];
            let last = back(self.below(120)).plus(Seconds::new(30));
            uses.push(Seen {
                server: SERVER.parse().unwrap(),
                whom: Some((subject.parse().unwrap(), "db.read".parse().unwrap())),
                used: Used {
                    first: last.minus(Seconds::new(5)),
                    last,
                    count: 1,
                },
            });
            for elevation in &active {
                if elevation.request.subject.to_string() == subject {
                    let quiet = self.silence.quiet.get_mut(&elevation.id).unwrap();
                    *quiet = last.min(now).max(*quiet);
                }
            }
        }
        let since = self.silence.listens;
        let until = [now, now, now, back(20), back(700), now.plus(IDLE_LONGEST)][self.below(6)];
        let cover = (self.below(4) != 0 && since <= until).then(|| Cover {
            servers: vec![SERVER.parse().unwrap()],
            since,
            until,
        });
        if uses.is_empty() && cover.is_none() {
            return;
        }
        if cover.is_some() {
            let until = until.min(now);
            let newer = self
                .silence
                .covered
                .is_none_or(|(_, before)| before <= until);
            if newer {
                self.silence.covered = Some((since, until));
            }
        }
        let agent = &self.silence.agent.call;
        let report = self
            .world
            .service
            .report_uses(agent, Report { uses, cover });
        report.await.unwrap();
        for elevation in self.active().await {
            assert_eq!(
                elevation.idle_since(),
                self.silence.quiet.get(&elevation.id).copied(),
                "{:?}",
                self.at
            );
        }
        if self.below(2) == 0 {
            self.sweep().await;
        }
    }

    /// What ran out or lies idle ends, and nothing else.
    pub(super) async fn sweep(&mut self) {
        let before = self.active().await;
        let now = self.world.service.now();
        self.world.service.sweep().await.unwrap();
        for elevation in before {
            let row = self.world.store.elevation(elevation.id).await.unwrap();
            let expected = if elevation.runs_out_at().unwrap() <= now {
                Some(End::Expired)
            } else {
                let idle = self.silence.is_idle(elevation.id);
                idle.then_some(End::Unused)
            };
            let how = match row.unwrap().elevation.state {
                State::Ended { how, .. } => Some(how),
                _ => None,
            };
            assert_eq!(how, expected, "{:?} {elevation:?}", self.at);
            self.silence.ended += usize::from(how == Some(End::Unused));
        }
    }

    async fn active(&self) -> Vec<Elevation> {
        let filter = ElevationFilter {
            state: Some(protem::elevation::StateName::Active),
            ..ElevationFilter::default()
        };
        let rows = self.world.store.elevations(filter, None, 1_000).await;
        rows.unwrap().into_iter().map(|row| row.elevation).collect()
    }
}

const AGENT: &str = "spiffe://dev.protem.test/agent/one";
const SERVER: &str = "spiffe://dev.protem.test/ns/data/sa/db";
/// Of `db.read` in the walks' policies.
const IDLE_LONGEST: Seconds = Seconds::new(120);

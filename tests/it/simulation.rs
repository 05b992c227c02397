//! Random walks through everything that callers, operators and time can do, against a small model
//! of what is permitted.
//!
//! Promises that are looked at after every step: nothing is minted without permission at that
//! moment, and what is permitted is minted; no certificate outlives its elevation; an end that is
//! fixed never moves; no more instances than asked; silence ends what an agent says nobody used,
//! and nothing else. At the end of a walk: no elevation stays open past its clocks, the ledger has
//! no gap, and every certificate is in it.
//! A failing walk names its seed and step; the same seed walks the same way.

mod uses;

use std::collections::{BTreeMap, BTreeSet};

use protem::audit::{Key, SealedEvent};
use protem::elevation::{End, Instances, State};
use protem::id::entropy::Entropy;
use protem::id::{ElevationId, EntryId};
use protem::policy::BundleSource;
use protem::service::ServiceError;
use protem::service::elevate::ElevateRequest;
use protem::service::issue::{IssueRequest, Issued};
use protem::service::revoke::Target;
use protem::store::{ElevationFilter, ElevationRow, StoreError};
use protem::time::{Seconds, Timestamp};

use uses::{Silence, impatient};

use crate::world::{
    DB, Ground, Holder, WEB, World, asked, base, changed_policy, example_policy, terms,
};

#[tokio::test(flavor = "multi_thread")]
async fn random_walks_keep_every_promise() {
    let mut unused = 0;
    for seed in 1..=WALKS {
        let mut walk = Walk::new(seed).await;
        for step in 0..STEPS {
            walk.at = (seed, step);
            walk.step().await;
            walk.nothing_moved().await;
        }
        unused += walk.silence.ended;
        walk.end().await;
    }
    assert!(2 < unused, "walks in which nothing fell idle");
}

/// One walk: the world, and what we believe of it.
struct Walk {
    world: World,
    chance: Entropy,
    at: (u64, u32),
    holders: Vec<Holder>,
    /// The policies that are activated in turn, and whether each lets `demo` read.
    policies: [(BundleSource, bool); 2],
    reads: bool,
    stopped: bool,
    /// Of each subject: its entry, while it has one, and whether that is in the group `demo`.
    entries: BTreeMap<&'static str, (EntryId, bool)>,
    /// The end of each active elevation, from the moment that it was fixed.
    ends: BTreeMap<ElevationId, Timestamp>,
    fingerprints: BTreeSet<String>,
    silence: Silence,
}

impl Walk {
    async fn new(seed: u64) -> Self {
        let ground = Ground {
            policy: impatient(&example_policy()),
            ..Ground::default()
        };
        let world = World::on(ground).await;
        let silence = Silence::new(&world).await;
        let mut holders = Vec::new();
        for subject in [WEB, WEB, WEB, DB] {
            holders.push(world.holder(subject).await);
        }
        let mut entries = BTreeMap::new();
        for subject in [WEB, DB] {
            let entry = world
                .service
                .put_entry(&world.operator, terms(subject))
                .await
                .unwrap();
            entries.insert(subject, (entry.id, true));
        }
        let unread = changed_policy(
            "elevate.cedar",
            "when { context.has_reason };",
            "when { context.has_reason && context.has_ticket };",
        );
        let untested = unread
            .files()
            .filter(|(name, _)| *name != "tests/elevate.toml");
        let unread = BundleSource::collect(untested).unwrap();
        Self {
            world,
            chance: Entropy::seeded(seed),
            at: (seed, 0),
            holders,
            policies: [
                (impatient(&example_policy()), true),
                (impatient(&unread), false),
            ],
            reads: true,
            stopped: false,
            entries,
            ends: BTreeMap::new(),
            fingerprints: BTreeSet::new(),
            silence,
        }
    }

    /// A number below `bound`.
    fn below(&self, bound: usize) -> usize {
        usize::try_from(u64::from_be_bytes(self.chance.bytes()) % bound as u64).unwrap()
    }

    async fn step(&mut self) {
        // What takes rights away does not last, or the walk would stand still.
        if self.stopped && self.below(4) == 0 {
            self.release().await;
        }
        match self.below(100) {
            0..=17 => self.ask().await,
            18..=55 => self.mint().await,
            56..=60 => self.renew_base().await,
            61..=64 => self.cancel().await,
            65..=67 => self.revoke().await,
            68 => self.stop().await,
            69..=71 => self.activate().await,
            72..=76 => self.change_entry().await,
            77..=82 => self.report().await,
            83..=86 => self.sweep().await,
            _ => self.pass_time().await,
        }
    }

    async fn ask(&mut self) {
        let holder = &self.holders[self.below(self.holders.len())];
        let scope = ["db.read", "db.read", "db.read", "db.write"][self.below(4)];
        let start = self.world.service.now().plus(Seconds::new(600));
        let request = ElevateRequest {
            duration: [None, Some(Seconds::new(90)), Some(Seconds::new(600))][self.below(3)],
            not_before: (self.below(8) == 0).then_some(start),
            instances: [
                None,
                Some(Instances::All),
                Some(Instances::Count(1)),
                Some(Instances::Count(2)),
            ][self.below(4)],
            ..asked(scope)
        };
        let permitted = self.permitted(holder) && scope == "db.read";
        let answer = self.world.service.elevate(&holder.call, request).await;
        let at = self.at;
        match answer {
            Ok(row) => match row.elevation.state {
                State::Approved { .. } => assert!(permitted, "{at:?} approved"),
                State::Pending { .. } => assert_eq!(scope, "db.write", "{at:?} pending"),
                other => panic!("{at:?} opened as {other:?}"),
            },
            Err(ServiceError::Refused(_)) => assert!(!permitted, "{at:?} refused"),
            Err(ServiceError::Store(StoreError::TooManyOpen(_))) => {}
            Err(error) => panic!("{at:?} {error:?}"),
        }
    }

    /// A mint from any elevation, for any holder, by the elevation's id.
    async fn mint(&mut self) {
        let open_only = self.below(8) != 0;
        let Some(row) = self.any_elevation(open_only).await else {
            return;
        };
        let elevation = &row.elevation;
        let mut holder = &self.holders[self.below(self.holders.len())];
        if self.below(4) != 0 {
            // Mostly him who asked.
            let by = &elevation.request.asked_by.0;
            let asker = |one: &&Holder| one.call.caller.to_string() == *by;
            holder = self.holders.iter().rfind(asker).unwrap();
        }
        let now = self.world.service.now();
        let protem::attestation::Caller::Workload(workload) = &holder.call.caller else {
            panic!("a workload")
        };
        let own = holder.call.caller.subject() == Some(&elevation.request.subject);
        let reads = elevation.request.scope.as_str() == "db.read";
        let open = elevation.mintable(workload.instance, now).is_ok();
        let start = elevation.request.not_before.unwrap_or(now);
        let end = start.plus(elevation.request.duration);
        let end = self.ends.get(&elevation.id).copied().unwrap_or(end);
        // In its last second an elevation has no whole second left to mint for.
        let left = now.plus(Seconds::new(1)) < end;
        let permitted = own && reads && open && left && self.permitted(holder);
        let request = IssueRequest {
            elevation: Some(elevation.id),
            ..base(&holder.key)
        };
        let answer = self.world.service.issue(&holder.call, request).await;
        let told = format!("{:?} of {elevation:?}", self.at);
        assert_eq!(
            answer.is_ok(),
            permitted,
            "{told}: {:?}",
            answer.as_ref().err()
        );
        if let Ok(issued) = answer {
            self.check_mint(elevation.id, &issued, now).await;
        }
    }

    async fn check_mint(&mut self, id: ElevationId, issued: &Issued, now: Timestamp) {
        let told = format!("{:?}", self.at);
        let row = self.world.store.elevation(id).await.unwrap().unwrap();
        let State::Active { bound, ends_at, .. } = &row.elevation.state else {
            panic!("{told}: minted from {:?}", row.elevation.state)
        };
        if let Instances::Count(count) = row.elevation.request.instances {
            assert!(bound.len() <= usize::from(count), "{told}");
        }
        let request = &row.elevation.request;
        let start = request.not_before.unwrap_or(now);
        let first = *self
            .ends
            .entry(id)
            .or_insert_with(|| start.plus(request.duration));
        assert_eq!(*ends_at, first, "{told}: the end that the first mint fixed");
        self.silence.minted(id, now);
        let last = issued.svid.certificate.tbs().not_after;
        assert!(last < *ends_at, "{told}: outlives its elevation");
        assert!(
            last < now.plus(SVID_LIFE),
            "{told}: outlives its scope's life"
        );
        let uri = &issued
            .svid
            .certificate
            .tbs()
            .alt_names
            .as_ref()
            .unwrap()
            .uris[0];
        assert_eq!(
            *uri,
            format!("{}/scope/{}", request.subject, request.scope),
            "{told}"
        );
        self.remember(issued);
    }

    async fn renew_base(&mut self) {
        let holder = &self.holders[self.below(self.holders.len())];
        let known = self.entries.contains_key(subject(holder));
        let answer = self
            .world
            .service
            .issue(&holder.call, base(&holder.key))
            .await;
        let permitted = known && !self.stopped;
        assert_eq!(
            answer.is_ok(),
            permitted,
            "{:?}: {:?}",
            self.at,
            answer.as_ref().err()
        );
        if let Ok(issued) = answer {
            self.remember(&issued);
        }
    }

    async fn cancel(&mut self) {
        let Some(row) = self.any_elevation(true).await else {
            return;
        };
        let by = row.elevation.request.asked_by.0.clone();
        let mut holders = self.holders.iter();
        let asker = holders
            .find(|holder| holder.call.caller.to_string() == by)
            .unwrap();
        let answer = self
            .world
            .service
            .cancel(&asker.call, row.elevation.id)
            .await;
        let early = matches!(
            row.elevation.state,
            State::Pending { .. } | State::Approved { .. }
        );
        assert_eq!(answer.is_ok(), early, "{:?} {:?}", self.at, answer.err());
    }

    async fn revoke(&mut self) {
        let Some(row) = self.any_elevation(true).await else {
            return;
        };
        let id = row.elevation.id;
        let revoked = self
            .world
            .service
            .revoke(&self.world.operator, id, "over")
            .await
            .unwrap();
        let state = revoked.elevation.state;
        let ended = matches!(
            state,
            State::Ended {
                how: End::Revoked,
                ..
            }
        );
        assert!(ended, "{:?} {state:?}", self.at);
    }

    async fn stop(&mut self) {
        let (service, operator) = (&self.world.service, &self.world.operator);
        let all = service
            .revoke_many(operator, Target::Everything, "incident")
            .await
            .unwrap();
        assert!(all.minting_stopped, "{:?}", self.at);
        self.stopped = true;
        assert!(
            self.any_elevation(true).await.is_none(),
            "{:?} still open",
            self.at
        );
    }

    async fn release(&mut self) {
        let operator = &self.world.operator;
        let state = self
            .world
            .service
            .release_minting(operator, "over")
            .await
            .unwrap();
        assert!(!state.stopped, "{:?}", self.at);
        self.stopped = false;
    }

    async fn activate(&mut self) {
        let (policy, reads) = &self.policies[usize::from(self.below(4) == 0)];
        self.world
            .service
            .activate_policy(&self.world.operator, policy)
            .await
            .unwrap();
        self.reads = *reads;
    }

    /// Moves a workload out of its group or back, or takes its entry away.
    async fn change_entry(&mut self) {
        let subject = [WEB, DB][self.below(2)];
        let (service, operator) = (&self.world.service, &self.world.operator);
        let known = self.entries.get(subject).copied();
        if let (0, Some((id, _))) = (self.below(6), known) {
            service.remove_entry(operator, id).await.unwrap();
            self.entries.remove(subject);
            return;
        }
        let demo = self.below(4) != 0;
        let mut changed = terms(subject);
        changed.groups.retain(|_| demo);
        let entry = service.put_entry(operator, changed).await.unwrap();
        self.entries.insert(subject, (entry.id, demo));
    }

    /// As in a server: what is due is renewed and swept, sooner or later.
    async fn pass_time(&mut self) {
        let steps = [
            1, 5, 10, 29, 30, 30, 45, 59, 60, 60, 61, 89, 90, 300, 600, 899, 900, 3_600,
        ];
        self.world
            .clock
            .advance(Seconds::new(steps[self.below(steps.len())]));
        self.world.service.rotate().await.unwrap();
    }

    /// Whether policy lets this holder read, were his elevation open.
    fn permitted(&self, holder: &Holder) -> bool {
        let in_demo = self
            .entries
            .get(subject(holder))
            .is_some_and(|(_, demo)| *demo);
        in_demo && self.reads && !self.stopped
    }

    /// Any elevation so far; or any that is open.
    async fn any_elevation(&self, open_only: bool) -> Option<ElevationRow> {
        let filter = ElevationFilter {
            open_only,
            ..ElevationFilter::default()
        };
        let mut rows = self
            .world
            .store
            .elevations(filter, None, 1_000)
            .await
            .unwrap();
        // Mostly the young ones, which may still be minted from.
        let young = rows.len().saturating_sub(6);
        let rows = if self.below(8) == 0 {
            rows
        } else {
            rows.split_off(young)
        };
        let which = (!rows.is_empty()).then(|| self.below(rows.len()))?;
        rows.into_iter().nth(which)
    }

    fn remember(&mut self, issued: &Issued) {
        self.fingerprints
            .insert(issued.svid.certificate.fingerprint().to_string());
    }

    /// Ends stay where the first mint put them.
    async fn nothing_moved(&self) {
        for (id, end) in self.ends.iter().rev().take(8) {
            let row = self.world.store.elevation(*id).await.unwrap().unwrap();
            if let State::Active { ends_at, .. } = row.elevation.state {
                assert_eq!(ends_at, *end, "{:?}", self.at);
            }
        }
    }

    async fn end(self) {
        let seed = self.at.0;
        self.world.clock.advance(Seconds::new(2 * 3_600));
        self.world.service.sweep().await.unwrap();
        let open = ElevationFilter {
            open_only: true,
            ..ElevationFilter::default()
        };
        let open = self.world.store.elevations(open, None, 10).await.unwrap();
        assert!(open.is_empty(), "seed {seed}: {open:?}");

        let events = self.world.events().await;
        let mut planned = BTreeSet::new();
        let mut issued = BTreeSet::new();
        for event in &events {
            let number = event.number().to_string();
            match event.event().kind().as_str() {
                "svid.intent" | "authority.intent" => assert!(planned.insert(number)),
                "svid.issued" | "authority.issued" => {
                    let of = key(event, Key::Intent);
                    assert!(
                        planned.remove(&of),
                        "seed {seed}: intent {of} twice or never"
                    );
                    issued.insert(key(event, Key::Fingerprint));
                }
                "svid.failed" | "authority.failed" => panic!("seed {seed}: {}", event.bytes()),
                _ => {}
            }
        }
        assert!(
            planned.is_empty(),
            "seed {seed}: without outcome: {planned:?}"
        );
        let unknown: Vec<_> = self.fingerprints.difference(&issued).collect();
        assert!(
            unknown.is_empty(),
            "seed {seed}: not in the ledger: {unknown:?}"
        );
        assert!(
            8 < self.fingerprints.len(),
            "seed {seed}: a walk that minted nothing"
        );
    }
}

fn subject(holder: &Holder) -> &'static str {
    let own = holder.call.caller.subject().unwrap().to_string();
    [WEB, DB]
        .into_iter()
        .find(|subject| own == *subject)
        .unwrap()
}

fn key(event: &SealedEvent, key: Key) -> String {
    event.event().key(key).unwrap().to_owned()
}

/// The life of `db.read` in the example.
const SVID_LIFE: Seconds = Seconds::new(60);
const WALKS: u64 = 6;
const STEPS: u32 = 250;

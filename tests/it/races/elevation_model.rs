//! One elevation, and everybody at it at once: approved by a policy that changes, minted from by
//! several instances, used, revoked, cancelled, given back, run out, fallen idle, and the kill
//! switch beside it.
//!
//! The moves are `protem::elevation`'s own; modelled is only what the store adds: a snapshot is
//! read at one moment, and a change is written where the version (and, for a mint, the kill switch)
//! is still that of the snapshot, together with its event.

use protem::elevation::{Elevation, Instances, Move, Request, Requester, State, Used};
use protem::id::{EventNumber, Instance};
use protem::time::{Seconds, Timestamp};
use shuttle::rand::Rng as _;
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use super::schedules::tried;

/// What is stored: changed under the lock, as in the one writing thread.
struct Stored {
    elevation: Elevation,
    /// Rises with each stop.
    minting_stopped: bool,
    now_s: i64,
    ledger: Vec<Event>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Minted { by: Instance, not_after: Timestamp },
    Moved(Move),
    Stopped,
    Used,
}

#[derive(Debug, PartialEq, Eq)]
enum Refused {
    No,
    Stale,
}

type Store = Arc<Mutex<Stored>>;

#[test]
fn an_elevation_ends_once_and_nothing_is_minted_after_its_end() {
    tried(|| {
        let places = shuttle::rand::thread_rng().gen_range(1..=2);
        let pending = shuttle::rand::thread_rng().gen_bool(0.5);
        let store = opened(Instances::Count(places), pending);
        let mut threads = Vec::new();
        let mut begin = |act: fn(&Store, u8), who: u8| {
            let store = Arc::clone(&store);
            threads.push(thread::spawn(move || act(&store, who)));
        };
        if pending {
            begin(|store, _| moves(store, Move::Approve), 0);
        }
        for instance in 1..=3 {
            begin(mints, instance);
        }
        begin(|store, _| moves(store, Move::Revoke), 0);
        begin(|store, _| moves(store, Move::Cancel), 0);
        begin(|store, _| moves(store, Move::Withdraw), 0);
        begin(|store, _| time_passes(store), 0);
        begin(|store, _| falls_idle(store), 0);
        begin(|store, _| store.lock().unwrap().note_use(), 0);
        begin(|store, _| store.lock().unwrap().stop(), 0);
        for thread in threads {
            thread.join().unwrap();
        }
        store.lock().unwrap().check(usize::from(places));
    });
}

fn opened(instances: Instances, pending: bool) -> Store {
    let request = Request {
        subject: "spiffe://td.example/web".parse().unwrap(),
        scope: "db.read".parse().unwrap(),
        duration: Seconds::new(600),
        not_before: None,
        instances,
        reason: None,
        ticket: None,
        asked_by: Requester("workload:spiffe://td.example/web".into()),
        asked_at: at(OPENED_S),
        extends: None,
        on_demand: false,
        break_glass: false,
    };
    let id = "el-00000000000000000000000000000001".parse().unwrap();
    let elevation = if pending {
        Elevation::pending(id, request, Vec::new())
    } else {
        Elevation::approved(id, request)
    };
    Arc::new(Mutex::new(Stored {
        elevation,
        minting_stopped: false,
        now_s: OPENED_S,
        ledger: Vec::new(),
    }))
}

/// As a walk: snapshot, decision, conditional write; anew where a fact changed.
fn mints(store: &Store, who: u8) {
    let by = Instance::from_bytes([who; 32]);
    for _ in 0..ATTEMPTS_MAX {
        let (seen, stopped, now) = store.lock().unwrap().seen();
        if stopped {
            return;
        }
        let Ok(ends_at) = seen.mintable(by, now) else {
            return;
        };
        let not_after = ends_at.min(now.plus(SVID_LIFE));
        let done = store.lock().unwrap().mint(by, now, not_after, seen.version);
        if done != Err(Refused::Stale) {
            return;
        }
    }
}

fn moves(store: &Store, step: Move) {
    for _ in 0..ATTEMPTS_MAX {
        let (seen, _, now) = store.lock().unwrap().seen();
        let from_version = seen.version;
        let Ok(after) = seen.moved(step, now) else {
            return;
        };
        let done = store.lock().unwrap().change(from_version, after, step);
        if done.is_ok() {
            return;
        }
    }
}

/// The clock goes past every end, and the sweeper comes by.
fn time_passes(store: &Store) {
    store.lock().unwrap().now_s += 4_000;
    let (seen, _, now) = store.lock().unwrap().seen();
    if seen.runs_out_at().is_some_and(|end| end <= now) {
        moves(store, Move::RunOut);
    }
}

/// The sweeper, who was told that nobody used anything up to the opening's second and for so long
/// after it: one attempt, as the next round is the retry.
fn falls_idle(store: &Store) {
    let (seen, _, now) = store.lock().unwrap().seen();
    if seen.idle_since().is_none_or(|since| at(OPENED_S) < since) {
        return;
    }
    let from_version = seen.version;
    if let Ok(after) = seen.moved(Move::FallIdle, now) {
        let _ = store
            .lock()
            .unwrap()
            .change(from_version, after, Move::FallIdle);
    }
}

impl Stored {
    fn seen(&self) -> (Elevation, bool, Timestamp) {
        (self.elevation.clone(), self.minting_stopped, at(self.now_s))
    }

    fn mint(
        &mut self,
        by: Instance,
        now: Timestamp,
        not_after: Timestamp,
        version: u64,
    ) -> Result<(), Refused> {
        if self.elevation.version != version || self.minting_stopped {
            return Err(Refused::Stale);
        }
        let number = EventNumber::new(u64::try_from(self.ledger.len()).unwrap() + 1).unwrap();
        let minted = self.elevation.clone().minted(by, now, number);
        self.elevation = minted.map_err(|_| Refused::No)?;
        self.ledger.push(Event::Minted { by, not_after });
        Ok(())
    }

    fn change(&mut self, from: u64, after: Elevation, step: Move) -> Result<(), Refused> {
        if self.elevation.version != from {
            return Err(Refused::Stale);
        }
        self.elevation = after;
        self.ledger.push(Event::Moved(step));
        Ok(())
    }

    /// A report of a use that is a second old at most, in one act.
    fn note_use(&mut self) {
        self.now_s += 1;
        let now = at(self.now_s);
        let used = Used {
            first: now,
            last: now,
            count: 1,
        };
        if let Some(after) = self.elevation.clone().seen_used(used, now) {
            self.elevation = after;
            self.ledger.push(Event::Used);
        }
    }

    fn stop(&mut self) {
        self.minting_stopped = true;
        self.ledger.push(Event::Stopped);
    }

    fn check(&self, places: usize) {
        let ledger = &self.ledger;
        let is_final =
            |event: &Event| matches!(event, Event::Moved(step) if *step != Move::Approve);
        let ends: Vec<_> = ledger
            .iter()
            .enumerate()
            .filter(|(_, event)| is_final(event))
            .collect();
        assert!(ends.len() <= 1, "ends once: {ledger:?}");
        let used = ledger.iter().position(|event| *event == Event::Used);
        let idle = Event::Moved(Move::FallIdle);
        let idle = ledger.iter().position(|event| *event == idle);
        assert!(used.is_none() || idle.is_none(), "{ledger:?}");
        let minted = |event: &Event| matches!(event, Event::Minted { .. });
        let last_mint = ledger.iter().rposition(minted);
        for shut in [
            ends.first().map(|(at, _)| *at),
            ledger.iter().position(|e| *e == Event::Stopped),
        ] {
            assert!(
                last_mint.zip(shut).is_none_or(|(mint, end)| mint < end),
                "{ledger:?}"
            );
        }
        let mut holders: Vec<[u8; 32]> = Vec::new();
        for event in ledger {
            if let Event::Minted { by, not_after } = event {
                holders.push(*by.bytes());
                // Activated at the opening's second or, were it so late, not at all.
                assert!(
                    *not_after <= at(OPENED_S).plus(Seconds::new(600)),
                    "{ledger:?}"
                );
            }
        }
        holders.sort_unstable();
        holders.dedup();
        assert!(holders.len() <= places, "{ledger:?}");
        let is_over = ends.is_empty() == self.elevation.runs_out_at().is_some();
        assert!(is_over, "the state is what the ledger tells: {ledger:?}");
        if let State::Active { bound, .. } = &self.elevation.state {
            assert_eq!(bound.len(), holders.len());
        }
    }
}

fn at(unix_s: i64) -> Timestamp {
    Timestamp::from_unix_s(unix_s).unwrap()
}

const OPENED_S: i64 = 1_000;
const SVID_LIFE: Seconds = Seconds::new(300);
const ATTEMPTS_MAX: usize = 8;

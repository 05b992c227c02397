//! What the store's tests are made of: a store, events, intents, elevations.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protem::attestation::{Bearer, Entry, EntryTerms, Obtainer};
use protem::audit::{Event, EventKind, Key};
use protem::elevation::{Elevation, Instances, Request, Requester};
use protem::id::entropy::Entropy;
use protem::id::{ElevationId, EntryId, EventNumber, Instance, TokenId};
use protem::identity::Subject;
use protem::store::sqlite::Sqlite;
use protem::store::{
    ActivatePolicy, EventFilter, Intent, Mint, NewElevation, NewToken, RetryKey, Store,
};
use protem::time::{Seconds, Timestamp};
use tokio::task::JoinSet;

/// A store in a folder of its own.
pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    _folder: tempfile::TempDir,
}

/// A world on SQLite.
pub(crate) fn sqlite() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Sqlite::open(&folder.path().join("store.db")).unwrap();
    World {
        store: Arc::new(store),
        _folder: folder,
    }
}

/// Runs `count` callers at once, each with its number from 0.
pub(crate) async fn together<T, F>(
    store: &Arc<dyn Store>,
    count: u8,
    caller: impl Fn(Arc<dyn Store>, u8) -> F,
) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut callers = JoinSet::new();
    for number in 0..count {
        callers.spawn(caller(Arc::clone(store), number));
    }
    callers.join_all().await
}

/// Every number of the ledger, read page by page.
pub(crate) async fn numbers(store: &dyn Store) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut after = None;
    loop {
        let filter = EventFilter::default();
        let page = store.events(filter, after, None, 100).await.unwrap();
        let Some(last) = page.last() else {
            return numbers;
        };
        after = Some(last.number());
        numbers.extend(page.iter().map(|event| event.number().value()));
    }
}

/// The numbers of a ledger with so many events.
pub(crate) fn gapless(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

pub(crate) fn at(unix_s: i64) -> Timestamp {
    Timestamp::from_unix_s(unix_s).unwrap()
}

pub(crate) fn number(number: u64) -> EventNumber {
    EventNumber::new(number).unwrap()
}

pub(crate) fn instance(number: u8) -> Instance {
    Instance::from_bytes([number; 32])
}

pub(crate) fn subject() -> Subject {
    "spiffe://td.example/web".parse().unwrap()
}

/// An event at second 1,000 about [`subject`].
pub(crate) fn event(kind: EventKind) -> Event {
    event_at(kind, 1_000)
}

pub(crate) fn event_at(kind: EventKind, unix_s: i64) -> Event {
    Event::new(kind, at(unix_s), "tester").with(Key::Subject, subject().to_string())
}

/// A base issuance with a serial of its own.
pub(crate) fn intent() -> Intent {
    static SERIALS: AtomicU64 = AtomicU64::new(1);
    let serial = SERIALS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    Intent {
        event: event(EventKind::SvidIntent),
        serial: serial.to_vec(),
        tbs: vec![0xab; 64],
        index_at: Some(8),
        guards: Vec::new(),
        mint: None,
        spend: None,
        retry: None,
    }
}

pub(crate) fn retry(caller: &str, request: u8) -> RetryKey {
    RetryKey {
        caller: caller.to_owned(),
        key: "key-1".to_owned(),
        request: [request; 32],
    }
}

/// A request for ten minutes, asked at second 1,000.
pub(crate) fn request(instances: Instances) -> Request {
    Request {
        subject: subject(),
        scope: "db.read".parse().unwrap(),
        duration: Seconds::new(600),
        not_before: None,
        instances,
        reason: None,
        ticket: Some("OPS-1".parse().unwrap()),
        asked_by: Requester("workload:spiffe://td.example/web".to_owned()),
        asked_at: at(1_000),
        extends: None,
        on_demand: false,
        break_glass: true,
    }
}

pub(crate) fn elevation_id(number: u8) -> ElevationId {
    ElevationId::random(&Entropy::seeded(u64::from(number)))
}

pub(crate) fn approved(number: u8, instances: Instances) -> Elevation {
    Elevation::approved(elevation_id(number), request(instances))
}

pub(crate) fn opening(elevation: Elevation) -> NewElevation {
    NewElevation {
        elevation,
        event: event(EventKind::ElevationApproved),
        guards: Vec::new(),
        reason: None,
        retry: None,
        open_max: 1_000,
    }
}

/// A mint at second 1,100.
pub(crate) fn mint(elevation: u8, holder: u8) -> Intent {
    Intent {
        mint: Some(Mint {
            elevation: elevation_id(elevation),
            instance: instance(holder),
            at: at(1_100),
        }),
        ..intent()
    }
}

/// A token for [`subject`] that ends at second 2,000.
pub(crate) fn token(number: u8) -> NewToken {
    let entropy = Entropy::seeded(u64::from(number));
    NewToken {
        id: TokenId::random(&entropy),
        digest: Bearer::join_token(&entropy).digest(),
        subject: subject(),
        expires_at: at(2_000),
        event: event(EventKind::TokenCreated),
    }
}

pub(crate) fn entry() -> Entry {
    Entry {
        id: EntryId::random(&Entropy::seeded(1)),
        version: 1,
        terms: EntryTerms {
            subject: subject(),
            selectors: vec!["unix:uid:1000".parse().unwrap()],
            obtained_by: vec![
                Obtainer::Token,
                Obtainer::Agent("spiffe://td.example/agent/a".parse().unwrap()),
            ],
            owner: "payments".parse().unwrap(),
            groups: vec!["web".parse().unwrap(), "edge".parse().unwrap()],
            life: Seconds::new(3_600),
            hint: Some("internal \"one\"".to_owned()),
            federates_with: vec!["partner.example".parse().unwrap()],
        },
    }
}

pub(crate) fn policy(content: &[u8]) -> ActivatePolicy {
    ActivatePolicy {
        content: content.to_vec(),
        digest: [7; 32],
        author: "operator:alice".to_owned(),
        event: event(EventKind::PolicyActivated),
    }
}

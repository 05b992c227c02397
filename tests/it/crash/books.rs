//! The ledger as the audit query tells it, and as a copy of the store holds it, against what
//! clients have in hands.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use protem::audit::{EventKind, Key, SealedEvent, Value};
use protem::id::EventNumber;
use protem::store::sqlite::Sqlite;
use protem::store::{EventFilter, Store};
use protem::time::{Seconds, Timestamp};
use protem::wire::event::{EventQuery, EventView, Trailer};
use protem::x509::Fingerprint;

use crate::cli::{protem, stderr};
use crate::crash::house::{House, Received};

/// The whole ledger.
pub(crate) struct Books {
    events: Vec<SealedEvent>,
    /// The certificates that the store keeps, by the number of their intent.
    kept: HashMap<EventNumber, Vec<u8>>,
}

/// An elevation as the ledger tells it.
struct Told {
    duration: Seconds,
    activated: Option<Timestamp>,
    /// The number of the event that ended it before its time, or at it.
    ended: Option<EventNumber>,
}

impl Books {
    /// Reads everything from a server, in each way that there is, and compares.
    pub(crate) async fn read(house: &House) -> Self {
        let paged = pages(house).await;
        let streamed = stream(house).await;
        let (events, kept) = copy(house).await;
        assert!(!paged.is_empty() && paged.len() < streamed.len());
        assert_eq!(
            paged[..],
            streamed[..paged.len()],
            "pages and stream differ"
        );
        assert!(
            streamed.len() <= events.len(),
            "a copy holds all that was told"
        );
        for (view, event) in streamed.iter().zip(&events) {
            compare(view, event);
        }
        for (number, event) in (1..).zip(&events) {
            assert_eq!(event.number().value(), number, "a gap");
        }
        let books = Self { events, kept };
        books.ask_some(house).await;
        books
    }

    /// Holds the books against what was received and asked for.
    pub(crate) fn hold(&self, received: &[Received], asked_once: &[Fingerprint]) {
        self.intents_have_one_outcome_each();
        self.stopped_minting_mints_nothing();
        self.tokens_are_spent_once();
        self.keys_are_certified_once(asked_once);
        self.certificates_end_with_their_elevations();
        self.received_is_recorded(received);
    }

    /// How many intents were told to have failed.
    pub(crate) fn told(&self) -> u64 {
        let kinds = [EventKind::SvidFailed, EventKind::AuthorityFailed];
        kinds.map(|kind| self.of(kind).count() as u64).iter().sum()
    }

    pub(crate) fn summary(&self) -> String {
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        for event in &self.events {
            *kinds.entry(event.event().kind().as_str()).or_default() += 1;
        }
        format!("{} events: {kinds:#?}", self.events.len())
    }

    fn of(&self, kind: EventKind) -> impl Iterator<Item = &SealedEvent> {
        let of = move |event: &&SealedEvent| event.event().kind() == kind;
        self.events.iter().filter(of)
    }

    fn intents(&self) -> impl Iterator<Item = &SealedEvent> {
        self.events.iter().filter(|event| is_intent(event))
    }

    fn at(&self, number: EventNumber) -> &SealedEvent {
        &self.events[usize::try_from(number.index()).unwrap()]
    }

    fn intents_have_one_outcome_each(&self) {
        let mut open: BTreeSet<u64> = self.intents().map(|one| one.number().value()).collect();
        let mut serials = BTreeSet::new();
        for event in self.intents() {
            let serial = event.event().key(Key::Serial).unwrap();
            assert!(serials.insert(serial), "serial {serial} twice");
        }
        let outcomes = self.events.iter();
        for event in outcomes.filter(|event| event.event().key(Key::Intent).is_some()) {
            let intent = intent_of(event);
            assert!(open.remove(&intent.value()), "a second outcome: {event:?}");
            assert!(intent < event.number(), "before its intent: {event:?}");
            for key in [Key::Serial, Key::Elevation, Key::Subject, Key::Scope] {
                let planned = self.at(intent).event().key(key);
                assert_eq!(event.event().key(key), planned, "{event:?}");
            }
        }
        assert!(open.is_empty(), "intents without outcome: {open:?}");
    }

    fn stopped_minting_mints_nothing(&self) {
        let mut stopped = false;
        for event in &self.events {
            match event.event().kind() {
                EventKind::MintingStopped => stopped = true,
                EventKind::MintingReleased => stopped = false,
                EventKind::SvidIntent => assert!(!stopped, "minted while stopped: {event:?}"),
                _ => {}
            }
        }
    }

    fn tokens_are_spent_once(&self) {
        let callers = self.of(EventKind::SvidIntent).map(caller);
        let mut tokens: Vec<_> = callers.filter(|who| who.starts_with("token:")).collect();
        let spent = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), spent, "a token was spent twice");
        assert!(0 < spent);
    }

    fn keys_are_certified_once(&self, keys: &[Fingerprint]) {
        let mut count: HashMap<String, u64> = HashMap::new();
        for event in self.of(EventKind::SvidIntent) {
            *count
                .entry(text(event, "key_sha256").to_owned())
                .or_default() += 1;
        }
        // A base SVID is renewed for the same key, by its holder and not by a token.
        let renewed: BTreeSet<&str> = self
            .of(EventKind::SvidIntent)
            .filter(|event| event.event().key(Key::Elevation).is_none())
            .filter(|event| caller(event).starts_with("workload:"))
            .map(|event| text(event, "key_sha256"))
            .collect();
        for key in keys.iter().map(ToString::to_string) {
            let planned = count.get(&key).copied().unwrap_or_default();
            assert!(
                planned <= 1 || renewed.contains(key.as_str()),
                "one request, {planned} intents for the key {key}"
            );
        }
    }

    fn certificates_end_with_their_elevations(&self) {
        let mut elevations: HashMap<&str, Told> = HashMap::new();
        for event in &self.events {
            let Some(id) = event.event().key(Key::Elevation) else {
                continue;
            };
            match event.event().kind() {
                EventKind::ElevationApproved => {
                    let Some(Value::Integer(duration)) = event.event().field("duration_s") else {
                        panic!("no duration: {event:?}")
                    };
                    let told = Told {
                        duration: Seconds::new(u32::try_from(*duration).unwrap()),
                        activated: None,
                        ended: None,
                    };
                    assert!(elevations.insert(id, told).is_none(), "opened twice: {id}");
                }
                EventKind::SvidIntent => {
                    let told = elevations.get_mut(id).expect("opened before");
                    assert!(told.ended.is_none(), "minted after the end: {event:?}");
                    let activated = *told.activated.get_or_insert_with(|| event.event().at());
                    let end = activated.plus(told.duration);
                    // The last second is inclusive.
                    let gone = not_after(event).plus(Seconds::new(1));
                    assert!(gone <= end, "outlives its elevation, {end}: {event:?}");
                }
                EventKind::ElevationCancelled | EventKind::ElevationEnded => {
                    let told = elevations.get_mut(id).expect("opened before");
                    assert!(told.ended.is_none(), "ended twice: {event:?}");
                    told.ended = Some(event.number());
                }
                EventKind::ElevationDenied | EventKind::SvidFailed | EventKind::SvidIssued => {}
                kind => panic!("not expected here: {kind}"),
            }
        }
        let used = elevations.values().filter(|told| told.activated.is_some());
        assert!(0 < used.count());
    }

    fn received_is_recorded(&self, received: &[Received]) {
        let mut issued: HashMap<&str, Vec<&SealedEvent>> = HashMap::new();
        let activations = self.activations();
        for event in self.of(EventKind::SvidIssued) {
            let fingerprint = event.event().key(Key::Fingerprint).unwrap();
            issued.entry(fingerprint).or_default().push(event);
        }
        for one in received {
            let certificate = &one.certificate;
            let fingerprint = certificate.fingerprint().to_string();
            let Some([outcome]) = issued.get(fingerprint.as_str()).map(Vec::as_slice) else {
                panic!("{fingerprint} is not in exactly one event");
            };
            let intent = self.at(intent_of(outcome));
            let serial: String = certificate.tbs().serial.iter().copied().map(hex).collect();
            for event in [outcome, intent] {
                assert_eq!(event.event().key(Key::Serial), Some(serial.as_str()));
                assert_eq!(event.event().key(Key::Elevation), one.elevation.as_deref());
            }
            let tbs = Fingerprint::of(certificate.tbs_der()).to_string();
            assert_eq!(text(intent, "tbs_sha256"), tbs, "{fingerprint}");
            assert_eq!(not_after(intent), certificate.tbs().not_after);
            assert_eq!(self.kept[&intent.number()], certificate.der());
            if let Some(event) = one.event {
                assert_eq!(intent.number().value(), event);
            }
            if let Some(evidence) = &certificate.tbs().evidence {
                let elevation = intent.event().key(Key::Elevation).unwrap();
                assert_eq!(
                    activations[elevation], evidence.activation_index,
                    "{intent:?}"
                );
            }
        }
    }

    /// The mint that activated each elevation.
    fn activations(&self) -> HashMap<&str, u64> {
        let mut first = HashMap::new();
        for event in self.of(EventKind::SvidIntent) {
            if let Some(elevation) = event.event().key(Key::Elevation) {
                first
                    .entry(elevation)
                    .or_insert_with(|| event.number().index());
            }
        }
        first
    }

    /// The query finds one certificate by its fingerprint, and one event with its exact bytes.
    async fn ask_some(&self, house: &House) {
        let issued: Vec<_> = self.of(EventKind::SvidIssued).collect();
        for event in issued.iter().step_by(issued.len().div_ceil(SAMPLES).max(1)) {
            let query = EventQuery {
                fingerprint: event.event().key(Key::Fingerprint).map(str::to_owned),
                ..EventQuery::default()
            };
            let found = house.operator().events(&query).await.unwrap().items;
            let [found] = found.as_slice() else {
                panic!("{} rows for {event:?}", found.len());
            };
            compare(found, event);
            let number = intent_of(event);
            let detail = house.operator().event(number.value()).await.unwrap();
            assert_eq!(detail.bytes, self.at(number).bytes());
        }
    }
}

/// The ledger by pages.
async fn pages(house: &House) -> Vec<EventView> {
    let mut events = Vec::new();
    let mut query = EventQuery {
        limit: Some(PAGE_ROWS),
        ..EventQuery::default()
    };
    loop {
        let page = house.operator().events(&query).await.unwrap();
        events.extend(page.items);
        let Some(next) = page.next else {
            return events;
        };
        query.cursor = Some(next);
    }
}

/// The ledger as one stream of lines.
async fn stream(house: &House) -> Vec<EventView> {
    let mut text = Vec::new();
    let mut sink = |piece: &[u8]| {
        text.extend_from_slice(piece);
        Ok(())
    };
    let query = EventQuery::default();
    let exported = house.operator().export_events(&query, &mut sink).await;
    exported.unwrap();
    let text = String::from_utf8(text).unwrap();
    let (rows, last) = text.trim_end().rsplit_once('\n').unwrap();
    let events: Vec<EventView> = rows
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let Trailer { trailer } = serde_json::from_str(last).unwrap();
    assert_eq!((trailer.events, trailer.next), (events.len() as u64, None));
    events
}

/// A copy by `protem backup`, which reads every page of it (`PRAGMA integrity_check`).
async fn copy(house: &House) -> (Vec<SealedEvent>, HashMap<EventNumber, Vec<u8>>) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("copy.db");
    let data = house.place.directory.to_str().unwrap();
    let words = ["--dir", data, "backup", to.to_str().unwrap()];
    let output = protem(folder.path(), &words);
    assert!(output.status.success(), "{}", stderr(&output));
    let store = Sqlite::open(&to).unwrap();
    let mut events: Vec<SealedEvent> = Vec::new();
    loop {
        let after = events.last().map(SealedEvent::number);
        let filter = EventFilter::default();
        let more = store.events(filter, after, None, PAGE_ROWS).await.unwrap();
        if more.is_empty() {
            break;
        }
        events.extend(more);
    }
    let mut kept = HashMap::new();
    for intent in events.iter().filter(|event| is_intent(event)) {
        if let Some(row) = store.certificate(intent.number()).await.unwrap() {
            kept.insert(intent.number(), row.der);
        }
    }
    assert!(store.unfinished(1).await.unwrap().is_empty());
    (events, kept)
}

#[track_caller]
fn compare(view: &EventView, event: &SealedEvent) {
    assert_eq!(view.number, event.number().value());
    let told = event.event();
    assert_eq!(view.at, told.at().rfc3339());
    assert_eq!(view.kind, told.kind().as_str());
    assert_eq!(view.caller, caller(event));
    for (of_view, key) in [
        (&view.subject, Key::Subject),
        (&view.scope, Key::Scope),
        (&view.elevation, Key::Elevation),
        (&view.serial, Key::Serial),
        (&view.fingerprint, Key::Fingerprint),
        (&view.outcome, Key::Outcome),
    ] {
        assert_eq!(of_view.as_deref(), told.key(key), "{event:?}");
    }
}

fn is_intent(event: &SealedEvent) -> bool {
    let kinds = [EventKind::SvidIntent, EventKind::AuthorityIntent];
    kinds.contains(&event.event().kind())
}

fn intent_of(outcome: &SealedEvent) -> EventNumber {
    let number = outcome.event().key(Key::Intent).expect("an intent");
    EventNumber::new(number.parse().unwrap()).unwrap()
}

fn not_after(intent: &SealedEvent) -> Timestamp {
    text(intent, "not_after").parse().unwrap()
}

fn caller(event: &SealedEvent) -> &str {
    event.event().key(Key::Caller).unwrap()
}

#[track_caller]
fn text<'a>(event: &'a SealedEvent, name: &str) -> &'a str {
    let value = event.event().field(name).and_then(Value::as_text);
    value.unwrap_or_else(|| panic!("no `{name}`: {event:?}"))
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

const PAGE_ROWS: u32 = 500;
/// How many certificates are looked for one by one.
const SAMPLES: usize = 40;

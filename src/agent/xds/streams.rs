//! The streams that are open: how many, whose, and how far each is.
//!
//! Promises: at most so many in all, for each user and for each process, and some that only root of
//! the host gets; one that asks for nothing, or whose caller has no entry, ends after a while. A
//! stream that ends is not shown any more. What a client refused is shown until it accepts
//! something newer: it goes on with what it had. Refuses: resources themselves; only names and
//! versions are kept here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tonic::Status;

use crate::agent::caller::Caller;
use crate::agent::seats::{Seat, Seats, SeatsMax};
use crate::agent::xds::dialect::{Heard, bounded};
use crate::metric::agent_table::{ANSWERS, RESPONSES, STREAMS_OPEN, STREAMS_REFUSED};
use crate::metric::{Counter, Gauge, Many, One, Sheet};
use crate::proto::agent::StreamStatus;

/// All open streams of the services for Envoy.
#[derive(Debug)]
pub(crate) struct Streams {
    open: Mutex<Open>,
    /// Taken before a request is read: see [`Seated`](crate::agent::seated::Seated).
    seats: Arc<Seats>,
    nobodys: Arc<Seats>,
    max: StreamsMax,
    metrics: Metrics,
}

/// How many streams may be open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamsMax {
    /// In all, of one user and of one process.
    pub(crate) seats: SeatsMax,
    /// Of one user whom no entry fits, and of all such users.
    pub(crate) nobodys: SeatsMax,
    /// Bytes of names that are asked for, of one user.
    pub(crate) names_bytes_of_uid: usize,
    /// How long one stays whose caller no entry fits, or who asks for nothing.
    pub(crate) for_nobody: Duration,
}

/// Which service a stream is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Access logs.
    AccessLog,
    /// Filter configurations.
    DenyList,
    /// Secrets.
    Secrets,
}

/// One open stream; dropped, it is open no more.
#[derive(Debug)]
pub(crate) struct Place {
    streams: Arc<Streams>,
    service: Service,
    id: u64,
    warned: bool,
    /// While no entry fits the caller.
    nobodys: Option<Seat>,
}

/// Owned by the streams' own tasks; nothing is awaited while it is locked.
#[derive(Debug, Default)]
struct Open {
    next: u64,
    rows: BTreeMap<u64, Row>,
    /// Of each user the bytes of all names in his rows.
    names_bytes: BTreeMap<u32, usize>,
}

#[derive(Debug, Default)]
struct Row {
    pid: u32,
    uid: u32,
    node: Box<str>,
    names: Vec<Arc<str>>,
    sent: Box<str>,
    acked: Box<str>,
    nack: Box<str>,
}

#[derive(Clone, Debug)]
struct Metrics {
    open: Many<Gauge>,
    refused: One<Counter>,
    responses: Many<Counter>,
    answers: Many<Counter>,
}

impl Streams {
    /// None yet.
    pub(crate) fn new(max: StreamsMax) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            seats: Seats::new(max.seats),
            nobodys: Seats::new(max.nobodys),
            max,
            metrics: Metrics {
                open: STREAMS_OPEN.gauges(),
                refused: STREAMS_REFUSED.counter(),
                responses: RESPONSES.counters(),
                answers: ANSWERS.counters(),
            },
        })
    }

    /// Puts what is counted on a sheet.
    pub(crate) fn on(&self, sheet: &mut Sheet) {
        self.metrics.open.on(sheet);
        self.metrics.refused.on(sheet);
        self.metrics.responses.on(sheet);
        self.metrics.answers.on(sheet);
    }

    /// The seats of streams, and what counts who found none.
    pub(crate) fn seats(&self) -> (Arc<Seats>, One<Counter>) {
        (Arc::clone(&self.seats), self.metrics.refused.clone())
    }

    /// A place for a stream of this caller, who has a seat.
    pub(crate) fn enter<P: Caller>(self: &Arc<Self>, caller: &P, service: Service) -> Place {
        self.enter_of(caller.pid(), caller.uid(), service)
    }

    fn enter_of(self: &Arc<Self>, pid: u32, uid: u32, service: Service) -> Place {
        let mut open = self.lock();
        let id = open.next;
        open.next = id.wrapping_add(1);
        let row = Row {
            pid,
            uid,
            ..Row::default()
        };
        open.rows.insert(id, row);
        drop(open);
        self.metrics.open.shift(service.label(), 1);
        Place {
            streams: self.clone(),
            service,
            id,
            warned: false,
            nobodys: None,
        }
    }

    /// Every stream of discovery, as it stands.
    #[cfg(test)]
    pub(crate) fn rows(&self) -> Vec<StreamStatus> {
        self.rows_where(|_| true)
    }

    /// The streams of discovery of some processes, as they stand.
    pub(crate) fn rows_where(&self, wanted: impl Fn(u32) -> bool) -> Vec<StreamStatus> {
        let open = self.lock();
        let shown = open.rows.values();
        let shown = shown.filter(|row| wanted(row.pid) && !row.names.is_empty());
        shown.map(Row::status).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // A poisoned lock still holds whole rows: each is changed by one assignment at a time.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// The number of the stream; no other has it while the agent runs.
    pub(crate) const fn stream(&self) -> u64 {
        self.id
    }

    /// How long it stays where its caller has no right to anything.
    pub(super) fn for_nobody(&self) -> Duration {
        self.streams.max.for_nobody
    }

    pub(super) fn known_as(&self, node: &str) {
        self.write(|row| row.node = bounded(node, NODE_BYTES_MAX).into());
    }

    /// Says that no entry fits the caller: of such streams there are few.
    ///
    /// # Errors
    /// When there are too many.
    pub(crate) fn is_nobodys<P: Caller>(&mut self, caller: &P) -> Result<(), Status> {
        let seat = self.streams.nobodys.take(caller).ok_or_else(|| {
            self.streams.metrics.refused.add();
            Status::resource_exhausted("no entry fits the caller, and he has streams: register him")
        })?;
        self.nobodys = Some(seat);
        Ok(())
    }

    /// Writes down what is asked for now.
    ///
    /// # Errors
    /// When the names of all streams of this user are too long together.
    pub(super) fn asks_for(&self, names: Vec<Arc<str>>) -> Result<(), Status> {
        let open = &mut *self.streams.lock();
        let Some(row) = open.rows.get_mut(&self.id) else {
            return Ok(());
        };
        let of_uid = open.names_bytes.entry(row.uid).or_default();
        let (before, now) = (bytes_of(&row.names), bytes_of(&names));
        *of_uid = of_uid.saturating_sub(before).saturating_add(now);
        let within = now <= before || *of_uid <= self.streams.max.names_bytes_of_uid;
        row.names = names;
        if within {
            return Ok(());
        }
        Err(Status::resource_exhausted(
            "the streams of this user ask for too much: ask for fewer or shorter names",
        ))
    }

    pub(super) fn told(&self, version: &str) {
        let responses = &self.streams.metrics.responses;
        responses.add(self.service.label());
        self.write(|row| row.sent = version.into());
    }

    pub(super) fn heard(&mut self, heard: Heard) {
        let answers = &self.streams.metrics.answers;
        match heard {
            Heard::Accepted { version } => {
                answers.add("accepted");
                self.write(|row| {
                    row.acked = version.into();
                    row.nack = Box::default();
                });
            }
            Heard::Refused { words } => {
                answers.add("refused");
                // Once for each stream: whoever wants to fill the log would refuse without end.
                if !std::mem::replace(&mut self.warned, true) {
                    let (pid, names) = self.shown();
                    tracing::warn!(pid, names, words, "Envoy refused what it was sent");
                }
                self.write(|row| row.nack = words.into());
            }
        }
    }

    fn shown(&self) -> (u32, String) {
        let open = self.streams.lock();
        open.rows
            .get(&self.id)
            .map_or_else(Default::default, |row| {
                let names = row.names.join(" ");
                (row.pid, bounded(&names, NAMES_LOGGED_BYTES_MAX))
            })
    }

    fn write(&self, change: impl FnOnce(&mut Row)) {
        if let Some(row) = self.streams.lock().rows.get_mut(&self.id) {
            change(row);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.lock();
        if let Some(row) = open.rows.remove(&self.id)
            && let Entry::Occupied(mut of_uid) = open.names_bytes.entry(row.uid)
        {
            *of_uid.get_mut() = of_uid.get().saturating_sub(bytes_of(&row.names));
            if *of_uid.get() == 0 {
                of_uid.remove();
            }
        }
        drop(open);
        self.streams.metrics.open.shift(self.service.label(), -1);
    }
}

fn bytes_of(names: &[Arc<str>]) -> usize {
    let bytes = names.iter().map(|name| name.len());
    bytes.fold(0, usize::saturating_add)
}

impl Service {
    const fn label(self) -> &'static str {
        match self {
            Self::AccessLog => "access_log",
            Self::DenyList => "deny_list",
            Self::Secrets => "secrets",
        }
    }
}

impl Row {
    fn status(&self) -> StreamStatus {
        StreamStatus {
            pid: self.pid,
            node: self.node.to_string(),
            names: self.names.iter().map(ToString::to_string).collect(),
            sent_version: self.sent.to_string(),
            acked_version: self.acked.to_string(),
            nack: self.nack.to_string(),
        }
    }
}

impl Default for StreamsMax {
    fn default() -> Self {
        Self {
            seats: SeatsMax::of(STREAMS_MAX, STREAMS_OF_PROCESS_MAX),
            nobodys: SeatsMax {
                of_uid: NOBODYS_OF_UID_MAX,
                ..SeatsMax::of(NOBODYS_MAX, NOBODYS_OF_UID_MAX)
            },
            names_bytes_of_uid: NAMES_OF_UID_BYTES_MAX,
            for_nobody: FOR_NOBODY_LONGEST,
        }
    }
}

/// Twice what one host is built for.
const STREAMS_MAX: usize = 20_000;
/// An Envoy has one for each secret and each place that uses it.
const STREAMS_OF_PROCESS_MAX: usize = 10_000;
/// Enough for an Envoy whose entry is put a moment later.
const NOBODYS_OF_UID_MAX: usize = 64;
const NOBODYS_MAX: usize = 1_024;
/// Ten thousand streams with a usual name each.
const NAMES_OF_UID_BYTES_MAX: usize = 1_024 * 1_024;
/// An entry that is put a moment after its Envoy began still finds the stream open; who comes
/// later finds him at the next one, for Envoys connect again.
const FOR_NOBODY_LONGEST: Duration = Duration::from_mins(1);
/// How much of a node's id is kept.
const NODE_BYTES_MAX: usize = 128;
const NAMES_LOGGED_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_all_streams_of_a_user_are_few_bytes() {
        let streams = Streams::new(StreamsMax {
            names_bytes_of_uid: 10,
            ..StreamsMax::default()
        });
        let enter = |uid| streams.enter_of(7, uid, Service::Secrets);
        let (first, second, other) = (enter(7), enter(7), enter(8));
        let eight = || vec![Arc::from("12345678")];
        first.asks_for(eight()).unwrap();
        let status = second.asks_for(eight()).unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        other.asks_for(eight()).unwrap();
        second.asks_for(vec!["12".into()]).unwrap();
        drop((first, second, other));
        assert!(streams.lock().names_bytes.is_empty());
    }

    #[test]
    fn a_refusal_is_shown_until_something_is_accepted() {
        let streams = Streams::new(StreamsMax::default());
        let mut place = streams.enter_of(7, 7, Service::Secrets);
        assert_eq!(streams.rows(), [], "it asks for nothing yet");
        place.known_as(&format!("node\n{}", "x".repeat(10_000)));
        place.asks_for(vec!["default".into()]).unwrap();
        place.told("5-00");
        place.heard(Heard::Refused {
            words: "no key".to_owned(),
        });
        let row = streams.rows().remove(0);
        assert_eq!((row.pid, row.nack.as_str()), (7, "no key"));
        assert_eq!(
            (row.sent_version.as_str(), row.acked_version.as_str()),
            ("5-00", "")
        );
        assert_eq!(row.node.len(), NODE_BYTES_MAX);
        assert!(row.node.starts_with("node x"));
        place.heard(Heard::Accepted {
            version: "6-00".to_owned(),
        });
        let row = streams.rows().remove(0);
        assert_eq!(
            (row.acked_version.as_str(), row.nack.as_str()),
            ("6-00", "")
        );
        drop(place);
        assert_eq!(streams.rows(), []);
        let mut sheet = Sheet::default();
        streams.on(&mut sheet);
        let text = sheet.text();
        for line in [
            "protem_envoy_streams_open{service=\"secrets\"} 0",
            "protem_envoy_answers_total{answer=\"refused\"} 1",
            "protem_envoy_responses_total{service=\"secrets\"} 1",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}

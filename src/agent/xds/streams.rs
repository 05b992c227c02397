//! The streams that are open: how many, whose, and how far each is.
//!
//! Promises: at most so many in all, for each user and for each process, and some that only root
//! gets; one that asks for nothing, or whose caller has no entry, ends after a while. A stream that ends is not shown any
//! more. What a client refused is shown until it accepts something newer: it goes on with what it
//! had.
//! Refuses: resources themselves; only names and versions are kept here.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tonic::Status;

use crate::agent::caller::Caller;
use crate::agent::xds::dialect::{Heard, bounded};
use crate::metric::agent_table::{ANSWERS, RESPONSES, STREAMS_OPEN, STREAMS_REFUSED};
use crate::metric::{Counter, Gauge, Many, One, Sheet};
use crate::proto::agent::StreamStatus;

/// All open streams of the services for Envoy.
#[derive(Debug)]
pub(crate) struct Streams {
    open: Mutex<Open>,
    max: StreamsMax,
    metrics: Metrics,
}

/// How many streams may be open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamsMax {
    /// In all.
    pub(crate) all: usize,
    /// Of one user; also of root, who may be any container's.
    pub(crate) of_uid: usize,
    /// Of one process.
    pub(crate) of_process: usize,
    /// Out of all, those that only root gets.
    pub(crate) for_root: usize,
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
}

/// Owned by the streams' own tasks; nothing is awaited while it is locked.
#[derive(Debug, Default)]
struct Open {
    next: u64,
    rows: BTreeMap<u64, Row>,
    processes: BTreeMap<u32, usize>,
    users: BTreeMap<u32, usize>,
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

    /// Takes a place for a stream of this caller.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn enter<P: Caller>(
        self: &Arc<Self>,
        caller: &P,
        service: Service,
    ) -> Result<Place, Status> {
        self.enter_of(caller.uid(), caller.pid(), service)
    }

    fn enter_of(self: &Arc<Self>, uid: u32, pid: u32, service: Service) -> Result<Place, Status> {
        let mut open = self.lock();
        let of_process = open.processes.get(&pid).copied().unwrap_or_default();
        let of_uid = open.users.get(&uid).copied().unwrap_or_default();
        let kept = if uid == ROOT { 0 } else { self.max.for_root };
        if self.max.all.saturating_sub(kept) <= open.rows.len()
            || self.max.of_uid <= of_uid
            || self.max.of_process <= of_process
        {
            drop(open);
            self.metrics.refused.add();
            return Err(Status::resource_exhausted(
                "too many streams are open: close some, or share them",
            ));
        }
        let id = open.next;
        open.next = id.wrapping_add(1);
        let row = Row {
            pid,
            uid,
            ..Row::default()
        };
        open.rows.insert(id, row);
        open.processes.insert(pid, of_process.saturating_add(1));
        open.users.insert(uid, of_uid.saturating_add(1));
        drop(open);
        self.metrics.open.shift(service.label(), 1);
        Ok(Place {
            streams: self.clone(),
            service,
            id,
            warned: false,
        })
    }

    /// Every stream of discovery, as it stands.
    pub(crate) fn rows(&self) -> Vec<StreamStatus> {
        let open = self.lock();
        let shown = open.rows.values().filter(|row| !row.names.is_empty());
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

    pub(super) fn asks_for(&self, names: Vec<Arc<str>>) {
        self.write(|row| row.names = names);
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
        if let Some(row) = open.rows.remove(&self.id) {
            count_down(&mut open.processes, row.pid);
            count_down(&mut open.users, row.uid);
        }
        drop(open);
        self.streams.metrics.open.shift(self.service.label(), -1);
    }
}

fn count_down(counts: &mut BTreeMap<u32, usize>, of: u32) {
    if let Entry::Occupied(mut count) = counts.entry(of) {
        *count.get_mut() = count.get().saturating_sub(1);
        if *count.get() == 0 {
            count.remove();
        }
    }
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
            all: STREAMS_MAX,
            of_uid: STREAMS_OF_UID_MAX,
            of_process: STREAMS_OF_PROCESS_MAX,
            for_root: STREAMS_FOR_ROOT,
            for_nobody: FOR_NOBODY_LONGEST,
        }
    }
}

/// Twice what one host is built for.
const STREAMS_MAX: usize = 20_000;
/// An Envoy has one for each secret and each place that uses it.
const STREAMS_OF_PROCESS_MAX: usize = 10_000;
/// What one host is built for: all its Envoys may be of one user.
const STREAMS_OF_UID_MAX: usize = 10_000;
const STREAMS_FOR_ROOT: usize = 500;
/// An entry that is put a moment after its Envoy began still finds the stream open; who comes
/// later finds him at the next one, for Envoys connect again.
const FOR_NOBODY_LONGEST: Duration = Duration::from_mins(1);
const ROOT: u32 = 0;
/// How much of a node's id is kept.
const NODE_BYTES_MAX: usize = 128;
const NAMES_LOGGED_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: StreamsMax = StreamsMax {
        all: 4,
        of_uid: 3,
        of_process: 2,
        for_root: 1,
        for_nobody: FOR_NOBODY_LONGEST,
    };

    #[test]
    fn places_are_few_and_come_back() {
        let streams = Streams::new(FEW);
        let enter = |uid, pid| streams.enter_of(uid, pid, Service::Secrets);
        let first = enter(7, 1).unwrap();
        let _second = enter(7, 1).unwrap();
        assert!(enter(7, 1).is_err(), "of one process");
        let _third = enter(7, 2).unwrap();
        assert!(enter(7, 3).is_err(), "of one user");
        assert!(enter(8, 4).is_err(), "the last is root's");
        let root = enter(0, 5).unwrap();
        assert!(enter(0, 5).is_err(), "in all");
        drop((first, root));
        let again = enter(8, 4).unwrap();
        assert_eq!(again.stream(), 4, "numbers are not used twice");
        let open = streams.lock();
        assert_eq!((open.processes.len(), open.users.len()), (3, 2));
    }

    #[test]
    fn a_refusal_is_shown_until_something_is_accepted() {
        let streams = Streams::new(FEW);
        let mut place = streams.enter_of(7, 7, Service::Secrets).unwrap();
        assert_eq!(streams.rows(), [], "it asks for nothing yet");
        place.known_as(&format!("node\n{}", "x".repeat(10_000)));
        place.asks_for(vec!["default".into()]);
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

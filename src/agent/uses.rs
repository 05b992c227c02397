//! Which elevated SVIDs are used, as Envoy's access log tells it.
//!
//! Promises: a use is a request or connection that was let in: an upstream was tried for it, or it
//! was answered below 400. So what RBAC turned away is none, and a 403 of the service behind is
//! one. A connection whose upstream was tried and which RBAC then ended is none either. Each use is
//! kept with the server whose log shows it; the server judges what that one may say. Of each, at
//! most [`WAITING_OF_SERVER_MAX`] pairs of subject and scope wait to be reported; what is over is
//! counted and dropped, and takes its word from that server alone. Times lie in the past.
//! Refuses: base SVIDs, other trust domains, and reporters without an entry of their own.

mod listeners;
mod service;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::identity::{SpiffeId, Subject, TrustDomain};
use crate::metric::agent_table::USES_READ;
use crate::metric::{Counter, Many, Sheet};
use crate::proto::access_log::StreamAccessLogsMessage;
use crate::proto::access_log::stream_access_logs_message::LogEntries;
use crate::proto::access_log_data::tls_properties::certificate_properties::subject_alt_name::San;
use crate::proto::access_log_data::{AccessLogCommon, AccessLogType, HttpAccessLogEntry};
use crate::scope::{Scope, SvidName};
use crate::time::Timestamp;

use crate::agent::uses::listeners::Listeners;
pub(crate) use crate::agent::uses::service::AccessLogs;

/// What was used since it was last asked for.
#[derive(Debug)]
pub(crate) struct Uses {
    own: TrustDomain,
    /// Owned by whoever reads a log or takes; nothing is awaited while it is locked.
    waiting: Mutex<BTreeMap<Subject, BySubject>>,
    /// Whose proxies tell of every request.
    listeners: Arc<Listeners>,
    read: Many<Counter>,
}

/// What the logs of one server show: by whom, and of which scope.
pub(crate) type BySubject = BTreeMap<(Subject, Scope), Use>;

/// The uses of one scope by one subject, at one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// The beginning of the first.
    pub(crate) first: Timestamp,
    /// The end of the last; of one that goes on, when it was last told.
    pub(crate) last: Timestamp,
    /// How many ended.
    pub(crate) count: u64,
}

impl Uses {
    /// Of SVIDs of this trust domain.
    pub(crate) fn of(own: TrustDomain) -> Self {
        Self {
            own,
            waiting: Mutex::default(),
            listeners: Arc::default(),
            read: USES_READ.counters(),
        }
    }

    /// Whose proxies tell of every request, and since when.
    pub(crate) const fn listeners(&self) -> &Arc<Listeners> {
        &self.listeners
    }

    /// Puts what is counted on a sheet.
    pub(crate) fn on(&self, sheet: &mut Sheet) {
        self.read.on(sheet);
    }

    /// What is new since the last time, by server.
    pub(crate) fn take(&self) -> BTreeMap<Subject, BySubject> {
        std::mem::take(&mut *self.lock())
    }

    /// Gives back what could not be reported, to be taken again with what is new.
    pub(crate) fn give_back(&self, server: &Subject, uses: BySubject, now: Timestamp) {
        let mut kept = true;
        for (of, one) in uses {
            kept &= self.add(server, of, one);
        }
        self.note_loss(server, kept, now);
    }

    /// Reads what an Envoy of `server` tells.
    pub(crate) fn read(&self, server: &Subject, message: &StreamAccessLogsMessage, now: Timestamp) {
        let mut kept = true;
        match &message.log_entries {
            None => {}
            Some(LogEntries::HttpLogs(logs)) => {
                for entry in &logs.log_entry {
                    let common = entry.common_properties.as_ref();
                    let let_in = common.filter(|common| was_let_in(entry, common));
                    kept &= self.read_entry(server, let_in, now);
                }
            }
            Some(LogEntries::TcpLogs(logs)) => {
                for entry in &logs.log_entry {
                    let common = entry.common_properties.as_ref();
                    let carried = common.filter(|common| was_carried(common));
                    kept &= self.read_entry(server, carried, now);
                }
            }
        }
        self.note_loss(server, kept, now);
    }

    /// Answers false where it is lost.
    fn read_entry(
        &self,
        server: &Subject,
        let_in: Option<&AccessLogCommon>,
        now: Timestamp,
    ) -> bool {
        let of = let_in.and_then(|common| Some((common, self.of_peer(common)?)));
        let Some((common, of)) = of else {
            self.read.add("other");
            return true;
        };
        let began = began(common, now);
        let one = Use {
            first: began,
            last: ended(common, began, now),
            count: u64::from(is_last_word(common)),
        };
        self.add(server, of, one)
    }

    /// No word can be given for what was lost.
    fn note_loss(&self, server: &Subject, kept: bool, now: Timestamp) {
        if !kept {
            self.listeners.lost(server, now);
        }
    }

    fn add(&self, server: &Subject, of: (Subject, Scope), one: Use) -> bool {
        let kept = keep(&mut self.lock(), server, of, one);
        self.read.add(if kept { "counted" } else { "dropped" });
        kept
    }

    /// Whose elevated SVID the peer showed. Envoy tells URI names alone, and so nothing of the
    /// `dns` encoding.
    fn of_peer(&self, common: &AccessLogCommon) -> Option<(Subject, Scope)> {
        let tls = common.tls_properties.as_ref()?;
        let names = &tls.peer_certificate_properties.as_ref()?.subject_alt_name;
        let (mut uris, mut dns) = (Vec::new(), None);
        for name in names.iter().take(NAMES_MAX) {
            match name.san.as_ref()? {
                San::Uri(uri) => uris.push(uri),
                San::Dns(name) => dns = Some(name.as_str()),
            }
        }
        let [uri] = uris.as_slice() else { return None };
        let id: SpiffeId = uri.parse().ok()?;
        if *id.trust_domain() != self.own {
            return None;
        }
        match SvidName::from_sans(&id, dns).ok()? {
            SvidName::Base(_) => None,
            SvidName::Elevated { subject, scope, .. } => Some((subject, scope)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Subject, BySubject>> {
        // Poisoned or not, each use in it is whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds a use to those that wait; answers whether there was room.
fn keep(
    waiting: &mut BTreeMap<Subject, BySubject>,
    server: &Subject,
    of: (Subject, Scope),
    one: Use,
) -> bool {
    if SERVERS_WAITING_MAX <= waiting.len() && !waiting.contains_key(server) {
        return false;
    }
    let uses = waiting.entry(server.clone()).or_default();
    if let Some(kept) = uses.get_mut(&of) {
        kept.first = kept.first.min(one.first);
        kept.last = kept.last.max(one.last);
        kept.count = kept.count.saturating_add(one.count);
        return true;
    }
    let room = uses.len() < WAITING_OF_SERVER_MAX;
    if room {
        uses.insert(of, one);
    }
    room
}

fn was_let_in(entry: &HttpAccessLogEntry, common: &AccessLogCommon) -> bool {
    let response = entry.response.as_ref();
    let code = response.and_then(|response| response.response_code);
    common.upstream_request_attempt_count > 0
        || code.is_some_and(|code| (ANSWERED_LEAST..REFUSED_LEAST).contains(&code))
}

/// Whether data was let through. An upstream is tried when a connection opens, before a filter has
/// seen the data that it denies: then it says so.
fn was_carried(common: &AccessLogCommon) -> bool {
    let denied = common.connection_termination_details.starts_with(RBAC);
    common.upstream_request_attempt_count > 0 && !denied
}

/// Whether nothing more is said of this request or connection.
fn is_last_word(common: &AccessLogCommon) -> bool {
    let ends = [
        AccessLogType::NotSet,
        AccessLogType::TcpConnectionEnd,
        AccessLogType::DownstreamEnd,
    ];
    ends.contains(&common.access_log_type())
}

/// When it began, and never later than now: whoever reports is not the one who is believed.
fn began(common: &AccessLogCommon, now: Timestamp) -> Timestamp {
    let said = common.start_time.as_ref().and_then(|time| {
        let ms = time.seconds.checked_mul(MS_PER_S)?;
        let ms = ms.checked_add(i64::from(time.nanos) / NS_PER_MS)?;
        Timestamp::from_unix_ms(ms).ok()
    });
    said.map_or(now, |said| said.min(now))
}

fn ended(common: &AccessLogCommon, began: Timestamp, now: Timestamp) -> Timestamp {
    let lasted_ms = common.duration.as_ref().map_or(0, |lasted| {
        let ms = lasted.seconds.saturating_mul(MS_PER_S);
        ms.saturating_add(i64::from(lasted.nanos) / NS_PER_MS)
    });
    let ms = began.unix_ms().saturating_add(lasted_ms.max(0));
    Timestamp::from_unix_ms(ms).map_or(now, |end| end.min(now))
}

/// How many pairs of subject and scope wait to be reported, of one server.
const WAITING_OF_SERVER_MAX: usize = 4_096;
/// How many servers have some that wait, some 1 MiB each at the most.
const SERVERS_WAITING_MAX: usize = 256;
/// How many names of a certificate are looked at.
const NAMES_MAX: usize = 16;
const ANSWERED_LEAST: u32 = 100;
const REFUSED_LEAST: u32 = 400;
/// With what RBAC explains that it ended a connection.
const RBAC: &str = "rbac_access_denied";
const MS_PER_S: i64 = 1_000;
const NS_PER_MS: i64 = 1_000_000;

#[cfg(test)]
mod tests;

//! Uses that access logs show, and the end of elevations that nobody uses.
//!
//! Who reports is an agent: the registration entry of a server names it in `obtained_by`, because
//! the proxy of that server stands at its host and sends it the access log. An elevation falls idle
//! by its scope's `idle_longest` only where the reports of every agent of every server of the scope
//! cover all that time: a log that nobody reads looks like one that shows no use, so silence counts
//! for nothing unless somebody gives his word for it.
//!
//! Promises: what is reported moves no clock: `ends_at` stays. What ends an elevation is durable
//! first: a use is recorded before the cover counts that it was told under, and an end is never
//! written over a use that came meanwhile. The end's event names whose reports it rests on.
//! A use counts where the scope opens the server whose log shows it, and that server's entry names
//! who reports.
//! Refuses: reporters that no entry of a server of the report names. One of those that lies can
//! keep an elevation that nobody uses until its `ends_at`, by uses that were not or by silence; it
//! can hide the uses at its own server, where it could as well refuse them. It can neither prolong
//! an elevation, nor end one that is used at another agent's server, nor touch scopes that open
//! none of its servers.

mod covers;

use std::collections::{BTreeMap, BTreeSet};

use crate::attestation::{Caller, Entry, Obtainer};
use crate::audit::{EventKind, Value};
use crate::elevation::Used;
use crate::identity::{SpiffeId, Subject};
use crate::policy::ScopeTerms;
use crate::scope::Scope;
use crate::service::obtain::is_let_in;
use crate::service::{Call, Service, ServiceError, is_stale};
use crate::store::NewUses;
use crate::time::{Seconds, Timestamp};

pub(crate) use crate::service::uses::covers::Covers;
use crate::service::uses::covers::Span;

/// What an agent tells.
#[derive(Clone, Debug)]
pub struct Report {
    /// The uses that it saw.
    pub uses: Vec<Seen>,
    /// What it gives its word for: that there were no others.
    pub cover: Option<Cover>,
}

/// One line of a report.
#[derive(Clone, Debug)]
pub struct Seen {
    /// At whose access log.
    pub server: Subject,
    /// Who used what; none where the name is not that of an elevated SVID.
    pub whom: Option<(Subject, Scope)>,
    /// When and how often.
    pub used: Used,
}

/// The word of an agent that it told of every use at some servers, from one moment to another.
#[derive(Clone, Debug)]
pub struct Cover {
    /// The servers whose SVIDs it obtains.
    pub servers: Vec<Subject>,
    /// Since this moment no line of their access logs was lost.
    pub since: Timestamp,
    /// Every use before this moment is in this report or in one before.
    pub until: Timestamp,
}

/// What came of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Uses of active elevations.
    pub noted: u32,
    /// Uses at servers that the scope does not open, or that are not the reporter's.
    pub not_served: u32,
    /// Uses of what is no active elevation here.
    pub unknown: u32,
    /// Servers of the cover that the reporter is an agent of; the others do not count.
    pub covered: u32,
}

/// Whose reports cover all servers of a scope, and from when to when all of them do.
struct Covered {
    span: Span,
    reporters: BTreeSet<Subject>,
}

impl Service {
    /// Takes up what an agent reports.
    ///
    /// # Errors
    /// When the caller is no agent of anything that he reports of, or it cannot be recorded; then
    /// nothing of the cover counts, and the same report may come again.
    pub async fn report_uses(&self, call: &Call, report: Report) -> Result<Reported, ServiceError> {
        let now = self.clock.sure()?;
        let reporter = match self.reporter(call).await {
            Ok(reporter) => reporter,
            Err(rule) => return Err(self.not_a_reporter(call, rule).await),
        };
        let mut served = Served::of(self, reporter.id().clone());
        let mut servers = Vec::new();
        if let Some(cover) = &report.cover {
            for server in &cover.servers {
                if served.has(server).await? {
                    servers.push(server.clone());
                }
            }
        }
        let mut reported = Reported {
            covered: count(servers.len()),
            ..Reported::default()
        };
        let uses = self.sorted(report.uses, &mut served, &mut reported).await?;
        if !served.any() {
            let rule = ServiceError::NotAllowed(
                "no entry of a server in this report names this caller in `obtained_by`",
            );
            return Err(self.not_a_reporter(call, rule).await);
        }
        self.note(call, uses, now, &mut reported).await?;
        if let Some(cover) = report.cover {
            let span = Span {
                since: cover.since,
                until: cover.until.min(now),
            };
            self.covers.keep(&reporter, servers, span, now);
        }
        for (outcome, count) in [
            ("noted", reported.noted),
            ("not_served", reported.not_served),
            ("unknown", reported.unknown),
        ] {
            self.metrics.uses(outcome, count);
        }
        Ok(reported)
    }

    /// The base identity of this trust domain under which a caller reports.
    async fn reporter(&self, call: &Call) -> Result<Subject, ServiceError> {
        let Caller::Workload(workload) = &call.caller else {
            return Err(ServiceError::NotAllowed(
                "an agent reports with its own SVID",
            ));
        };
        if workload.name.scope().is_some() || workload.foreign.is_some() {
            return Err(ServiceError::NotAllowed(
                "an agent reports with a base SVID of this trust domain",
            ));
        }
        let own = workload.name.subject();
        let standing = self.store.standing(Some(own.clone()), None).await?;
        match standing.entry {
            Some(entry) if is_let_in(&call.caller, &entry) => Ok(own.clone()),
            // Its SVID may outlive its entry (assurance M8).
            Some(_) | None => Err(ServiceError::NotAllowed(
                "who reports has no registration entry any more",
            )),
        }
    }

    async fn not_a_reporter(&self, call: &Call, rule: ServiceError) -> ServiceError {
        match &rule {
            ServiceError::NotAllowed(_) => {
                let subject = call.caller.subject();
                let kind = EventKind::RequestDenied;
                self.refused_as(kind, call, subject, "not_a_reporter", rule)
                    .await
            }
            _ => rule,
        }
    }

    /// The uses that this reporter is believed about, each subject and scope once.
    async fn sorted(
        &self,
        uses: Vec<Seen>,
        served: &mut Served<'_>,
        reported: &mut Reported,
    ) -> Result<BTreeMap<(Subject, Scope), (Used, u32)>, ServiceError> {
        let policy = self.in_force()?;
        let catalogue = policy.bundle.catalogue();
        let mut sorted: BTreeMap<(Subject, Scope), (Used, u32)> = BTreeMap::new();
        for Seen { server, whom, used } in uses {
            let is_his = served.has(&server).await?;
            let known = whom.and_then(|whom| Some((catalogue.terms(&whom.1)?, whom)));
            let Some((terms, whom)) = known else {
                reported.unknown = reported.unknown.saturating_add(1);
                continue;
            };
            if is_his && terms.servers.contains(server.id()) {
                let lines = sorted.entry(whom).or_insert((used, 0));
                *lines = match *lines {
                    (first, 0) => (first, 1),
                    (before, lines) => (before.and(used), lines.saturating_add(1)),
                };
            } else {
                reported.not_served = reported.not_served.saturating_add(1);
            }
        }
        Ok(sorted)
    }

    /// Makes uses durable, some at a time: the store's one writer serves others too.
    async fn note(
        &self,
        call: &Call,
        uses: BTreeMap<(Subject, Scope), (Used, u32)>,
        now: Timestamp,
        reported: &mut Reported,
    ) -> Result<(), ServiceError> {
        let mut uses = uses.into_iter().peekable();
        while uses.peek().is_some() {
            let mut lines = Vec::new();
            let mut act = NewUses {
                event: call.event(EventKind::ElevationUsed, now),
                uses: Vec::new(),
            };
            for ((subject, scope), (used, count)) in uses.by_ref().take(NOTED_AT_ONCE) {
                lines.push(count);
                act.uses.push((subject, scope, used));
            }
            let noted = self.store.note_uses(act).await?;
            for (lines, elevations) in lines.into_iter().zip(noted) {
                let sort = match elevations {
                    0 => &mut reported.unknown,
                    _ => &mut reported.noted,
                };
                *sort = sort.saturating_add(lines);
            }
        }
        Ok(())
    }

    /// Ends every active elevation that nobody used for its scope's idle time, as far as reports
    /// cover that. Answers how many.
    pub(crate) async fn end_idle(&self, now: Timestamp) -> Result<u32, ServiceError> {
        let mut ended = 0_u32;
        let Ok(policy) = self.in_force() else {
            return Ok(ended);
        };
        for terms in policy.bundle.catalogue().iter() {
            let Some(idle_longest) = terms.idle_longest else {
                continue;
            };
            let Some(covered) = self.covered(terms).await? else {
                continue;
            };
            let since = covered.span.until.minus(idle_longest);
            // Of a use before, somebody may have heard nothing.
            if since < covered.span.since {
                continue;
            }
            let facts = covered.told(idle_longest);
            loop {
                let moved = self.end_some(&terms.scope, since, &facts, now).await?;
                ended = ended.saturating_add(moved);
                if moved == 0 {
                    break;
                }
            }
        }
        Ok(ended)
    }

    async fn end_some(
        &self,
        scope: &Scope,
        since: Timestamp,
        facts: &[(&'static str, Value)],
        now: Timestamp,
    ) -> Result<u32, ServiceError> {
        let mut moved = 0_u32;
        let idle = self.store.idle_elevations(scope, since, IDLE_AT_ONCE);
        for elevation in idle.await? {
            match self.fall_idle(elevation, facts, now).await {
                Ok(()) => moved = moved.saturating_add(1),
                // It moved meanwhile, or was used.
                Err(ServiceError::Store(error)) if is_stale(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    /// How many scopes have an idle time that stands still because somebody does not report.
    pub(crate) async fn uncovered(&self) -> Result<usize, ServiceError> {
        let now = self.now();
        let policy = self.in_force()?;
        let mut uncovered = 0;
        for terms in policy.bundle.catalogue().iter() {
            if terms.idle_longest.is_some() {
                let covered = self.covered(terms).await?;
                let late = |covered: Covered| covered.span.until.plus(COVER_LATE) < now;
                uncovered += usize::from(covered.is_none_or(late));
            }
        }
        Ok(uncovered)
    }

    /// From when to when the reports of every agent of every server of a scope cover it; none where
    /// one never said so, or a server has none.
    async fn covered(&self, terms: &ScopeTerms) -> Result<Option<Covered>, ServiceError> {
        let mut covered: Option<Covered> = None;
        for server in &terms.servers {
            let Ok(server) = Subject::try_from(server.clone()) else {
                return Ok(None);
            };
            let spans = self.covers.of(&server);
            if spans.is_empty() {
                return Ok(None);
            }
            let standing = self.store.standing(Some(server), None).await?;
            let agents = standing
                .entry
                .map(|entry| agents(&entry))
                .unwrap_or_default();
            if agents.is_empty() {
                return Ok(None);
            }
            for agent in agents {
                let Some(span) = spans.get(&agent) else {
                    return Ok(None);
                };
                let so_far = covered.get_or_insert_with(|| Covered {
                    span: *span,
                    reporters: BTreeSet::new(),
                });
                so_far.span = so_far.span.both(*span);
                so_far.reporters.insert(agent);
            }
        }
        Ok(covered)
    }
}

impl Covered {
    /// For the event of an end that rests on it.
    fn told(&self, idle_longest: Seconds) -> Vec<(&'static str, Value)> {
        let names = self.reporters.iter().take(REPORTERS_TOLD_MAX);
        let names = names.map(|name| Value::from(name.to_string()));
        vec![
            ("idle_longest_s", idle_longest.count().into()),
            ("reporters", Value::List(names.collect())),
            ("reporters_count", count(self.reporters.len()).into()),
            ("covered_since", self.span.since.rfc3339().into()),
            ("covered_until", self.span.until.rfc3339().into()),
        ]
    }
}

/// Which servers an agent obtains SVIDs for, looked up once each.
struct Served<'a> {
    service: &'a Service,
    agent: Obtainer,
    known: BTreeMap<Subject, bool>,
}

impl<'a> Served<'a> {
    const fn of(service: &'a Service, agent: SpiffeId) -> Self {
        Self {
            service,
            agent: Obtainer::Agent(agent),
            known: BTreeMap::new(),
        }
    }

    async fn has(&mut self, server: &Subject) -> Result<bool, ServiceError> {
        if let Some(known) = self.known.get(server) {
            return Ok(*known);
        }
        let subject = Some(server.clone());
        let standing = self.service.store.standing(subject, None).await?;
        let names = |entry: &Entry| entry.terms.obtained_by.contains(&self.agent);
        let has = standing.entry.as_deref().is_some_and(names);
        self.known.insert(server.clone(), has);
        Ok(has)
    }

    fn any(&self) -> bool {
        self.known.values().any(|has| *has)
    }
}

fn agents(entry: &Entry) -> Vec<Subject> {
    let agent = |obtainer: &Obtainer| match obtainer {
        Obtainer::Agent(id) => Subject::try_from(id.clone()).ok(),
        Obtainer::Foreign | Obtainer::Issuer(_) | Obtainer::Token | Obtainer::X509 => None,
    };
    entry.terms.obtained_by.iter().filter_map(agent).collect()
}

fn count(many: usize) -> u32 {
    u32::try_from(many).unwrap_or(u32::MAX)
}

/// The most uses of one report.
pub const USES_MAX: usize = 1_000;
/// The most servers of one cover.
pub const COVERED_SERVERS_MAX: usize = 1_000;
/// How many subjects and scopes go into one act of the store.
const NOTED_AT_ONCE: usize = 64;
const IDLE_AT_ONCE: u32 = 256;
/// Where a cover ended so long ago, somebody is silent: agents report more often.
const COVER_LATE: Seconds = Seconds::new(60);
/// How many reporters the event of an end names; their number is told in any case.
const REPORTERS_TOLD_MAX: usize = 16;

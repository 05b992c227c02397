//! What an agent is told: everything that concerns it as it stands, and then every change.
//!
//! ```text
//! hears of changes from now on
//!   -> entries that name it, page by page, each with its open elevations
//!   -> what was told before and is not so any more
//!   -> bundles, and denials where they are wished for
//!   -> ready
//!   -> changes that concern it; a beat where nothing was told for a while
//!        too many to hear: all of it anew
//! ```
//!
//! Promises: nothing that changed is missed: it hears before it reads, and what it reads of one
//! thing is only ever newer. What was told and did not change is not told again. Memory is what it
//! has told, by id and version, and one page.
//! Refuses: whoever is no workload with a current entry and a base SVID of protem's own; entries
//! that do not name the agent, and elevations of their subjects (assurance G16).

mod told;

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tokio::time::{Sleep, sleep};

use crate::attestation::{Caller, Entry, Obtainer};
use crate::elevation::Elevation;
use crate::id::{ElevationId, EntryId};
use crate::identity::{Subject, TrustDomain};
use crate::service::agents::told::Told;
use crate::service::changes::Change;
use crate::service::denials::Denial;
use crate::service::elevate::OPEN_PER_SUBJECT_MAX;
use crate::service::{Call, RootsDer, Seat, Service, ServiceError};
use crate::store::Standing;

/// One thing that an agent is told. Each is whole, and replaces what was told of it before.
#[derive(Clone, Debug)]
pub enum Telling {
    /// Nothing new.
    Beat,
    /// The bundle of a trust domain.
    Bundle(TrustDomain, RootsDer),
    /// A certificate was denied before its end, and whether its holder gave it back.
    Denied(Denial, bool),
    /// An elevation of a subject whose entry names the agent.
    Elevation(Box<Elevation>),
    /// An entry that names the agent.
    Entry(Box<Entry>),
    /// An entry that names the agent no more.
    EntryRemoved(EntryId),
    /// Everything as it stood has been told.
    Ready,
}

/// One agent that is told; counts until it is dropped.
pub struct Watch {
    service: Arc<Service>,
    /// Whose base SVID it came with.
    own: Subject,
    /// As entries name it.
    agent: Obtainer,
    deny_list: bool,
    changes: broadcast::Receiver<Change>,
    told: Told,
    stage: Stage,
    /// What is told next.
    next: VecDeque<Telling>,
    beat: Pin<Box<Sleep>>,
    _seat: Seat,
}

/// What is looked at.
enum Stage {
    /// Entries that name the agent, after the last one that was read.
    Entries {
        after: Option<Subject>,
        page: VecDeque<Entry>,
    },
    /// What was told before and was not found any more.
    Gone,
    /// The bundles of all trust domains.
    Bundles,
    /// Denials after this one.
    Denials(Option<Denial>),
    /// Changes.
    Changes,
}

impl Service {
    /// Begins to tell the caller what concerns him as an agent.
    ///
    /// # Errors
    /// [`ServiceError::Unregistered`] for a caller whose entry is gone, and
    /// [`ServiceError::NotAllowed`] for one who is no agent, both recorded;
    /// [`ServiceError::TooMany`] and [`ServiceError::Crowded`] when too much is told already.
    pub async fn watch(
        self: &Arc<Self>,
        call: &Call,
        deny_list: bool,
    ) -> Result<Watch, ServiceError> {
        // Without a policy nothing is known of anybody.
        self.in_force()?;
        let own = match self.agent(&call.caller).await {
            Ok(own) => own,
            Err(rule @ (ServiceError::NotAllowed(_) | ServiceError::Unregistered)) => {
                return Err(self.refused_look(call, "not_an_agent", rule).await);
            }
            Err(error) => return Err(error),
        };
        Ok(Watch {
            agent: Obtainer::Agent(own.id().clone()),
            own,
            deny_list,
            changes: self.changes.hear(),
            told: Told::default(),
            stage: Stage::first(),
            next: VecDeque::new(),
            beat: Box::pin(sleep(BEAT_EVERY)),
            _seat: self.watches.take(&call.caller)?,
            service: Arc::clone(self),
        })
    }

    /// The subject of a caller who may be an agent.
    async fn agent(&self, caller: &Caller) -> Result<Subject, ServiceError> {
        let own = match caller {
            Caller::Workload(workload)
                if workload.name.scope().is_none() && workload.foreign.is_none() =>
            {
                workload.name.subject()
            }
            Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) | Caller::Workload(_) => {
                return Err(ServiceError::NotAllowed(
                    "an agent watches with a base SVID of this authority; obtain one first",
                ));
            }
        };
        self.registered(own).await?;
        Ok(own.clone())
    }

    /// Refuses an agent whose entry is gone (assurance M8).
    async fn registered(&self, own: &Subject) -> Result<(), ServiceError> {
        match self.entry_now(own).await? {
            Some(_) => Ok(()),
            None => Err(ServiceError::Unregistered),
        }
    }

    async fn entry_now(&self, of: &Subject) -> Result<Option<Arc<Entry>>, ServiceError> {
        let Standing { entry, .. } = self.store.standing(Some(of.clone()), None).await?;
        Ok(entry)
    }
}

impl Watch {
    /// What the agent is told next, once there is something.
    ///
    /// # Errors
    /// Why it is told nothing more: its entry is gone, or the store cannot be read.
    pub async fn next(&mut self) -> Result<Telling, ServiceError> {
        loop {
            if let Some(telling) = self.next.pop_front() {
                self.beat.set(sleep(BEAT_EVERY));
                return Ok(telling);
            }
            match self.stage {
                Stage::Entries { .. } => self.read_entries().await?,
                Stage::Gone => self.look_for_gone().await?,
                Stage::Bundles => {
                    self.queue_bundles();
                    self.stage = Stage::Denials(None);
                }
                Stage::Denials(after) => self.read_denials(after),
                Stage::Changes => self.hear().await?,
            }
        }
    }

    async fn hear(&mut self) -> Result<(), ServiceError> {
        let heard = tokio::select! {
            heard = self.changes.recv() => heard,
            () = self.beat.as_mut() => {
                self.next.push_back(Telling::Beat);
                return Ok(());
            }
        };
        match heard {
            Ok(change) => self.follow(change).await,
            // The service itself tells, and lives as long as this.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                tracing::info!(agent = %self.own, missed, "an agent is told everything anew");
                self.changes = self.service.changes.hear();
                self.told.begin_round();
                self.stage = Stage::first();
                Ok(())
            }
        }
    }

    async fn follow(&mut self, change: Change) -> Result<(), ServiceError> {
        match change {
            Change::Bundles => self.queue_bundles(),
            Change::Denied(denials, given_back) if self.deny_list => {
                let denials = denials.iter().copied();
                self.next
                    .extend(denials.map(|one| Telling::Denied(one, given_back)));
            }
            Change::Denied(..) => {}
            Change::Elevation(id, subject) => {
                if self.told.knows(&subject) {
                    self.look_at_elevation(id).await?;
                }
            }
            Change::Entry(subject, obtained_by) => {
                if *subject == self.own {
                    self.service.registered(&self.own).await?;
                }
                if self.told.knows(&subject) || obtained_by.contains(&self.agent) {
                    self.look_at_entry(&subject).await?;
                }
            }
        }
        Ok(())
    }

    /// Tells the next entry of the page with its elevations, or reads the next page.
    async fn read_entries(&mut self) -> Result<(), ServiceError> {
        let Stage::Entries { after, page } = &mut self.stage else {
            return Ok(());
        };
        if let Some(entry) = page.pop_front() {
            return self.queue_entry(entry).await;
        }
        if after.is_none() {
            self.service.registered(&self.own).await?;
        }
        let (agent, after) = (self.own.id(), after.clone());
        let read = self.service.store.entries_of(agent, after, ENTRIES_AT_ONCE);
        let page = VecDeque::from(read.await?);
        self.stage = match page.back() {
            None => Stage::Gone,
            Some(last) => Stage::Entries {
                after: Some(last.terms.subject.clone()),
                page,
            },
        };
        Ok(())
    }

    /// Tells what is gone of what was told in an earlier round, a few at a time.
    async fn look_for_gone(&mut self) -> Result<(), ServiceError> {
        if let Some(subject) = self.told.unseen_entry() {
            return self.look_at_entry(&subject).await;
        }
        if let Some(id) = self.told.unseen_elevation() {
            return self.look_at_elevation(id).await;
        }
        self.stage = Stage::Bundles;
        Ok(())
    }

    fn queue_bundles(&mut self) {
        let roots = self.service.all_roots().into_iter();
        self.next
            .extend(roots.map(|(name, roots)| Telling::Bundle(name, roots)));
    }

    fn read_denials(&mut self, after: Option<Denial>) {
        let page = if self.deny_list {
            self.service.denied_after(after, DENIALS_AT_ONCE)
        } else {
            Vec::new()
        };
        if let Some((last, _)) = page.last() {
            self.stage = Stage::Denials(Some(*last));
            let denials = page.into_iter();
            self.next
                .extend(denials.map(|(one, given_back)| Telling::Denied(one, given_back)));
        } else {
            self.stage = Stage::Changes;
            self.next.push_back(Telling::Ready);
        }
    }

    /// Tells what has become of the entry of a subject.
    async fn look_at_entry(&mut self, subject: &Subject) -> Result<(), ServiceError> {
        let entry = self.service.entry_now(subject).await?;
        let entry = entry.filter(|entry| entry.terms.obtained_by.contains(&self.agent));
        if let Some(entry) = entry {
            return self.queue_entry(entry.as_ref().clone()).await;
        }
        let gone = self.told.forget(subject);
        self.next.extend(gone.map(Telling::EntryRemoved));
        Ok(())
    }

    /// Tells an entry that names the agent, and what is open for its subject.
    async fn queue_entry(&mut self, entry: Entry) -> Result<(), ServiceError> {
        let subject = entry.terms.subject.clone();
        let other = self.told.other_entry(&entry);
        self.next.extend(other.map(Telling::EntryRemoved));
        if self.told.entry(&entry)? {
            self.next.push_back(Telling::Entry(Box::new(entry)));
        }
        let store = &self.service.store;
        let open = store.open_elevations(&subject, None, OPEN_PER_SUBJECT_MAX);
        for elevation in open.await? {
            self.queue_elevation(elevation, false);
        }
        Ok(())
    }

    /// Tells what has become of an elevation.
    async fn look_at_elevation(&mut self, id: ElevationId) -> Result<(), ServiceError> {
        if let Some(row) = self.service.store.elevation(id).await? {
            self.queue_elevation(row.elevation, true);
        } else {
            // None ever goes; were one to, nobody could be told more of it.
            self.told.forget_elevation(id);
        }
        Ok(())
    }

    fn queue_elevation(&mut self, elevation: Elevation, moved: bool) {
        if self.told.elevation(&elevation, moved) {
            self.next.push_back(Telling::Elevation(Box::new(elevation)));
        }
    }
}

impl Stage {
    const fn first() -> Self {
        Self::Entries {
            after: None,
            page: VecDeque::new(),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.own).finish()
    }
}

/// The longest that an agent is told nothing.
const BEAT_EVERY: Duration = Duration::from_secs(10);
/// The most entries of one page, some 20 KiB each at the very most.
const ENTRIES_AT_ONCE: u32 = 64;
const DENIALS_AT_ONCE: usize = 256;

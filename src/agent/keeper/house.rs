//! What the keeper knows and keeps, and how each thing that happens changes it. No task, no clock,
//! no network: time comes in as an argument, and what is to be asked of the server goes out.
//!
//! Promises: what is told to a group follows from what is known here at that moment; one scope of
//! one subject is asked for once at a time, however many ask, and not again for a while after a no.
//! Refuses: to open an elevation again by itself when one has ended: somebody must ask anew.

mod asking;
mod hearing;
mod telling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::agent::holdings::{AgentEntry, Ask, Bundles, Generation, Svid, Wants};
use crate::agent::keeper::groups::{Group, Groups};
use crate::agent::keeper::house::telling::first_view;
use crate::agent::keeper::items::{ItemKey, Items};
use crate::agent::keeper::{Followed, FollowerId, GroupId};
use crate::agent::news::ToldElevation;
use crate::id::ElevationId;
use crate::id::Holder;
use crate::identity::{Selector, SpiffeId, Subject, TrustDomain};
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};

/// All that the keeper knows and keeps.
#[derive(Debug)]
pub(crate) struct House {
    agent: SpiffeId,
    told: bool,
    entries: BTreeMap<String, Arc<AgentEntry>>,
    elevations: BTreeMap<ElevationId, ToldElevation>,
    by_subject: BTreeMap<Subject, BTreeSet<ElevationId>>,
    bundles: Arc<Bundles>,
    groups: Groups,
    items: Items,
    asks: BTreeMap<(Subject, Scope), Ask>,
    to_ask: VecDeque<(Subject, Scope)>,
    /// Elevations that ended lately, how, and until when that is remembered: an answer that was
    /// slower than the stream must not bring them back.
    over: BTreeMap<ElevationId, (String, Timestamp)>,
    /// Elevations that a request here opened.
    opened: BTreeSet<ElevationId>,
    /// Scheduled starts that are still to come.
    starts: BTreeSet<(Timestamp, Subject)>,
    generation: Generation,
}

/// What came of asking the server for a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It is open; the server tells the rest.
    Open(ElevationId),
    /// People decide.
    Pending(ElevationId),
    /// No, or not now; not asked again for so long.
    Refused(String, Seconds),
}

impl Asked {
    /// The answer as a word for metrics.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Open(_) => "open",
            Self::Pending(_) => "pending",
            Self::Refused(..) => "refused",
        }
    }
}

impl House {
    /// An empty house. `first` is the lowest generation that this start of the agent may give.
    pub(crate) fn new(agent: SpiffeId, own: TrustDomain, first: Generation) -> Self {
        let bundles = Arc::new(Bundles {
            generation: first,
            own,
            roots: BTreeMap::new(),
        });
        Self {
            agent,
            told: false,
            entries: BTreeMap::new(),
            elevations: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            bundles,
            groups: Groups::default(),
            items: Items::default(),
            asks: BTreeMap::new(),
            to_ask: VecDeque::new(),
            over: BTreeMap::new(),
            opened: BTreeSet::new(),
            starts: BTreeSet::new(),
            generation: first,
        }
    }

    /// Whose house it is.
    pub(crate) const fn agent(&self) -> &SpiffeId {
        &self.agent
    }

    /// The SVIDs.
    pub(crate) const fn items(&self) -> &Items {
        &self.items
    }

    /// The bundles.
    pub(crate) const fn bundles(&self) -> &Arc<Bundles> {
        &self.bundles
    }

    /// Every selector that an entry uses.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &Selector> {
        self.entries.values().flat_map(|entry| &entry.selectors)
    }

    /// How many follow an item.
    pub(crate) fn followers(&self, groups: &BTreeSet<GroupId>) -> usize {
        let groups = groups.iter().filter_map(|id| self.groups.get(*id));
        groups.map(Group::followers).sum()
    }

    /// A new follower.
    pub(crate) fn follow(
        &mut self,
        selectors: Arc<BTreeSet<Selector>>,
        holder: Holder,
        now: Timestamp,
    ) -> Option<Followed> {
        let bundles = Arc::clone(&self.bundles);
        let known = self.groups.count();
        let (id, group) = self
            .groups
            .join(selectors, holder, &|| first_view(&bundles));
        let holdings = self.groups.get(group)?.view.subscribe();
        // What is told to a group that is there already fits a new follower as it stands.
        if known < self.groups.count() {
            self.refit(group, now);
        }
        Some(Followed { id, holdings })
    }

    /// A follower wants something else. A scope that he newly says may be opened is asked for.
    pub(crate) fn want(&mut self, id: FollowerId, wants: Wants, now: Timestamp) {
        let opens = |wants: &Wants| match wants {
            Wants::Some { scopes, .. } => {
                let may = scopes.iter().filter(|(_, may_open)| **may_open);
                may.map(|(key, _)| key.clone()).collect::<BTreeSet<_>>()
            }
            Wants::Nothing | Wants::Everything => BTreeSet::new(),
        };
        let wished = opens(&wants);
        let Some((group, before)) = self.groups.want(id, wants) else {
            return;
        };
        let own: BTreeSet<Subject> = self
            .groups
            .get(group)
            .into_iter()
            .flat_map(|group| group.identities.iter().map(|entry| entry.subject.clone()))
            .collect();
        for key in wished.difference(&opens(&before)) {
            // Only in the name of who the caller is.
            if own.contains(&key.0) {
                self.ask(key.clone(), now);
            }
        }
        self.settle(group, now);
    }

    /// A follower is gone.
    pub(crate) fn leave(&mut self, id: FollowerId, now: Timestamp) {
        let Some(group) = self.groups.leave(id) else {
            return;
        };
        match self.groups.drop_empty(group) {
            Some(gone) => {
                for key in &gone.items {
                    self.items.leave(key, group, now);
                }
            }
            None => self.settle(group, now),
        }
    }

    /// Scopes to ask the server for, each once.
    pub(crate) fn next_ask(&mut self) -> Option<(Subject, Scope)> {
        self.to_ask.pop_front()
    }

    /// Takes away what has ended; to be done before anything else whenever time has passed.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        for subject in self.items.expire(now) {
            self.touch(&subject, now);
        }
        while let Some((start, subject)) = self.starts.first().cloned()
            && start <= now
        {
            self.starts.remove(&(start, subject.clone()));
            self.touch(&subject, now);
        }
        self.over.retain(|_, (_, until)| now < *until);
        let over = |ask: &Ask| matches!(ask, Ask::Refused { until, .. } if *until <= now);
        let asks = self.asks.iter().filter(|(_, ask)| over(ask));
        let over: Vec<_> = asks.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.asks.remove(&key);
            self.touch(&key.0, now);
        }
    }

    /// When something is to be done next.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let asks = self.asks.values().filter_map(|ask| match ask {
            Ask::Refused { until, .. } => Some(*until),
            Ask::Asking | Ask::Pending { .. } => None,
        });
        let start = self.starts.first().map(|(start, _)| *start);
        asks.chain(self.items.next_at()).chain(start).min()
    }

    /// What to mint now, the soonest end first.
    pub(crate) fn due(&mut self, most: usize, now: Timestamp) -> Vec<ItemKey> {
        self.items.due(most, now)
    }

    /// A generation that nothing had before.
    pub(crate) fn next_generation(&mut self) -> Generation {
        self.generation = Generation(self.generation.0.saturating_add(1));
        self.generation
    }

    /// Takes in a new SVID.
    pub(crate) fn minted(&mut self, key: &ItemKey, svid: Svid, now: Timestamp) {
        if self.items.minted(key, Arc::new(svid), now) {
            if let ItemKey::Elevated { elevation, .. } = key
                && let Some(told) = self.elevations.get(elevation).cloned()
            {
                self.note_end(&told, now);
            }
            self.touch(key.subject(), now);
        }
    }

    /// When nothing more can be minted of an item, where the server has told that.
    fn ends_at(&self, key: &ItemKey) -> Option<Timestamp> {
        let ItemKey::Elevated { elevation, .. } = key else {
            return None;
        };
        self.elevations.get(elevation)?.ends_at()
    }

    /// Renewals that could not live longer than what is held are not asked for.
    fn note_end(&mut self, told: &ToldElevation, now: Timestamp) {
        if let Some(ends_at) = told.ends_at() {
            self.items.ends(told.id, ends_at, now);
        }
    }

    /// The longest that an SVID of this item may live, minted at `now`.
    pub(crate) fn longest(&self, key: &ItemKey, now: Timestamp) -> Seconds {
        match key {
            ItemKey::Base(subject) => {
                let mut entries = self.entries.values();
                let entry = entries.find(|entry| entry.subject == *subject);
                entry.map(|entry| entry.life).unwrap_or_default()
            }
            ItemKey::Elevated { .. } => match self.ends_at(key) {
                Some(ends_at) => ends_at.since(now).min(ELEVATED_LONGEST),
                None => ELEVATED_LONGEST,
            },
        }
    }

    /// Forgets an elevation that only an answer told of, once minting says that it is over: one
    /// that ended before the stream could tell of it is never told.
    pub(crate) fn forget(&mut self, key: &ItemKey, now: Timestamp) {
        let ItemKey::Elevated {
            subject, elevation, ..
        } = key
        else {
            return;
        };
        if self
            .elevations
            .get(elevation)
            .is_some_and(|told| told.version == 0)
        {
            self.elevations.remove(elevation);
            if let Some(ids) = self.by_subject.get_mut(subject) {
                ids.remove(elevation);
            }
            self.drop_unfounded(now);
            self.touch(subject, now);
        }
    }

    /// Takes in a failure.
    pub(crate) fn failed(
        &mut self,
        key: &ItemKey,
        trouble: String,
        pause: impl FnOnce(u32) -> Seconds,
        now: Timestamp,
    ) {
        self.items.failed(key, trouble, pause, now);
    }

    /// Takes away every SVID whose entry or elevation is gone: its key with it, at once.
    fn drop_unfounded(&mut self, now: Timestamp) {
        let subjects: BTreeSet<_> = self.entries.values().map(|one| &one.subject).collect();
        let elevations = &self.elevations;
        let founded = |key: &ItemKey| match key {
            ItemKey::Base(subject) => subjects.contains(subject),
            ItemKey::Elevated {
                subject, elevation, ..
            } => subjects.contains(subject) && elevations.contains_key(elevation),
        };
        for subject in self.items.retain(founded) {
            self.touch(&subject, now);
        }
    }
}

/// DESIGN section 6: the longest life of an elevated SVID.
const ELEVATED_LONGEST: Seconds = Seconds::new(900);
/// How long a no stands before the same is asked for again.
pub(crate) const REFUSED_FOR: Seconds = Seconds::new(60);

#[cfg(test)]
mod tests;

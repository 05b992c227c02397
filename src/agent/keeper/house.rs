//! What the keeper knows and keeps, and how each thing that happens changes it. No task, no clock,
//! no network: time comes in as an argument, and what is to be asked of the server goes out.
//!
//! Promises: what is told to a group follows from what is known here at that moment; one scope of
//! one subject is asked for once at a time, however many ask, and not again for a while after a no.
//! Refuses: to open an elevation again by itself when one has ended: somebody must ask anew.

mod asking;
mod telling;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::agent::holdings::{AgentEntry, Ask, Bundles, Generation, Svid, Wants};
use crate::agent::keeper::groups::Groups;
use crate::agent::keeper::house::telling::first_view;
use crate::agent::keeper::items::{ItemKey, Items};
use crate::agent::keeper::{Followed, FollowerId, GroupId};
use crate::agent::news::{Image, News, Standing, ToldElevation};
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
        groups.map(|group| group.followers).sum()
    }

    /// A new follower.
    pub(crate) fn follow(
        &mut self,
        selectors: Arc<BTreeSet<Selector>>,
        holder: Holder,
        now: Timestamp,
    ) -> Option<Followed> {
        let bundles = Arc::clone(&self.bundles);
        let (id, group) = self
            .groups
            .join(selectors, holder, &|| first_view(&bundles));
        let holdings = self.groups.get(group)?.view.subscribe();
        self.refit(group, now);
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

    /// Takes in what the server told.
    pub(crate) fn hear(&mut self, news: News, now: Timestamp) {
        match news {
            News::Bundle(of, roots) => self.bundle(of, roots, now),
            // The deny list is not the keeper's.
            News::Denied(..) => {}
            News::Elevation(told) => self.elevation(told, now),
            News::Entry(entry) => {
                self.entries.insert(entry.id.clone(), entry);
                self.entries_changed(now);
            }
            News::EntryRemoved(id) => {
                // The ends of what was open for its subject are not told one by one.
                if let Some(gone) = self.entries.remove(&id) {
                    for id in self.by_subject.remove(&gone.subject).into_iter().flatten() {
                        self.elevations.remove(&id);
                    }
                }
                self.entries_changed(now);
            }
            News::Everything(image) => self.everything(*image, now),
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
            self.touch(key.subject(), now);
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

    fn everything(&mut self, image: Image, now: Timestamp) {
        self.told = true;
        self.entries = image.entries;
        self.by_subject.clear();
        self.starts.clear();
        for (id, told) in &image.elevations {
            let ids = self.by_subject.entry(told.subject.clone());
            ids.or_default().insert(*id);
            self.starts.extend(start_of(told, now));
        }
        self.elevations = image.elevations;
        if self.bundles.roots != image.roots {
            self.bundles = Arc::new(Bundles {
                generation: self.next_generation(),
                own: self.bundles.own.clone(),
                roots: image.roots,
            });
        }
        // What people decided while nobody told: it is neither pending nor open any more.
        let pending = |ask: &Ask| match ask {
            Ask::Pending { elevation } => elevation
                .parse()
                .is_ok_and(|id| self.elevations.contains_key(&id)),
            Ask::Asking | Ask::Refused { .. } => true,
        };
        self.asks.retain(|_, ask| pending(ask));
        self.items.hope(now);
        self.drop_unfounded(now);
        self.entries_changed(now);
    }

    fn bundle(&mut self, of: TrustDomain, roots: Vec<bytes::Bytes>, now: Timestamp) {
        let mut all = self.bundles.roots.clone();
        if roots.is_empty() {
            all.remove(&of);
        } else {
            all.insert(of, roots);
        }
        if all != self.bundles.roots {
            self.bundles = Arc::new(Bundles {
                generation: self.next_generation(),
                own: self.bundles.own.clone(),
                roots: all,
            });
            for group in self.groups.ids() {
                self.settle(group, now);
            }
        }
    }

    fn elevation(&mut self, told: ToldElevation, now: Timestamp) {
        let known = self.elevations.get(&told.id);
        if known.is_some_and(|known| told.version < known.version) {
            return;
        }
        let (subject, id) = (told.subject.clone(), told.id);
        let key = (subject.clone(), told.scope.clone());
        let is_asked = match self.asks.get(&key) {
            Some(Ask::Pending { elevation }) => *elevation == id.to_string(),
            Some(Ask::Asking | Ask::Refused { .. }) | None => false,
        };
        match &told.standing {
            Standing::Open { .. } => {
                if is_asked {
                    self.asks.remove(&key);
                }
            }
            // After a no the same request would meet the same no, or undo what a person ended.
            Standing::Over(how) if is_asked || !ENDED_BY_TIME.contains(&how.as_str()) => {
                let (code, until) = (how.clone(), now.plus(REFUSED_FOR));
                self.asks.insert(key, Ask::Refused { code, until });
            }
            Standing::Over(_) | Standing::Pending => {}
        }
        let ids = self.by_subject.entry(subject.clone()).or_default();
        if matches!(told.standing, Standing::Over(_)) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_subject.remove(&subject);
            }
            self.elevations.remove(&id);
            self.drop_unfounded(now);
        } else {
            ids.insert(id);
            self.starts.extend(start_of(&told, now));
            self.elevations.insert(id, told);
        }
        self.touch(&subject, now);
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

    fn entries_changed(&mut self, now: Timestamp) {
        self.drop_unfounded(now);
        for group in self.groups.ids() {
            self.refit(group, now);
        }
    }
}

/// The scheduled start of an elevation that has not come yet.
fn start_of(told: &ToldElevation, now: Timestamp) -> Option<(Timestamp, Subject)> {
    match told.standing {
        Standing::Open {
            not_before: Some(start),
            ..
        } if now < start => Some((start, told.subject.clone())),
        Standing::Open { .. } | Standing::Over(_) | Standing::Pending => None,
    }
}

/// How an elevation ends without anybody's no.
const ENDED_BY_TIME: [&str; 2] = ["expired", "unused"];
/// How long a no stands before the same is asked for again.
pub(crate) const REFUSED_FOR: Seconds = Seconds::new(60);

#[cfg(test)]
mod tests;

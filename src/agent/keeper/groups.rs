//! Followers, grouped by what they show: one view for all streams of one process.
//!
//! Promises: a group's view is made once however many streams follow it; what the group wants is
//! the union of what its followers want; a group without followers is gone.
//! Refuses: to decide anything: which entries fit and what is minted is the house's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::holdings::{AgentEntry, Ask, Generation, Holdings, Wants};
use crate::agent::keeper::items::ItemKey;
use crate::agent::keeper::{FollowerId, GroupId};
use crate::id::Holder;
use crate::identity::{Selector, Subject};
use crate::scope::Scope;

/// All groups and their followers.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    all: BTreeMap<GroupId, Group>,
    by_caller: BTreeMap<(Arc<BTreeSet<Selector>>, Holder), GroupId>,
    by_subject: BTreeMap<Subject, BTreeSet<GroupId>>,
    followers: BTreeMap<FollowerId, (GroupId, Wants)>,
    drawn: u64,
}

/// Streams that are told the same.
#[derive(Debug)]
pub(crate) struct Group {
    /// What the caller shows.
    pub(crate) selectors: Arc<BTreeSet<Selector>>,
    /// Which running holder he is.
    pub(crate) holder: Holder,
    /// The entries that fit, the default first.
    pub(crate) identities: Vec<Arc<AgentEntry>>,
    /// What it keeps in the house.
    pub(crate) items: BTreeSet<ItemKey>,
    /// Where its view is told.
    pub(crate) view: watch::Sender<Arc<Holdings>>,
    /// What was told last, to tell only what differs.
    pub(crate) told: Told,
    wants: WantCount,
    /// How many streams follow it.
    followers: usize,
}

/// What tells one view from another.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) is_whole: bool,
    pub(crate) bundles: Generation,
    pub(crate) identities: Vec<(String, u64, Option<Generation>)>,
    pub(crate) elevated: Vec<(String, Option<Generation>, bool)>,
    pub(crate) asks: BTreeMap<(Subject, Scope), Ask>,
}

#[derive(Debug, Default)]
struct WantCount {
    everything: usize,
    base: usize,
    scopes: BTreeMap<(Subject, Scope), usize>,
}

impl Groups {
    /// A new follower, and his group, which may be new too.
    pub(crate) fn join(
        &mut self,
        selectors: Arc<BTreeSet<Selector>>,
        holder: Holder,
        first: &dyn Fn() -> Holdings,
    ) -> (FollowerId, GroupId) {
        self.drawn = self.drawn.saturating_add(1);
        let id = FollowerId(self.drawn);
        let group = self.group_for(selectors, holder, first);
        self.followers.insert(id, (group, Wants::Nothing));
        if let Some(group) = self.all.get_mut(&group) {
            step(&mut group.followers, true);
        }
        (id, group)
    }

    /// A follower wants something else; answers his group and what he wanted before.
    pub(crate) fn want(&mut self, id: FollowerId, wants: Wants) -> Option<(GroupId, Wants)> {
        let (group, held) = self.followers.get_mut(&id)?;
        let before = std::mem::replace(held, wants);
        let of = self.all.get_mut(group)?;
        of.wants.followers_changed(&before, false);
        of.wants.followers_changed(held, true);
        Some((*group, before))
    }

    /// A follower is gone; answers his group.
    pub(crate) fn leave(&mut self, id: FollowerId) -> Option<GroupId> {
        let (group, wants) = self.followers.remove(&id)?;
        let of = self.all.get_mut(&group)?;
        of.wants.followers_changed(&wants, false);
        step(&mut of.followers, false);
        Some(group)
    }

    /// Lets go of a group that nobody follows; answers it. Followers are counted, not receivers:
    /// one that leaves may not have dropped his yet.
    pub(crate) fn drop_empty(&mut self, id: GroupId) -> Option<Group> {
        if 0 < self.all.get(&id)?.followers {
            return None;
        }
        let group = self.all.remove(&id)?;
        self.by_caller
            .remove(&(Arc::clone(&group.selectors), group.holder.clone()));
        for entry in &group.identities {
            self.unlink(&entry.subject, id);
        }
        Some(group)
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// One group.
    pub(crate) fn get(&self, id: GroupId) -> Option<&Group> {
        self.all.get(&id)
    }

    /// One group, to change it.
    pub(crate) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.all.get_mut(&id)
    }

    /// Every group.
    pub(crate) fn ids(&self) -> Vec<GroupId> {
        self.all.keys().copied().collect()
    }

    /// The groups in which a subject is one of the identities.
    pub(crate) fn of(&self, subject: &Subject) -> Vec<GroupId> {
        let groups = self.by_subject.get(subject);
        groups.into_iter().flatten().copied().collect()
    }

    /// Says which entries fit a group.
    pub(crate) fn fit(&mut self, id: GroupId, identities: Vec<Arc<AgentEntry>>) {
        let Some(group) = self.all.get_mut(&id) else {
            return;
        };
        let before = std::mem::replace(&mut group.identities, identities.clone());
        for entry in before {
            self.unlink(&entry.subject, id);
        }
        for entry in identities {
            let groups = self.by_subject.entry(entry.subject.clone());
            groups.or_default().insert(id);
        }
    }

    fn unlink(&mut self, subject: &Subject, id: GroupId) {
        if let Some(groups) = self.by_subject.get_mut(subject) {
            groups.remove(&id);
            if groups.is_empty() {
                self.by_subject.remove(subject);
            }
        }
    }

    fn group_for(
        &mut self,
        selectors: Arc<BTreeSet<Selector>>,
        holder: Holder,
        first: &dyn Fn() -> Holdings,
    ) -> GroupId {
        let caller = (Arc::clone(&selectors), holder.clone());
        if let Some(id) = self.by_caller.get(&caller) {
            return *id;
        }
        self.drawn = self.drawn.saturating_add(1);
        let id = GroupId(self.drawn);
        let group = Group {
            selectors,
            holder,
            identities: Vec::new(),
            items: BTreeSet::new(),
            view: watch::Sender::new(Arc::new(first())),
            told: Told::default(),
            wants: WantCount::default(),
            followers: 0,
        };
        self.all.insert(id, group);
        self.by_caller.insert(caller, id);
        id
    }
}

impl Group {
    /// Whether somebody wants all there is.
    pub(crate) const fn wants_everything(&self) -> bool {
        0 < self.wants.everything
    }

    /// Whether somebody wants the base SVIDs.
    pub(crate) const fn wants_base(&self) -> bool {
        0 < self.wants.base || self.wants_everything()
    }

    /// Whether somebody wants this scope.
    pub(crate) fn wants_scope(&self, subject: &Subject, scope: &Scope) -> bool {
        let named = || (subject.clone(), scope.clone());
        self.wants_everything() || self.wants.scopes.contains_key(&named())
    }

    /// How many streams follow it.
    pub(crate) const fn followers(&self) -> usize {
        self.followers
    }
}

impl WantCount {
    fn followers_changed(&mut self, wants: &Wants, joins: bool) {
        match wants {
            Wants::Nothing => {}
            Wants::Everything => step(&mut self.everything, joins),
            Wants::Some { base, scopes } => {
                if *base {
                    step(&mut self.base, joins);
                }
                for key in scopes.keys() {
                    let count = self.scopes.entry(key.clone()).or_default();
                    step(count, joins);
                    if *count == 0 {
                        self.scopes.remove(key);
                    }
                }
            }
        }
    }
}

const fn step(count: &mut usize, joins: bool) {
    *count = if joins {
        count.saturating_add(1)
    } else {
        count.saturating_sub(1)
    };
}

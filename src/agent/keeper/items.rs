//! The SVIDs themselves, each with when it is to be acted on next.
//!
//! Promises: what is due comes with the soonest end first; an item has one mint under way at most;
//! after failures it waits longer each time, up to half a minute, and is never given up while
//! somebody wants it. An ended SVID is taken away before anything else is done.
//! Refuses: to renew what nobody wants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::holdings::Svid;
use crate::agent::keeper::GroupId;
use crate::id::ElevationId;
use crate::id::Holder;
use crate::identity::Subject;
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};

/// What is kept once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ItemKey {
    /// The base SVID of a subject.
    Base(Subject),
    /// The elevated SVID of an elevation, for one holder.
    Elevated {
        /// Of which subject.
        subject: Subject,
        /// For which scope.
        scope: Scope,
        /// From which elevation.
        elevation: ElevationId,
        /// For whom.
        holder: Holder,
    },
}

/// One SVID, there or to come.
#[derive(Debug, Default)]
pub(crate) struct Item {
    /// Who wants it.
    pub(crate) wanted_by: BTreeSet<GroupId>,
    /// The newest.
    pub(crate) svid: Option<Arc<Svid>>,
    /// What went wrong last, while it has not gone right again.
    pub(crate) trouble: Option<String>,
    /// When nothing more can be minted of it, where that is known.
    ends: Option<Timestamp>,
    /// Whether the SVID took the place of one that lived.
    renewed: bool,
    under_way: bool,
    failures: u32,
    not_again_before: Option<Timestamp>,
    at: Option<Timestamp>,
}

/// All items.
#[derive(Debug, Default)]
pub(crate) struct Items {
    items: BTreeMap<ItemKey, Item>,
    agenda: BTreeSet<(Timestamp, ItemKey)>,
}

impl ItemKey {
    /// Of which subject.
    pub(crate) const fn subject(&self) -> &Subject {
        match self {
            Self::Base(subject) | Self::Elevated { subject, .. } => subject,
        }
    }

    /// As metrics and profiles call it.
    pub(crate) const fn profile(&self) -> &'static str {
        match self {
            Self::Base(_) => "base",
            Self::Elevated { .. } => "elevated",
        }
    }

    /// For which scope, when elevated.
    pub(crate) const fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Base(_) => None,
            Self::Elevated { scope, .. } => Some(scope),
        }
    }

    /// From this moment on an SVID with this end is not told any more: a base SVID until the second
    /// of notAfter, in which TLS libraries refuse it already; an elevated one a second less, so
    /// that no proxy begins a connection with it that the other side then refuses (assurance G12).
    fn told_until(&self, not_after: Timestamp) -> Timestamp {
        match self {
            Self::Base(_) => not_after.whole_second(),
            Self::Elevated { .. } => not_after.whole_second().minus(Seconds::new(1)),
        }
    }
}

impl Items {
    /// One item.
    pub(crate) fn get(&self, key: &ItemKey) -> Option<&Item> {
        self.items.get(key)
    }

    /// All items.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ItemKey, &Item)> {
        self.items.iter()
    }

    /// When the next item is to be acted on.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Somebody wants it from now on. `ends`: when nothing more can be minted of it, as far as that
    /// is known.
    pub(crate) fn want(
        &mut self,
        key: &ItemKey,
        by: GroupId,
        ends: Option<Timestamp>,
        now: Timestamp,
    ) {
        let item = self.items.entry(key.clone()).or_default();
        item.ends = ends.or(item.ends);
        item.wanted_by.insert(by);
        self.plan(key, now);
    }

    /// Somebody wants it no more. Nothing is lost at once: who comes back in time finds it, and
    /// also that it is not tried again yet.
    pub(crate) fn leave(&mut self, key: &ItemKey, by: GroupId, now: Timestamp) {
        if let Some(item) = self.items.get_mut(key) {
            item.wanted_by.remove(&by);
            if item.svid.is_none() && item.is_idle(now) {
                self.remove(key);
            } else {
                self.plan(key, now);
            }
        }
    }

    /// Takes an item and its key away.
    pub(crate) fn remove(&mut self, key: &ItemKey) {
        if let Some(Item { at: Some(at), .. }) = self.items.remove(key) {
            self.agenda.remove(&(at, key.clone()));
        }
    }

    /// Takes away every item that `keep` does not say to keep; answers whose they were.
    pub(crate) fn retain(&mut self, keep: impl Fn(&ItemKey) -> bool) -> BTreeSet<Subject> {
        let gone: Vec<_> = self
            .items
            .keys()
            .filter(|key| !keep(key))
            .cloned()
            .collect();
        for key in &gone {
            self.remove(key);
        }
        gone.iter().map(|key| key.subject().clone()).collect()
    }

    /// Takes away what has ended at `now` and what nobody wanted until its renewal; answers whose
    /// SVIDs they were.
    pub(crate) fn expire(&mut self, now: Timestamp) -> BTreeSet<Subject> {
        let mut touched = BTreeSet::new();
        let due = self.agenda.iter().take_while(|(at, _)| *at <= now);
        let due: Vec<_> = due.map(|(_, key)| key.clone()).collect();
        for key in due {
            let Some(item) = self.items.get_mut(&key) else {
                continue;
            };
            let ended = item
                .svid
                .as_ref()
                .is_some_and(|svid| key.told_until(svid.not_after) <= now);
            if ended {
                item.svid = None;
                touched.insert(key.subject().clone());
            }
            let last = item.is_last();
            let renewable = item.svid.as_ref();
            let renewable = renewable.is_none_or(|svid| svid.renew_at <= now && !last);
            if item.is_idle(now) && renewable {
                touched.insert(key.subject().clone());
                self.remove(&key);
            } else if ended || last {
                // Its time on the agenda has passed; the next one is that of another attempt, or
                // of its end.
                touched.insert(key.subject().clone());
                self.plan(&key, now);
            }
        }
        touched
    }

    /// Up to `most` items that are to be minted at `now`, the soonest end first; each counts as
    /// under way from here on.
    pub(crate) fn due(&mut self, most: usize, now: Timestamp) -> Vec<ItemKey> {
        let mut due: Vec<_> = self
            .agenda
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter_map(|(_, key)| {
                let item = self.items.get(key)?;
                let end = item.svid.as_ref().map(|svid| svid.not_after);
                item.wants_mint(now).then(|| (end, key.clone()))
            })
            .collect();
        due.sort();
        due.truncate(most);
        let keys: Vec<_> = due.into_iter().map(|(_, key)| key).collect();
        for key in &keys {
            if let Some(item) = self.items.get_mut(key) {
                item.under_way = true;
            }
            self.plan(key, now);
        }
        keys
    }

    /// Takes in what was minted; false where nobody keeps this item any more.
    pub(crate) fn minted(&mut self, key: &ItemKey, svid: Arc<Svid>, now: Timestamp) -> bool {
        let Some(item) = self.items.get_mut(key) else {
            return false;
        };
        item.under_way = false;
        item.failures = 0;
        item.not_again_before = None;
        item.trouble = None;
        item.renewed = item.svid.is_some();
        item.svid = Some(svid);
        self.plan(key, now);
        true
    }

    /// Says when nothing more can be minted from an elevation.
    pub(crate) fn ends(&mut self, of: ElevationId, ends_at: Timestamp, now: Timestamp) {
        let is_of = |key: &&ItemKey| match key {
            ItemKey::Base(_) => false,
            ItemKey::Elevated { elevation, .. } => *elevation == of,
        };
        let keys: Vec<_> = self.items.keys().filter(is_of).cloned().collect();
        for key in keys {
            if let Some(item) = self.items.get_mut(&key) {
                item.ends = Some(ends_at);
            }
            self.plan(&key, now);
        }
    }

    /// When the next SVID ends that is told.
    pub(crate) fn next_end(&self) -> Option<Timestamp> {
        let ends = self.items.iter().filter_map(|(key, item)| {
            let svid = item.svid.as_ref()?;
            Some(key.told_until(svid.not_after))
        });
        ends.min()
    }

    /// Takes in that minting failed; it is tried again after `pause`, which is asked with the
    /// number of failures in a row.
    pub(crate) fn failed(
        &mut self,
        key: &ItemKey,
        trouble: String,
        pause: impl FnOnce(u32) -> Seconds,
        now: Timestamp,
    ) {
        let Some(item) = self.items.get_mut(key) else {
            return;
        };
        item.under_way = false;
        item.failures = item.failures.saturating_add(1);
        item.not_again_before = Some(now.plus(pause(item.failures)));
        item.trouble = Some(trouble);
        self.plan(key, now);
    }

    /// Lets every item that waits after failures be tried at once: the server is there again.
    pub(crate) fn hope(&mut self, now: Timestamp) {
        let waiting = self.items.iter().filter(|(_, item)| 0 < item.failures);
        let waiting: Vec<_> = waiting.map(|(key, _)| key.clone()).collect();
        for key in waiting {
            if let Some(item) = self.items.get_mut(&key) {
                item.not_again_before = None;
            }
            self.plan(&key, now);
        }
    }

    /// Puts an item onto the agenda at the moment at which something is to be done about it.
    fn plan(&mut self, key: &ItemKey, now: Timestamp) {
        let Some(item) = self.items.get_mut(key) else {
            return;
        };
        let end = item
            .svid
            .as_ref()
            .map(|svid| key.told_until(svid.not_after));
        let renew = item.svid.as_ref().map_or(now, |svid| svid.renew_at);
        let act = match (item.under_way, item.not_again_before) {
            (true, _) => None,
            // From then on it fades.
            (false, _) if item.is_last() => Some(renew).filter(|renew| now < *renew),
            (false, _) if item.is_over(now) => None,
            (false, Some(pause)) => Some(renew.max(pause)),
            (false, None) => Some(renew),
        };
        let at = match (act, end) {
            (Some(act), Some(end)) => Some(act.min(end)),
            (act, end) => act.or(end),
        };
        if let Some(old) = std::mem::replace(&mut item.at, at) {
            self.agenda.remove(&(old, key.clone()));
        }
        if let Some(at) = at {
            self.agenda.insert((at, key.clone()));
        }
    }
}

impl Item {
    /// Whether what is held lives as long as any successor could: a certificate's last second lies
    /// before the right's end, up to three seconds for what is less than a second each time.
    fn is_last(&self) -> bool {
        match (&self.svid, self.ends) {
            (Some(svid), Some(ends)) => ends <= svid.not_after.plus(LAST_SECONDS),
            _ => false,
        }
    }

    /// Whether nothing that could still be minted would be told: it would end before that.
    fn is_over(&self, now: Timestamp) -> bool {
        let ends = self.ends.filter(|_| self.svid.is_none());
        ends.is_some_and(|ends| ends <= now.plus(LEAST_SECONDS))
    }

    /// Whether its right nears its end: with the last certificate, where that took the place of
    /// another, else in the second half of it. Either way so much of a life is left that
    /// connections which were made before have come of age by its end.
    pub(crate) fn fades(&self, now: Timestamp) -> bool {
        let svid = self.svid.as_ref().filter(|_| self.is_last());
        svid.is_some_and(|svid| self.renewed || svid.renew_at <= now)
    }

    /// Whether nobody wants it, and nothing is to be kept in mind of it.
    fn is_idle(&self, now: Timestamp) -> bool {
        self.wanted_by.is_empty()
            && !self.under_way
            && self.not_again_before.is_none_or(|pause| pause <= now)
    }

    fn wants_mint(&self, now: Timestamp) -> bool {
        !self.under_way
            && !self.is_last()
            && !self.wanted_by.is_empty()
            && self.svid.as_ref().is_none_or(|svid| svid.renew_at <= now)
            && !self.is_over(now)
            && self.not_again_before.is_none_or(|pause| pause <= now)
    }
}

/// What is left of a right after its last certificate, at most.
const LAST_SECONDS: Seconds = Seconds::new(3);
/// What must be left of a right for a certificate that is told for a second.
const LEAST_SECONDS: Seconds = Seconds::new(5);

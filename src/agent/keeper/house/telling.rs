//! What each group keeps and is told, made to follow from what the house knows.
//!
//! Promises: the default identity is chosen by a rule, never by chance, and is never an elevated
//! SVID; a group is told something only when it differs from what it was told last.
//! Refuses: entries without selectors: they fit nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::holdings::{AgentEntry, Bundles, Elevated, Generation, Holdings, Identity};
use crate::agent::keeper::GroupId;
use crate::agent::keeper::groups::Told;
use crate::agent::keeper::house::House;
use crate::agent::keeper::items::ItemKey;
use crate::id::Holder;
use crate::identity::{Selector, Subject};
use crate::time::Timestamp;

impl House {
    /// Finds the entries that fit a group: all their selectors are among what the caller shows. The
    /// one with the hint `default` stands first, the others in the order of their SPIFFE IDs: no
    /// chance decides who is the default.
    pub(super) fn refit(&mut self, id: GroupId, now: Timestamp) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let entries = self.entries.values();
        let fitting = entries.filter(|entry| fits(entry, &group.selectors));
        let mut identities: Vec<_> = fitting.cloned().collect();
        identities.sort_by_key(|entry| {
            let default = entry.hint.as_deref() == Some(DEFAULT_HINT);
            (!default, entry.subject.to_string())
        });
        self.groups.fit(id, identities);
        self.settle(id, now);
    }

    pub(super) fn touch(&mut self, subject: &Subject, now: Timestamp) {
        for group in self.groups.of(subject) {
            self.settle(group, now);
        }
    }

    /// Makes what a group keeps and is told be what follows from all that is known.
    pub(super) fn settle(&mut self, id: GroupId, now: Timestamp) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let holders = [Holder::host(), group.holder.clone()];
        let mut wanted = BTreeSet::new();
        let mut open = Vec::new();
        for entry in &group.identities {
            if group.wants_base() {
                wanted.insert(ItemKey::Base(entry.subject.clone()));
            }
            let elevations = self.by_subject.get(&entry.subject).into_iter().flatten();
            for told in elevations.filter_map(|id| self.elevations.get(id)) {
                let Some(holder) = told.holder(&self.agent, &holders) else {
                    continue;
                };
                if !told.is_open(now) {
                    continue;
                }
                let key = ItemKey::Elevated {
                    subject: told.subject.clone(),
                    scope: told.scope.clone(),
                    elevation: told.id,
                    holder,
                };
                if group.wants_scope(&told.subject, &told.scope) {
                    wanted.insert(key.clone());
                }
                open.push(key);
            }
        }
        let before = group.items.clone();
        for key in before.difference(&wanted) {
            self.items.leave(key, id, now);
        }
        for key in wanted.difference(&before) {
            self.items.want(key, id, self.ends_at(key), now);
        }
        if let Some(group) = self.groups.get_mut(id) {
            group.items = wanted;
        }
        self.tell(id, &open, now);
    }

    fn tell(&mut self, id: GroupId, open: &[ItemKey], now: Timestamp) {
        let Some(group) = self.groups.get(id) else {
            return;
        };
        let svid = |key: &ItemKey| self.items.get(key).and_then(|item| item.svid.clone());
        let identities: Vec<_> = group
            .identities
            .iter()
            .map(|entry| Identity {
                svid: svid(&ItemKey::Base(entry.subject.clone())),
                entry: Arc::clone(entry),
            })
            .collect();
        let elevated: Vec<_> = open
            .iter()
            .filter_map(|key| match key {
                ItemKey::Base(_) => None,
                ItemKey::Elevated {
                    subject,
                    scope,
                    elevation,
                    ..
                } => Some(Elevated {
                    elevation: elevation.to_string(),
                    subject: subject.clone(),
                    scope: scope.clone(),
                    svid: svid(key),
                    fades: self
                        .elevations
                        .get(elevation)
                        .is_some_and(|told| self.fades(told, now)),
                }),
            })
            .collect();
        let own: BTreeSet<_> = group
            .identities
            .iter()
            .map(|entry| &entry.subject)
            .collect();
        let asks = self.asks.iter().filter(|(key, _)| own.contains(&key.0));
        let asks: BTreeMap<_, _> = asks.map(|(key, ask)| (key.clone(), ask.clone())).collect();
        let federates = group.identities.iter();
        let federates = federates.flat_map(|entry| entry.federates_with.iter().cloned());
        let federates_with = federates.collect();
        let told = Told {
            is_whole: self.told,
            bundles: self.bundles.generation,
            identities: identities.iter().map(identity_told).collect(),
            elevated: elevated.iter().map(elevated_told).collect(),
            asks: asks.clone(),
        };
        if group.told == told {
            return;
        }
        let bundles = Arc::clone(&self.bundles);
        let holdings = Holdings {
            told: self.told,
            identities,
            elevated,
            asks,
            bundles,
            federates_with,
        };
        if let Some(group) = self.groups.get_mut(id) {
            group.told = told;
            group.view.send_replace(Arc::new(holdings));
        }
    }
}

/// Whether an entry fits a caller who shows these. Without selectors it fits nobody: it is no
/// agent's to give.
pub(super) fn fits(entry: &AgentEntry, shown: &BTreeSet<Selector>) -> bool {
    !entry.selectors.is_empty() && entry.selectors.is_subset(shown)
}

fn identity_told(one: &Identity) -> (String, u64, Option<Generation>) {
    let generation = one.svid.as_ref().map(|svid| svid.generation);
    (one.entry.id.clone(), one.entry.version, generation)
}

fn elevated_told(one: &Elevated) -> (String, Option<Generation>, bool) {
    let generation = one.svid.as_ref().map(|svid| svid.generation);
    (one.elevation.clone(), generation, one.fades)
}

/// What a follower is told before anything is known.
pub(super) fn first_view(bundles: &Arc<Bundles>) -> Holdings {
    Holdings {
        told: false,
        identities: Vec::new(),
        elevated: Vec::new(),
        asks: BTreeMap::new(),
        bundles: Arc::clone(bundles),
        federates_with: BTreeSet::new(),
    }
}

/// The hint of the entry that is a caller's default identity.
const DEFAULT_HINT: &str = "default";

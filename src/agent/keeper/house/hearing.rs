//! What the server tells, taken in: entries, elevations, bundles, and all of it anew.
//!
//! Promises: an older word never undoes a newer one; what the server does not tell any more is
//! gone, with its SVIDs and their keys; roots of the own trust domain are never given up for
//! nothing. Refuses: more of anything than the named bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::holdings::{AgentEntry, Ask, Bundles};
use crate::agent::keeper::groups::Group;
use crate::agent::keeper::house::telling::fits;
use crate::agent::keeper::house::{House, REFUSED_FOR};
use crate::agent::news::{
    BUNDLES_MAX, ELEVATIONS_MAX, ENTRIES_MAX, Image, News, Standing, ToldElevation,
};
use crate::identity::{Subject, TrustDomain};
use crate::time::Timestamp;

impl House {
    /// Takes in what the server told.
    pub(crate) fn hear(&mut self, news: News, now: Timestamp) {
        match news {
            News::Bundle(of, roots) => self.bundle(of, roots, now),
            // The deny list is not the keeper's.
            News::Denied(..) => {}
            News::Elevation(told) => self.elevation(told, now),
            News::Entry(entry) => {
                let known = self.entries.contains_key(&entry.id);
                if !known && ENTRIES_MAX <= self.entries.len() {
                    tracing::error!("more entries name this agent than it keeps");
                    return;
                }
                let before = self.entries.insert(entry.id.clone(), Arc::clone(&entry));
                self.entry_changed(before.as_deref(), Some(&entry), now);
            }
            News::EntryRemoved(id) => {
                // The ends of what was open for its subject are not told one by one.
                if let Some(gone) = self.entries.remove(&id) {
                    for id in self.by_subject.remove(&gone.subject).into_iter().flatten() {
                        self.elevations.remove(&id);
                    }
                    self.entry_changed(Some(&gone), None, now);
                }
            }
            News::Everything(image) => self.everything(*image, now),
        }
    }

    fn everything(&mut self, image: Image, now: Timestamp) {
        self.told = true;
        self.remember_vanished(&image, now);
        self.entries = image.entries;
        self.by_subject.clear();
        self.starts.clear();
        for (id, told) in &image.elevations {
            let ids = self.by_subject.entry(told.subject.clone());
            ids.or_default().insert(*id);
            self.starts.extend(start_of(told, now));
        }
        self.elevations = image.elevations;
        let mut image_roots = image.roots;
        self.keep_own(&mut image_roots);
        if self.bundles.roots != image_roots {
            self.bundles = Arc::new(Bundles {
                generation: self.next_generation(),
                own: self.bundles.own.clone(),
                roots: image_roots,
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

    /// Rights that were open and are not told any more ended while nobody told: by whom is not
    /// known, so that they are not asked for again at once.
    fn remember_vanished(&mut self, image: &Image, now: Timestamp) {
        let until = now.plus(REFUSED_FOR);
        for (id, told) in &self.elevations {
            if told.is_open(now) && !image.elevations.contains_key(id) {
                let key = (told.subject.clone(), told.scope.clone());
                let code = ENDED_UNSEEN.to_owned();
                self.asks.insert(key, Ask::Refused { code, until });
            }
        }
    }

    /// Without roots of its own trust domain nothing could be minted or told: a server that tells
    /// none is not believed.
    fn keep_own(&self, roots: &mut BTreeMap<TrustDomain, Vec<bytes::Bytes>>) {
        let own = &self.bundles.own;
        if let Some(known) = self
            .bundles
            .roots
            .get(own)
            .filter(|_| !roots.contains_key(own))
        {
            tracing::error!("the server tells no roots of its own; those before are kept");
            roots.insert(own.clone(), known.clone());
        }
    }

    fn bundle(&mut self, of: TrustDomain, roots: Vec<bytes::Bytes>, now: Timestamp) {
        let mut all = self.bundles.roots.clone();
        if roots.is_empty() {
            all.remove(&of);
        } else if all.contains_key(&of) || all.len() < BUNDLES_MAX {
            all.insert(of, roots);
        }
        self.keep_own(&mut all);
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
        if known.is_none() && ELEVATIONS_MAX <= self.elevations.len() {
            tracing::error!("more elevations are told than this agent keeps");
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
        if let Standing::Over(how) = &told.standing {
            let until = now.plus(REFUSED_FOR);
            self.over.insert(id, (how.clone(), until));
            ids.remove(&id);
            if ids.is_empty() {
                self.by_subject.remove(&subject);
            }
            self.elevations.remove(&id);
            self.drop_unfounded(now);
        } else {
            ids.insert(id);
            self.starts.extend(start_of(&told, now));
            self.note_end(&told, now);
            self.elevations.insert(id, told);
        }
        self.touch(&subject, now);
    }

    /// One entry is another: only groups that it fitted or fits now are looked at.
    fn entry_changed(
        &mut self,
        before: Option<&AgentEntry>,
        after: Option<&AgentEntry>,
        now: Timestamp,
    ) {
        self.drop_unfounded(now);
        let concerned = |group: &Group| {
            let mut entries = before.iter().chain(after.iter());
            entries.any(|entry| fits(entry, &group.selectors))
        };
        for id in self.groups.ids() {
            if self.groups.get(id).is_some_and(concerned) {
                self.refit(id, now);
            }
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

/// How a right ended of whose end nothing was heard.
const ENDED_UNSEEN: &str = "ended";
/// How an elevation ends without anybody's no.
const ENDED_BY_TIME: [&str; 2] = ["expired", "unused"];

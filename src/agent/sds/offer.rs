//! From what a caller holds to what a name is answered with: no IO, no clock.
//!
//! Promises: the offer of one name depends on what it names. What the server has not told yet is
//! waited for, never called absent.
//! Refuses: an elevated SVID whose subject is none of the caller's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::holdings::{Ask, Holdings, Identity, Svid, Wants};
use crate::agent::sds::name::{Asked, Name};
use crate::agent::sds::secret::{Secret, Validator, is_usable};
use crate::agent::sds::shelf::Shelf;
use crate::agent::xds::{Offer, Subscription, Subscriptions};
use crate::identity::{Subject, TrustDomain};
use crate::scope::Scope;
use crate::time::Timestamp;

/// What one caller may hold, looked at in one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) holdings: &'a Holdings,
    pub(super) shelf: &'a Shelf,
    pub(super) validator: Validator,
    pub(super) now: Timestamp,
}

impl View<'_> {
    /// What holds of a name. A client who cannot be told that something is absent (not `delta`) is
    /// given the base SVID in the place of an elevated one that he was given and that is over.
    pub(super) fn offer(&self, name: &str, asked: &Subscription, delta: bool) -> Offer<Secret> {
        let name = Name::read(name);
        let offer = name.exact.map_or(Offer::Absent, |exact| match exact {
            Asked::AllRoots => self.all_roots(),
            Asked::Base(subject) => self.base(self.identity(&subject)),
            Asked::Default => self.base(self.holdings.identities.first()),
            Asked::Elevated(subject, scope) => self.scope(&subject, &scope, asked, delta),
            Asked::OwnRoots => self.roots(&self.holdings.bundles.own),
            Asked::Roots(of) => self.roots(&of),
            Asked::Scope(scope) => match self.default_subject() {
                Some(subject) => self.scope(subject, &scope, asked, delta),
                None => self.untold_scope(asked),
            },
        });
        match offer {
            Offer::Absent if name.roots_for => self.roots(&self.holdings.bundles.own),
            offer => offer,
        }
    }

    /// The names that everything means.
    pub(super) fn everything(&self) -> Vec<Arc<str>> {
        if self.holdings.identities.is_empty() {
            return Vec::new();
        }
        let subjects = self.holdings.identities.iter();
        let ids = subjects.map(|identity| identity.entry.subject.to_string());
        let trusted = self.trust_domains().into_iter();
        let names: BTreeSet<String> = trusted
            .map(|of| format!("spiffe://{of}"))
            .chain(ids)
            .collect();
        names.into_iter().map(Arc::from).collect()
    }

    /// What the keeper must keep for these names. Marks each that has opened what it may.
    pub(super) fn wants(
        &self,
        subscriptions: &mut Subscriptions,
        delta: bool,
        on_demand: &BTreeSet<Scope>,
    ) -> Wants {
        let mut base = subscriptions.everything();
        let mut scopes = BTreeMap::new();
        for (name, asked) in subscriptions.iter_mut() {
            let (subject, scope) = match Name::read(name).exact {
                None | Some(Asked::AllRoots | Asked::OwnRoots | Asked::Roots(_)) => continue,
                Some(Asked::Default) => {
                    base = true;
                    continue;
                }
                Some(Asked::Base(subject)) => {
                    base |= self.identity(&subject).is_some();
                    continue;
                }
                Some(Asked::Elevated(subject, scope)) => {
                    asked.may_open = false;
                    (subject, scope)
                }
                Some(Asked::Scope(scope)) => {
                    let Some(subject) = self.default_subject() else {
                        continue;
                    };
                    asked.may_open &= on_demand.contains(&scope) && self.is_open(subject, &scope);
                    (subject.clone(), scope)
                }
            };
            if self.identity(&subject).is_none() {
                continue;
            }
            base |= !delta && (asked.held_before || asked.given.is_some());
            *scopes.entry((subject, scope)).or_insert(false) |= asked.may_open;
        }
        if !base && scopes.is_empty() {
            return Wants::Nothing;
        }
        Wants::Some { base, scopes }
    }

    /// Whether asking for a scope has not come to anything yet: nothing is open, nobody decides,
    /// and no refusal stands.
    fn is_open(&self, subject: &Subject, scope: &Scope) -> bool {
        let mut elevated = self.holdings.elevated.iter();
        if elevated.any(|one| one.subject == *subject && one.scope == *scope && !one.fades) {
            return false;
        }
        match self.ask(subject, scope) {
            None | Some(Ask::Asking) => true,
            Some(Ask::Pending { .. }) => false,
            Some(Ask::Refused { until, .. }) => *until <= self.now,
        }
    }

    fn scope(
        &self,
        subject: &Subject,
        scope: &Scope,
        asked: &Subscription,
        delta: bool,
    ) -> Offer<Secret> {
        let Some(identity) = self.identity(subject) else {
            return self.untold_scope(asked);
        };
        let offer = match self.fading(subject, scope, asked) {
            Some(offer) if delta => offer,
            Some(_) | None => self.elevated(subject, scope, asked, delta),
        };
        let had = asked.held_before || asked.given.is_some();
        match offer {
            Offer::Absent | Offer::Deciding if had && !delta => self.base(Some(identity)),
            offer => offer,
        }
    }

    /// Where all that there is of a scope nears its end: whoever can be told so is to ask anew at
    /// the next use. Nothing of this where asking anew came to nothing: then it lives to its end.
    fn fading(
        &self,
        subject: &Subject,
        scope: &Scope,
        asked: &Subscription,
    ) -> Option<Offer<Secret>> {
        let elevated = self.holdings.elevated.iter();
        let mut elevated = elevated
            .filter(|one| one.subject == *subject && one.scope == *scope)
            .peekable();
        elevated.peek()?;
        if !elevated.all(|one| one.fades) {
            return None;
        }
        match self.ask(subject, scope) {
            Some(Ask::Asking) => Some(Offer::Deciding),
            Some(Ask::Pending { .. }) => None,
            Some(Ask::Refused { until, .. }) if self.now < *until => None,
            None | Some(Ask::Refused { .. }) if asked.may_open => Some(Offer::Deciding),
            None | Some(Ask::Refused { .. }) => Some(Offer::Absent),
        }
    }

    fn elevated(
        &self,
        subject: &Subject,
        scope: &Scope,
        asked: &Subscription,
        delta: bool,
    ) -> Offer<Secret> {
        let elevated = self.holdings.elevated.iter();
        let elevated: Vec<_> = elevated
            .filter(|one| one.subject == *subject && one.scope == *scope)
            .collect();
        if !elevated.is_empty() {
            // Whose successor is on its way is not given any more to whoever waits for that.
            let lasting = delta && elevated.iter().any(|one| !one.fades);
            let given = elevated.iter().filter(|one| !lasting || !one.fades);
            let svids: Vec<_> = given.filter_map(|one| one.svid.as_ref()).collect();
            let usable = svids.iter().filter(|svid| is_usable(svid, self.now));
            let longest = usable.max_by_key(|svid| (svid.not_after, svid.generation));
            // What the client came back with has an end that nobody here knows: it is not taken
            // away while its successor is made.
            let still = match asked.ends {
                Some(end) => asked.given.is_some() && self.now < end,
                None => asked.held_before && svids.is_empty(),
            };
            return match longest {
                Some(svid) => Offer::Ready(Secret::Svid(Arc::clone(svid))),
                None if still => Offer::Awaited,
                None => Offer::Deciding,
            };
        }
        match self.ask(subject, scope) {
            Some(Ask::Asking | Ask::Pending { .. }) => Offer::Deciding,
            Some(Ask::Refused { until, .. }) if self.now < *until => Offer::Absent,
            None | Some(Ask::Refused { .. }) if asked.may_open => Offer::Deciding,
            None | Some(Ask::Refused { .. }) => Offer::Absent,
        }
    }

    fn base(&self, identity: Option<&Identity>) -> Offer<Secret> {
        let Some(identity) = identity else {
            return self.nobody(Offer::Awaited);
        };
        match identity.svid.as_ref() {
            Some(svid) if is_usable(svid, self.now) => ready(svid),
            Some(_) | None => Offer::Awaited,
        }
    }

    fn roots(&self, of: &TrustDomain) -> Offer<Secret> {
        if !self.trust_domains().contains(of) {
            return self.nobody(Offer::Awaited);
        }
        match self.shelf.roots(of) {
            Some(roots) => Offer::Ready(Secret::Roots(roots.clone(), self.validator)),
            // Told and not among them: nobody vouches for that trust domain any more.
            None if *of != self.holdings.bundles.own => self.nobody(Offer::Awaited),
            None => Offer::Awaited,
        }
    }

    /// Without one that is not told yet: the others do not wait for it.
    fn all_roots(&self) -> Offer<Secret> {
        let trusted = self.trust_domains();
        if trusted.is_empty() {
            return self.nobody(Offer::Awaited);
        }
        let roots = trusted.iter().filter_map(|of| self.shelf.roots(of));
        let all: Vec<_> = roots.cloned().collect();
        if all.is_empty() {
            return Offer::Awaited;
        }
        Offer::Ready(Secret::AllRoots(all))
    }

    /// Whose roots this caller is given; none without an entry.
    fn trust_domains(&self) -> BTreeSet<&TrustDomain> {
        if self.holdings.identities.is_empty() {
            return BTreeSet::new();
        }
        let own = std::iter::once(&self.holdings.bundles.own);
        own.chain(&self.holdings.federates_with).collect()
    }

    /// Of what is not his: absent, unless the server may still tell of it.
    fn nobody(&self, untold: Offer<Secret>) -> Offer<Secret> {
        if self.holdings.told {
            Offer::Absent
        } else {
            untold
        }
    }

    /// As [`Self::nobody`] of a scope. What the client came back with stays while the server has
    /// not told: this agent may have been started while the server is away.
    fn untold_scope(&self, asked: &Subscription) -> Offer<Secret> {
        self.nobody(if asked.given.is_some() {
            Offer::Awaited
        } else {
            Offer::Deciding
        })
    }

    fn identity(&self, subject: &Subject) -> Option<&Identity> {
        let mut identities = self.holdings.identities.iter();
        identities.find(|identity| identity.entry.subject == *subject)
    }

    fn default_subject(&self) -> Option<&Subject> {
        let first = self.holdings.identities.first()?;
        Some(&first.entry.subject)
    }

    fn ask(&self, subject: &Subject, scope: &Scope) -> Option<&Ask> {
        let asks = &self.holdings.asks;
        asks.get(&(subject.clone(), scope.clone()))
    }
}

fn ready(svid: &Arc<Svid>) -> Offer<Secret> {
    Offer::Ready(Secret::Svid(svid.clone()))
}

#[cfg(test)]
mod tests;

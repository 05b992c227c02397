//! Certificates that are denied before their end.
//!
//! Promises: where an elevation that was minted from is revoked, given back, or loses its signal,
//! every certificate of it that has not ended is denied, also one whose signature came later than
//! that. The list is made of the ledger: a start makes it again, all of it before anybody is told.
//! What could not be looked up is looked up again in the next round. A denial is forgotten when its
//! certificate has ended.
//! Refuses: to hold up the end of an elevation; more than `DENIED_MAX` certificates, of which those
//! of elevations that were given back give way before others, and those that end first before the
//! rest: nobody drives a revocation out by giving back what is his.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::audit::{EventKind, Key, SealedEvent};
use crate::elevation::{End, State};
use crate::id::ElevationId;
use crate::pki::Svid;
use crate::service::changes::Change;
use crate::service::{Service, ServiceError};
use crate::store::{EventFilter, LedgerHead};
use crate::time::{Seconds, Timestamp};
use crate::x509::Fingerprint;

/// One certificate that is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// Its last second; afterwards it is ended anyway.
    pub not_after: Timestamp,
    /// SHA-256 of its DER.
    pub fingerprint: Fingerprint,
}

/// What is denied, in one service.
#[derive(Default)]
pub(crate) struct Denials(Mutex<Held>);

#[derive(Default)]
struct Held {
    /// Soonest end first.
    denied: BTreeSet<Denial>,
    /// Those of them that nobody but the holder asked for.
    given_back: BTreeSet<Denial>,
    /// Elevations whose certificates are denied: what is signed late is too.
    ended: HashMap<ElevationId, Ended>,
    /// How many of them were given back.
    ended_given_back: usize,
    /// Those of them whose certificates are still to be looked up.
    owed: BTreeSet<ElevationId>,
}

#[derive(Clone, Copy)]
struct Ended {
    at: Timestamp,
    given_back: bool,
}

impl Service {
    /// Takes note of an end that denies what was minted before, and denies it.
    pub(crate) async fn deny_minted_from(&self, id: ElevationId, how: End, ended_at: Timestamp) {
        self.denials.note(id, how, ended_at);
        if let Err(error) = self.deny_all_of(id).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(elevation = %id, error, "denials are looked up again in a moment");
        }
    }

    /// Denies an SVID whose elevation ended while it was signed.
    pub(crate) fn deny_if_late(&self, id: ElevationId, svid: &Svid) {
        let Some(ended) = self.denials.lock().ended.get(&id).copied() else {
            return;
        };
        let certificate = &svid.certificate;
        let denial = Denial {
            not_after: certificate.tbs().not_after,
            fingerprint: certificate.fingerprint(),
        };
        self.deny(vec![denial], ended.given_back);
    }

    /// Looks up what is owed, and forgets what is over. Answers whether anything is still owed.
    pub(crate) async fn settle_denials(&self, now: Timestamp) -> Result<bool, ServiceError> {
        self.denials.forget(now);
        self.living.forget(now);
        for _ in 0..OWED_AT_ONCE {
            let owed = self.denials.lock().owed.first().copied();
            match owed {
                None => return Ok(false),
                Some(id) => self.deny_all_of(id).await?,
            }
        }
        Ok(!self.denials.lock().owed.is_empty())
    }

    /// Looks everything up again that may have been signed since it was looked up.
    pub(crate) fn owe_denials_again(&self) {
        let mut held = self.denials.lock();
        let ended: Vec<_> = held.ended.keys().copied().collect();
        held.owed.extend(ended);
    }

    /// Notes what the ledger says of the time before this start.
    pub(crate) async fn recall_denials(
        &self,
        head: Option<LedgerHead>,
    ) -> Result<(), ServiceError> {
        let Some(head) = head else {
            return Ok(());
        };
        let filter = EventFilter {
            kind: Some(EventKind::ElevationEnded),
            from: Some(head.at.min(self.now()).minus(LOOK_BACK)),
            ..EventFilter::default()
        };
        let mut after = None;
        loop {
            let page = self
                .store
                .events(filter.clone(), after, None, EVENTS_AT_ONCE)
                .await?;
            let Some(last) = page.last() else { break };
            after = Some(last.number());
            for event in page {
                let event = event.event();
                let early = event.key(Key::Outcome).and_then(early);
                let id = event.key(Key::Elevation).and_then(|id| id.parse().ok());
                if let (Some(id), Some(how)) = (id, early) {
                    self.denials.note(id, how, event.at());
                }
            }
        }
        // Whoever comes back is told the whole list: a short one would lift denials at his proxies.
        while self.settle_denials(self.now()).await? {}
        Ok(())
    }

    /// So many denials, soonest end first, after this one; each with whether it was given back.
    pub(crate) fn denied_after(&self, after: Option<Denial>, limit: usize) -> Vec<(Denial, bool)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let held = self.denials.lock();
        let after = held.denied.range((from, Bound::Unbounded));
        let told = after.take(limit);
        told.map(|one| (*one, held.given_back.contains(one)))
            .collect()
    }

    async fn deny_all_of(&self, id: ElevationId) -> Result<(), ServiceError> {
        let now = self.now();
        let from = now.minus(LOOK_BACK);
        let ended = self.denials.lock().ended.get(&id).copied();
        let given_back = ended.is_some_and(|ended| ended.given_back);
        let mut before = None;
        loop {
            let page = self.store.issued_from(id, before, EVENTS_AT_ONCE).await?;
            before = page.last().map(SealedEvent::number);
            let recent = page.iter().filter(|event| from <= event.event().at());
            let denials: Vec<_> = recent.filter_map(denial).collect();
            let is_last = denials.len() < page.len() || page.is_empty();
            self.deny(denials, given_back);
            if is_last {
                break;
            }
        }
        self.denials.lock().owed.remove(&id);
        Ok(())
    }

    fn deny(&self, denials: Vec<Denial>, given_back: bool) {
        let new = self.denials.add(denials, given_back, self.now());
        if !new.is_empty() {
            self.changes.tell(|| Change::Denied(new.into(), given_back));
        }
    }
}

impl Denials {
    /// How many certificates are denied.
    pub(crate) fn count(&self) -> usize {
        self.lock().denied.len()
    }

    fn note(&self, id: ElevationId, how: End, at: Timestamp) {
        let mut held = self.lock();
        let given_back = how == End::Withdrawn;
        let full = given_back && ENDED_GIVEN_BACK_MAX <= held.ended_given_back;
        let room = !full && held.ended.len() < ENDED_MAX && held.owed.len() < ENDED_MAX;
        if room {
            let before = held.ended.insert(id, Ended { at, given_back });
            if given_back && before.is_none() {
                held.ended_given_back = held.ended_given_back.saturating_add(1);
            }
            held.owed.insert(id);
        }
        drop(held);
        if !room {
            tracing::error!(elevation = %id, "its certificates are not denied: too many ended");
        }
    }

    /// Answers those that are new.
    fn add(&self, denials: Vec<Denial>, given_back: bool, now: Timestamp) -> Vec<Denial> {
        let mut held = self.lock();
        let mut new = denials;
        new.retain(|one| !one.is_over(now) && held.denied.insert(*one));
        if given_back {
            held.given_back.extend(&new);
        }
        let mut dropped = 0_u32;
        while DENIED_MAX < held.denied.len() {
            match held.given_back.pop_first() {
                Some(one) => held.denied.remove(&one),
                None => held.denied.pop_first().is_some(),
            };
            dropped = dropped.saturating_add(1);
        }
        drop(held);
        if 0 < dropped {
            tracing::error!(dropped, "more certificates are denied than are remembered");
        }
        new
    }

    fn forget(&self, now: Timestamp) {
        let mut held = self.lock();
        while held.denied.first().is_some_and(|one| one.is_over(now)) {
            held.denied.pop_first();
        }
        while held.given_back.first().is_some_and(|one| one.is_over(now)) {
            held.given_back.pop_first();
        }
        held.ended.retain(|_, ended| now < ended.at.plus(LOOK_BACK));
        let given_back = held.ended.values().filter(|ended| ended.given_back);
        held.ended_given_back = given_back.count();
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing between the changes of a set can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Denial {
    /// Whether the certificate has ended, its last second included.
    fn is_over(&self, now: Timestamp) -> bool {
        self.not_after.unix_s() < now.unix_s()
    }
}

/// The end by which a move from `before` to `after` denies what was minted; nothing was before
/// activation.
pub(crate) fn denies(before: &State, after: &State) -> Option<End> {
    match (before, after) {
        (State::Active { .. }, State::Ended { how, .. }) => Some(*how).filter(|how| is_early(*how)),
        _ => None,
    }
}

/// Whether an end comes before the one that was granted.
const fn is_early(how: End) -> bool {
    match how {
        End::Revoked | End::SignalLost | End::Withdrawn => true,
        End::Expired | End::Unused => false,
    }
}

fn early(outcome: &str) -> Option<End> {
    let mut ends = End::ALL.into_iter();
    ends.find(|how| is_early(*how) && how.as_str() == outcome)
}

/// The certificate that an `svid.issued` tells of; an older ledger does not say its end.
fn denial(issued: &SealedEvent) -> Option<Denial> {
    let event = issued.event();
    let not_after = event
        .field("not_after")
        .and_then(|value| value.as_text()?.parse().ok());
    Some(Denial {
        not_after: not_after.unwrap_or_else(|| event.at().plus(LIFE_LONGEST)),
        fingerprint: event.key(Key::Fingerprint)?.parse().ok()?,
    })
}

/// The most certificates that are denied at once, some 100 bytes each.
const DENIED_MAX: usize = 131_072;
/// The most ended elevations that late signatures are held against.
const ENDED_MAX: usize = 131_072;
/// The most of them that were given back: holders do that as often as they like.
const ENDED_GIVEN_BACK_MAX: usize = 65_536;
/// How many elevations one round looks up.
const OWED_AT_ONCE: usize = 1_024;
const EVENTS_AT_ONCE: u32 = 1_000;
/// DESIGN section 6: the longest life of an elevated SVID.
const LIFE_LONGEST: Seconds = Seconds::new(900);
/// What was issued before this has ended: the longest life, and a minute for clocks.
const LOOK_BACK: Seconds = Seconds::new(960);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::entropy::Entropy;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_s(seconds).unwrap()
    }

    fn denial(number: u64, end: i64) -> Denial {
        Denial {
            not_after: at(end),
            fingerprint: Fingerprint::of(&number.to_be_bytes()),
        }
    }

    #[test]
    fn a_denial_is_told_once_and_forgotten_after_its_end() {
        let denials = Denials::default();
        let (one, two, over) = (denial(1, 100), denial(2, 200), denial(3, 49));
        assert_eq!(denials.add(vec![two, one, over], false, at(50)), [two, one]);
        assert_eq!(denials.add(vec![one], true, at(50)), []);
        denials.forget(at(100));
        assert_eq!(denials.count(), 2, "its last second is its own");
        denials.forget(at(101));
        assert_eq!(denials.count(), 1);
    }

    #[test]
    fn who_ends_first_gives_way() {
        let denials = Denials::default();
        let many = (0..DENIED_MAX).map(|number| {
            let number = u64::try_from(number).unwrap();
            denial(number, 1_000)
        });
        denials.add(many.collect(), false, at(1));
        denials.add(vec![denial(u64::MAX, 900)], false, at(1));
        denials.add(vec![denial(u64::MAX, 1_100)], false, at(1));
        let held = denials.lock();
        assert_eq!(held.denied.len(), DENIED_MAX);
        assert_eq!(held.denied.last().unwrap().not_after, at(1_100));
    }

    #[test]
    fn what_was_given_back_gives_way_to_what_was_revoked() {
        let denials = Denials::default();
        let revoked = denial(u64::MAX, 900);
        denials.add(vec![revoked], false, at(1));
        let many = (0..DENIED_MAX).map(|number| {
            let number = u64::try_from(number).unwrap();
            denial(number, 1_000)
        });
        denials.add(many.collect(), true, at(1));
        let held = denials.lock();
        assert_eq!(held.denied.len(), DENIED_MAX);
        assert!(held.denied.contains(&revoked), "though it ends first");
        assert_eq!(held.given_back.len(), DENIED_MAX - 1);
        drop(held);
        denials.forget(at(1_001));
        assert!(denials.lock().given_back.is_empty());
    }

    #[test]
    fn giving_back_leaves_room_for_revocations() {
        let denials = Denials::default();
        let entropy = Entropy::seeded(1);
        let note = |how| {
            let id = ElevationId::random(&entropy);
            denials.note(id, how, at(1));
        };
        (0..ENDED_MAX).for_each(|_| note(End::Withdrawn));
        note(End::Revoked);
        let ended = denials.lock().ended.len();
        assert_eq!(ended, ENDED_GIVEN_BACK_MAX + 1);
    }
}

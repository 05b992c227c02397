//! Certificates that are denied before their end, as filters of Envoy (ECDS).
//!
//! | Resource | Filter |
//! |---|---|
//! | `protem.deny_list` | `envoy.filters.http.rbac`: denies the next request on a live connection |
//! | `protem.deny_list.tcp` | `envoy.filters.network.rbac`: the next connection is denied |
//! | `protem.deny_list.module` | the module of `deploy/envoy`: cuts connections that live, too |
//!
//! A TCP connection that is open keeps the filter that it began with (measured, Envoy 1.40):
//! without the module only a bound on its age ends it. On a new one Envoy asks its own filter at
//! the client's first byte: what a service says before that, a denied client hears; the module
//! closes before.
//!
//! Promises: what is denied is told by the certificate's SHA-256, so that nothing else is; an empty
//! list is a filter that denies nobody. Before the server has told the list, nothing is said: an
//! Envoy goes on with the list that it has, which an empty one would lift. A list is made into
//! filters once, however many Envoys subscribe.
//! Refuses: more than [`DENIED_MAX`] certificates, and more than [`SHOWN_MAX`] in a filter. What
//! was given back is left out before what was revoked, and what ends soonest before the rest.

mod filter;
mod gathered;
mod service;

use std::collections::{BTreeMap, btree_map};
use std::sync::OnceLock;

use crate::agent::holdings::Generation;
use crate::time::Timestamp;

pub(crate) use crate::agent::deny_list::gathered::Gathered;
pub(crate) use crate::agent::deny_list::service::DenyLists;

use crate::agent::deny_list::filter::{Encoded, Layer};

/// The certificates that are denied, as the server told them.
#[derive(Clone, Debug, Default)]
pub(crate) struct DenyList {
    /// Of this list; 0 until the server has told it.
    pub(crate) generation: Generation,
    /// What is denied.
    pub(crate) digests: Digests,
    /// Made when the first Envoy asks.
    filters: OnceLock<[Encoded; 3]>,
}

/// How a certificate is denied. The least gives way first where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Denied {
    /// Somebody took it away; else its holder gave it back.
    pub(crate) revoked: bool,
    /// After this moment it is ended anyway.
    pub(crate) until: Timestamp,
}

/// Denied certificates by the SHA-256 of their DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digests(BTreeMap<[u8; 32], Denied>);

impl DenyList {
    /// A list that nobody has made filters of yet.
    pub(crate) fn new(generation: Generation, digests: Digests) -> Self {
        Self {
            generation,
            digests,
            filters: OnceLock::new(),
        }
    }

    /// The filter of a layer.
    fn filter(&self, layer: Layer) -> &Encoded {
        let [http, module, network] = self.filters.get_or_init(|| {
            let shown = self.digests.shown();
            [Layer::Http, Layer::Module, Layer::Network].map(|layer| Encoded::of(layer, &shown))
        });
        match layer {
            Layer::Http => http,
            Layer::Module => module,
            Layer::Network => network,
        }
    }
}

impl Digests {
    /// Takes denials in; where there are too many, some give way.
    pub(crate) fn add(&mut self, new: impl IntoIterator<Item = ([u8; 32], Denied)>) {
        for (digest, denied) in new {
            match self.0.entry(digest) {
                btree_map::Entry::Occupied(mut held) => {
                    let most = denied.max(*held.get());
                    held.insert(most);
                }
                btree_map::Entry::Vacant(place) => {
                    place.insert(denied);
                }
            }
            // Not one at a time: each time all are put in order.
            if DENIED_MAX.saturating_add(DENIED_OVER) < self.0.len() {
                self.give_way();
            }
        }
        self.give_way();
    }

    /// Forgets what has ended at `now`.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, denied| now <= denied.until);
    }

    /// Each of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ([u8; 32], Denied)> {
        self.0.iter().map(|(digest, denied)| (*digest, *denied))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a filter has no room for all of them.
    pub(crate) fn is_beyond_filters(&self) -> bool {
        SHOWN_MAX < self.0.len()
    }

    /// Those that a filter has room for, in their order.
    fn shown(&self) -> Vec<&[u8; 32]> {
        let mut shown: Vec<_> = self.0.iter().collect();
        if SHOWN_MAX < shown.len() {
            shown.sort_by_key(|(digest, denied)| (std::cmp::Reverse(**denied), **digest));
            shown.truncate(SHOWN_MAX);
            shown.sort();
        }
        shown.into_iter().map(|(digest, _)| digest).collect()
    }

    fn give_way(&mut self) {
        let over = self.0.len().saturating_sub(DENIED_MAX);
        if over == 0 {
            return;
        }
        let mut least: Vec<_> = self.0.iter().map(|(one, how)| (*how, *one)).collect();
        least.sort_unstable();
        for (_, digest) in least.into_iter().take(over) {
            self.0.remove(&digest);
        }
    }
}

impl<const N: usize> From<[([u8; 32], Denied); N]> for Digests {
    fn from(all: [([u8; 32], Denied); N]) -> Self {
        all.into_iter().collect()
    }
}

impl FromIterator<([u8; 32], Denied)> for Digests {
    fn from_iter<T: IntoIterator<Item = ([u8; 32], Denied)>>(all: T) -> Self {
        let mut digests = Self::default();
        digests.add(all);
        digests
    }
}

/// The most denied certificates that an agent remembers.
pub(crate) const DENIED_MAX: usize = 16_384;
/// As many more before some give way.
const DENIED_OVER: usize = 4_096;
/// Envoy compares one after the other, for each request.
const SHOWN_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: usize) -> Timestamp {
        Timestamp::from_unix_s(i64::try_from(second).unwrap()).unwrap()
    }

    fn digest(count: usize) -> [u8; 32] {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&count.to_be_bytes());
        digest
    }

    fn denied(revoked: bool, second: usize) -> Denied {
        let until = at(second);
        Denied { revoked, until }
    }

    #[test]
    fn those_that_live_longest_are_shown_and_the_ended_are_forgotten() {
        let all = (0..SHOWN_MAX + 100).map(|count| (digest(count), denied(true, 1_000 + count)));
        let mut digests: Digests = all.collect();
        assert!(digests.is_beyond_filters());
        let shown = digests.shown();
        assert_eq!(shown.len(), SHOWN_MAX);
        assert_eq!(shown[0], &digest(100));
        assert!(shown.is_sorted());
        digests.forget(at(1_000 + SHOWN_MAX + 98));
        assert_eq!(digests.len(), 2);
        digests.forget(at(1_000 + SHOWN_MAX + 100));
        assert_eq!(digests.len(), 0);
    }

    #[test]
    fn nobody_drives_a_revocation_out_by_giving_back_what_is_his() {
        let revoked = (digest(usize::MAX), denied(true, 500));
        let mut digests = Digests::from([revoked]);
        let many = 2 * (DENIED_MAX + DENIED_OVER);
        digests.add((0..many).map(|count| (digest(count), denied(false, 1_000 + count))));
        assert_eq!(digests.len(), DENIED_MAX);
        assert!(digests.shown().contains(&&digest(usize::MAX)));
        // Given back and revoked, in whichever order, is revoked.
        let (one, both) = (digest(1), [denied(true, 9), denied(false, 9)]);
        for (first, second) in [(both[0], both[1]), (both[1], both[0])] {
            let mut digests = Digests::from([(one, first)]);
            digests.add([(one, second)]);
            assert_eq!(digests, Digests::from([(one, both[0])]));
        }
    }
}

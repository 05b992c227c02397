//! Certificates that are denied before their end, as filters of Envoy (ECDS).
//!
//! | Resource | Filter |
//! |---|---|
//! | `protem.deny_list` | `envoy.filters.http.rbac`: denies the next request on a live connection |
//! | `protem.deny_list.tcp` | `envoy.filters.network.rbac`: the next connection is denied |
//!
//! A TCP connection that is open keeps the filter that it began with (measured, Envoy 1.40): only a
//! bound on its age ends it.
//!
//! Promises: what is denied is told by the certificate's SHA-256, so that nothing else is; an empty
//! list is a filter that denies nobody. Before the server has told the list, nothing is said: an
//! Envoy goes on with the list that it has, which an empty one would lift.
//! Refuses: more than [`DIGESTS_MAX`]; those that end soonest are left out then.

mod filter;
mod service;

use std::collections::BTreeMap;

use crate::agent::holdings::Generation;
use crate::time::Timestamp;

pub(crate) use crate::agent::deny_list::service::DenyLists;

/// The certificates that are denied, as the server told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DenyList {
    /// Of this list; 0 until the server has told it.
    pub(crate) generation: Generation,
    /// SHA-256 of each leaf's DER, and after which moment it is ended anyway.
    pub(crate) digests: BTreeMap<[u8; 32], Timestamp>,
}

impl DenyList {
    /// What is denied and still lives, at most [`DIGESTS_MAX`].
    fn living(&self, now: Timestamp) -> Vec<&[u8; 32]> {
        let living = self.digests.iter().filter(|(_, end)| now <= **end);
        let mut living: Vec<_> = living.collect();
        if DIGESTS_MAX < living.len() {
            living.sort_by_key(|(digest, end)| (std::cmp::Reverse(**end), **digest));
            living.truncate(DIGESTS_MAX);
            living.sort();
        }
        living.into_iter().map(|(digest, _)| digest).collect()
    }
}

/// Envoy compares one after the other, for each request.
const DIGESTS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_live_longest_are_kept_and_the_ended_are_not() {
        let at = |second: usize| Timestamp::from_unix_s(i64::try_from(second).unwrap()).unwrap();
        let mut digests = BTreeMap::new();
        for count in 0..DIGESTS_MAX + 100 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&count.to_be_bytes());
            digests.insert(digest, at(1_000 + count));
        }
        let list = DenyList {
            generation: Generation(1),
            digests,
        };
        let living = list.living(at(0));
        assert_eq!(living.len(), DIGESTS_MAX);
        assert_eq!(living[0][..8], 100_usize.to_be_bytes());
        assert!(living.is_sorted());
        assert_eq!(list.living(at(1_000 + DIGESTS_MAX + 98)).len(), 2);
        assert_eq!(list.living(at(1_000 + DIGESTS_MAX + 100)).len(), 0);
    }
}

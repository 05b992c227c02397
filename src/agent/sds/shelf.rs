//! The roots of every trust domain, in the form in which they are handed over.
//!
//! Promises: written once for all streams; the roots of one trust domain keep their version when
//! those of another change.
//! Refuses: trust domains without roots.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agent::holdings::{Bundles, Generation};
use crate::agent::xds::Digest;
use crate::identity::TrustDomain;

/// All roots as they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Shelf {
    generation: Generation,
    own: Option<TrustDomain>,
    roots: BTreeMap<TrustDomain, Roots>,
}

/// The roots of one trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Roots {
    /// Whose.
    pub(super) of: TrustDomain,
    /// In PEM, one after the other.
    pub(super) pem: Bytes,
    /// Of the bundles with which they became so.
    pub(super) since: Generation,
    /// Of the PEM.
    pub(super) digest: Digest,
}

impl Shelf {
    /// These bundles, after what was on the shelf before.
    pub(super) fn after(before: &Self, bundles: &Bundles) -> Self {
        let roots = bundles.roots.keys().filter_map(|of| {
            let pem = Bytes::from(bundles.pem(of).filter(|pem| !pem.is_empty())?);
            let digest = Digest::of([&*pem]);
            let kept = before.roots.get(of).filter(|kept| kept.digest == digest);
            let roots = kept.cloned().unwrap_or_else(|| Roots {
                of: of.clone(),
                pem,
                since: bundles.generation,
                digest,
            });
            Some((of.clone(), roots))
        });
        Self {
            generation: bundles.generation,
            own: Some(bundles.own.clone()),
            roots: roots.collect(),
        }
    }

    /// Whether this is what these bundles are.
    pub(super) fn holds(&self, bundles: &Bundles) -> bool {
        self.own.as_ref() == Some(&bundles.own) && self.generation == bundles.generation
    }

    /// Whether these bundles are older.
    pub(super) fn is_newer_than(&self, bundles: &Bundles) -> bool {
        bundles.generation < self.generation
    }

    /// Of one trust domain.
    pub(super) fn roots(&self, of: &TrustDomain) -> Option<&Roots> {
        self.roots.get(of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundles(generation: u64, roots: &[(&str, &[u8])]) -> Bundles {
        let roots = roots.iter().map(|(of, der)| {
            let der = Bytes::copy_from_slice(der);
            (of.parse().unwrap(), vec![der])
        });
        Bundles {
            generation: Generation(generation),
            own: "td.test".parse().unwrap(),
            roots: roots.collect(),
        }
    }

    #[test]
    fn the_roots_of_one_do_not_change_with_those_of_another() {
        let (own, other) = ("td.test".parse().unwrap(), "other.test".parse().unwrap());
        let first = bundles(3, &[("td.test", b"a"), ("other.test", b"b")]);
        let second = bundles(9, &[("td.test", b"a"), ("other.test", b"c")]);
        let shelf = Shelf::after(&Shelf::default(), &first);
        assert!(shelf.holds(&first) && !shelf.holds(&second));
        let next = Shelf::after(&shelf, &second);
        assert!(next.is_newer_than(&first));
        assert_eq!(next.roots(&own), shelf.roots(&own));
        assert_eq!(next.roots(&own).unwrap().since, Generation(3));
        assert_eq!(next.roots(&other).unwrap().since, Generation(9));
        let gone = Shelf::after(&next, &bundles(10, &[("td.test", b"a")]));
        assert_eq!(gone.roots(&other), None);
    }
}

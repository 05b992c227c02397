//! A trust domain whose SVIDs are let in, and the names that its subjects have here.
//!
//! Promises: a foreign SPIFFE ID has one name in the own trust domain, below the prefix of its
//! trust domain, and two IDs never share one. What it is called outside stays known.
//! Refuses: foreign names that look elevated under any encoding: they hold a right somewhere else,
//! or want to look so (assurance S8, S15); IDs without a path; the own trust domain (M16).

use crate::attestation::caller::AttestationError;
use crate::identity::{SpiffeId, Subject, TrustDomain};

/// A foreign trust domain and where its subjects are found here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignTrustDomain {
    name: TrustDomain,
    prefix: String,
    served: TrustDomain,
}

/// Why a trust domain cannot be configured so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignTrustDomainError {
    /// Its own.
    #[error("`{0}` is the own trust domain; `own_bundle` lets in SVIDs that others sign for it")]
    Own(TrustDomain),
    /// No path that subjects could stand below.
    #[error("`{0}` is no prefix: use a path such as `/foreign/mesh.example`")]
    Prefix(String),
}

impl ForeignTrustDomain {
    /// The trust domain `name`, whose subjects stand below `prefix` in `served`.
    ///
    /// # Errors
    /// [`ForeignTrustDomainError`].
    pub fn new(
        name: TrustDomain,
        prefix: String,
        served: TrustDomain,
    ) -> Result<Self, ForeignTrustDomainError> {
        if name == served {
            return Err(ForeignTrustDomainError::Own(name));
        }
        let one = SpiffeId::new(&served, &prefix).and_then(Subject::try_from);
        let below = SpiffeId::new(&served, &format!("{prefix}/x")).and_then(Subject::try_from);
        if one.is_err() || below.is_err() {
            return Err(ForeignTrustDomainError::Prefix(prefix));
        }
        Ok(Self {
            name,
            prefix,
            served,
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &TrustDomain {
        &self.name
    }

    /// The path below which its subjects stand.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name that a foreign subject has here.
    ///
    /// # Errors
    /// [`AttestationError::Elevated`], or the rule that the mapped name breaks.
    pub fn subject(&self, id: &SpiffeId) -> Result<Subject, AttestationError> {
        if id.trust_domain() != &self.name {
            return Err(AttestationError::ForeignTrustDomain(
                id.trust_domain().clone(),
            ));
        }
        let foreign = Subject::try_from(id.clone()).map_err(|_| AttestationError::Elevated)?;
        let path = format!("{}{}", self.prefix, foreign.id().path());
        Ok(SpiffeId::new(&self.served, &path)?.try_into()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(prefix: &str) -> Result<ForeignTrustDomain, ForeignTrustDomainError> {
        let name = "cluster.local".parse().unwrap();
        ForeignTrustDomain::new(name, prefix.to_owned(), "td.example".parse().unwrap())
    }

    #[test]
    fn a_foreign_subject_has_one_name_here() {
        let mesh = mesh("/foreign/cluster.local").unwrap();
        let here = |id: &str| mesh.subject(&id.parse().unwrap()).map(|s| s.to_string());
        assert_eq!(
            here("spiffe://cluster.local/ns/shop/sa/web").unwrap(),
            "spiffe://td.example/foreign/cluster.local/ns/shop/sa/web"
        );
        for id in [
            "spiffe://cluster.local",
            "spiffe://cluster.local/ns/shop/sa/web/scope/db.read",
            "spiffe://cluster.local/ns/shop/sa/web_db.read",
            "spiffe://sub.cluster.local/web",
            "spiffe://cluster.local.evil/web",
            "spiffe://td.example/web",
        ] {
            assert!(here(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_prefix_is_a_path_that_reserves_nothing() {
        for prefix in [
            "", "/", "foreign", "/a/", "/a/scope", "/a_b", "/a/../b", "/a b",
        ] {
            assert!(mesh(prefix).is_err(), "{prefix}");
        }
        let own = "td.example".parse::<TrustDomain>().unwrap();
        assert!(ForeignTrustDomain::new(own.clone(), "/a".into(), own).is_err());
    }
}

//! The right that a mesh is to enforce: which scope, held by whom, beside which base rights.
//!
//! Promises: each name is the whole SPIFFE ID that protem writes into the certificate.
//! Refuses: a right of nobody, and names that no certificate can carry.

use crate::identity::Subject;
use crate::mesh::{Bounds, MeshError};
use crate::scope::{Encoding, Sans, Scope, SvidName};
use crate::time::Seconds;

/// One scope at one server.
#[derive(Clone, Debug)]
pub struct Right {
    scope: Scope,
    encoding: Encoding,
    holders: Vec<Holder>,
    base: Vec<Subject>,
    bounds: Bounds,
}

/// Who may hold the scope, and how a certificate tells it.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) subject: Subject,
    pub(crate) sans: Sans,
}

impl Right {
    /// The right of these subjects to this scope. `base` are the identities that may do there, with
    /// their base SVIDs, what the scope does.
    ///
    /// # Errors
    /// [`MeshError::Missing`] without any subject, [`MeshError::Life`] and [`MeshError::Name`].
    pub fn new(
        scope: Scope,
        encoding: Encoding,
        subjects: &[Subject],
        base: &[Subject],
        life: Seconds,
    ) -> Result<Self, MeshError> {
        let bounds = Bounds::of(life)?;
        if subjects.is_empty() {
            return Err(MeshError::Missing {
                what: "who may hold the scope",
                remedy: "`--subject SPIFFE_ID`, once for each workload",
            });
        }
        let holders = once_each(subjects)
            .into_iter()
            .map(|subject| Holder::of(subject, &scope, encoding))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            scope,
            encoding,
            holders,
            base: once_each(base),
            bounds,
        })
    }

    /// Which scope.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// How it is written into a certificate.
    #[must_use]
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What follows from the life of its SVIDs.
    #[must_use]
    pub const fn bounds(&self) -> Bounds {
        self.bounds
    }

    pub(crate) fn holders(&self) -> &[Holder] {
        &self.holders
    }

    pub(crate) fn base(&self) -> &[Subject] {
        &self.base
    }
}

impl Holder {
    fn of(subject: Subject, scope: &Scope, encoding: Encoding) -> Result<Self, MeshError> {
        let name = SvidName::Elevated {
            subject: subject.clone(),
            scope: scope.clone(),
            encoding,
        };
        match name.sans() {
            Ok(sans) => Ok(Self { subject, sans }),
            Err(source) => Err(MeshError::Name {
                subject: subject.to_string(),
                scope: scope.clone(),
                source,
            }),
        }
    }
}

fn once_each(subjects: &[Subject]) -> Vec<Subject> {
    let mut once: Vec<Subject> = Vec::new();
    for subject in subjects {
        if !once.contains(subject) {
            once.push(subject.clone());
        }
    }
    once
}

#[cfg(test)]
mod tests {
    use super::*;

    fn right(subjects: &[&str], encoding: Encoding) -> Result<Right, MeshError> {
        let subjects: Vec<Subject> = subjects.iter().map(|one| one.parse().unwrap()).collect();
        let scope = "db.read".parse().unwrap();
        Right::new(scope, encoding, &subjects, &subjects, Seconds::new(60))
    }

    #[test]
    fn a_right_names_each_holder_once_and_whole() {
        let web = "spiffe://td.example/ns/shop/sa/web";
        let right = right(&[web, web], Encoding::Path).unwrap();
        let [holder] = right.holders() else {
            panic!("one")
        };
        assert_eq!(holder.sans.uri.to_string(), format!("{web}/scope/db.read"));
        assert_eq!(right.base().len(), 1);
    }

    #[test]
    fn nobodys_right_and_names_that_do_not_fit_are_refused() {
        let told = right(&[], Encoding::Path).unwrap_err().to_string();
        assert!(told.contains("--subject"), "{told}");
        let long = format!("spiffe://{}/web", vec!["a".repeat(60); 4].join("."));
        let told = right(&[&long], Encoding::Dns).unwrap_err().to_string();
        assert!(told.contains("use a shorter scope"), "{told}");
    }
}

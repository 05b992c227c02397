//! What a secret's name asks for.
//!
//! Promises: one meaning for one name, whoever asks. `sds://` in front changes nothing.
//! Refuses: names that mean nothing.

use crate::identity::{SpiffeId, Subject, TrustDomain};
use crate::scope::{Scope, SvidName};

/// The two readings of a name; the second holds where the first names nothing of the caller's. A
/// workload may be called `web-cacert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// As it is written.
    pub(super) exact: Option<Asked>,
    /// With `-cacert` after a name that means something: the roots that go with that.
    pub(super) roots_for: bool,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All trust domains' roots, each for its own names.
    AllRoots,
    /// A base SVID.
    Base(Subject),
    /// The base SVID of the first entry.
    Default,
    /// The elevated SVID of this subject and scope.
    Elevated(Subject, Scope),
    /// The roots of the caller's trust domain.
    OwnRoots,
    /// The roots of a trust domain.
    Roots(TrustDomain),
    /// The elevated SVID of the first entry's subject.
    Scope(Scope),
}

impl Name {
    /// Reads a name.
    pub(super) fn read(name: &str) -> Self {
        let name = name.strip_prefix(SDS_SCHEME).unwrap_or(name);
        let of_roots = name.strip_suffix(ROOTS_END);
        Self {
            exact: read_exact(name),
            roots_for: of_roots.is_some_and(|name| read_exact(name).is_some()),
        }
    }
}

fn read_exact(name: &str) -> Option<Asked> {
    match name {
        ALL => Some(Asked::AllRoots),
        DEFAULT => Some(Asked::Default),
        OWN_ROOTS => Some(Asked::OwnRoots),
        _ => match name.strip_prefix(SCOPE_START) {
            Some(scope) => scope.parse().ok().map(Asked::Scope),
            None => read_spiffe_id(name),
        },
    }
}

fn read_spiffe_id(name: &str) -> Option<Asked> {
    let id: SpiffeId = name.parse().ok()?;
    if id.path().is_empty() {
        return Some(Asked::Roots(id.trust_domain().clone()));
    }
    match SvidName::from_sans(&id, None).ok()? {
        SvidName::Base(subject) => Some(Asked::Base(subject)),
        SvidName::Elevated { subject, scope, .. } => Some(Asked::Elevated(subject, scope)),
    }
}

const SDS_SCHEME: &str = "sds://";
const ROOTS_END: &str = "-cacert";
const DEFAULT: &str = "default";
const OWN_ROOTS: &str = "ROOTCA";
const ALL: &str = "ALL";
const SCOPE_START: &str = "scope/";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn exact(name: &str) -> Asked {
        Name::read(name).exact.unwrap()
    }

    #[test]
    fn each_name_has_its_meaning_with_and_without_the_scheme() {
        let web: Subject = "spiffe://td.test/ns/shop/sa/web".parse().unwrap();
        let read: Scope = "db.read".parse().unwrap();
        for (name, asked) in [
            ("default", Asked::Default),
            ("ROOTCA", Asked::OwnRoots),
            ("ALL", Asked::AllRoots),
            ("spiffe://td.test", Asked::Roots("td.test".parse().unwrap())),
            ("spiffe://td.test/ns/shop/sa/web", Asked::Base(web.clone())),
            (
                "spiffe://td.test/ns/shop/sa/web/scope/db.read",
                Asked::Elevated(web.clone(), read.clone()),
            ),
            (
                "spiffe://td.test/ns/shop/sa/web_db.read",
                Asked::Elevated(web.clone(), read.clone()),
            ),
            ("scope/db.read", Asked::Scope(read.clone())),
        ] {
            assert_eq!(exact(name), asked, "{name}");
            let with_scheme = format!("sds://{name}");
            assert_eq!(exact(&with_scheme), asked, "{with_scheme}");
            for roots in [format!("{name}-cacert"), format!("{with_scheme}-cacert")] {
                assert!(Name::read(&roots).roots_for, "{roots}");
            }
        }
    }

    #[test]
    fn what_means_nothing_is_nothing() {
        for name in [
            "",
            "*",
            "Default",
            "rootca",
            "default ",
            "scope/",
            "scope/DB.read",
            "scope/db.read/more",
            "scope/../default",
            "sds://sds://default",
            "spiffe://td.test/",
            "spiffe://td.test/ns//web",
            "spiffe://td.test/scope/db.read",
            "spiffe://TD.test/web",
            "-cacert",
            "sds://",
            "scope/-cacert",
            "default-cacert-cacert",
        ] {
            let name = Name::read(name);
            assert_eq!((name.exact, name.roots_for), (None, false));
        }
    }

    #[test]
    fn no_scope_is_taken_for_roots_and_a_workload_may_end_like_them() {
        let roots = Name::read("scope/db.read-cacert");
        assert_eq!((roots.exact, roots.roots_for), (None, true));
        let workload = Name::read("spiffe://td.test/web-cacert");
        let subject = "spiffe://td.test/web-cacert".parse().unwrap();
        assert_eq!(workload.exact, Some(Asked::Base(subject)));
        assert!(workload.roots_for, "where nobody is called so");
    }
}

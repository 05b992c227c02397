//! Names as rules write them: which of them speak of a scope.
//!
//! A rule may hold a whole SPIFFE ID, one without `spiffe://`, a part of one, a pattern, or a place
//! of a template. All of them may speak of a scope, and only whole ones name it.
//!
//! Refuses: to call an underscore a scope where Kubernetes or Consul could not have told it apart:
//! only after `sa/` and `svc/`.

use crate::scope::{Encoding, Scope};

/// An elevated name, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Elevated<'a> {
    /// The base name, as written.
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) encoding: Encoding,
}

/// The parts of an elevated name that is written whole.
pub(super) fn elevated(text: &str) -> Option<Elevated<'_>> {
    if let Some((base, scope)) = text.rsplit_once(PATH_MARK) {
        return whole(base, scope, Encoding::Path);
    }
    if let Some((base, scope)) = folded(text) {
        return whole(base, scope, Encoding::Folded);
    }
    if !text.contains('/') {
        let (scope, domain) = text.split_once(DNS_MARK)?;
        return whole(domain, scope, Encoding::Dns);
    }
    None
}

fn whole<'a>(base: &'a str, scope: &str, encoding: Encoding) -> Option<Elevated<'a>> {
    let scope = scope.parse().ok()?;
    Some(Elevated {
        base,
        scope,
        encoding,
    })
}

/// Whether a name, or a part or pattern of one, speaks of a scope.
pub(super) fn speaks_of_scope(text: &str) -> bool {
    text.contains(PATH_MARK)
        || folded(text).is_some()
        || (!text.contains('/') && text.contains(DNS_MARK))
}

/// Whether a secret's name asks the agent for an elevated SVID.
pub(super) fn is_scope_secret(text: &str) -> bool {
    let name = text.strip_prefix("sds://").unwrap_or(text);
    name.starts_with("scope/") && !name.ends_with("-cacert")
}

/// A name that is folded, in its two parts.
fn folded(text: &str) -> Option<(&str, &str)> {
    let (parents, last) = text.rsplit_once('/')?;
    let kind = parents.rsplit('/').next()?;
    if !matches!(kind, "sa" | "svc") {
        return None;
    }
    let (name, scope) = last.split_once('_')?;
    let base = text.get(..parents.len() + 1 + name.len())?;
    (!name.is_empty() && !scope.is_empty()).then_some((base, scope))
}

const PATH_MARK: &str = "/scope/";
const DNS_MARK: &str = ".scope.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_encodings_are_told_apart() {
        let parts = |text| elevated(text).map(|e| (e.base, e.scope.to_string(), e.encoding));
        let web = "td/ns/shop/sa/web";
        assert_eq!(
            parts("td/ns/shop/sa/web/scope/db.read"),
            Some((web, "db.read".into(), Encoding::Path))
        );
        assert_eq!(
            parts("td/ns/shop/sa/web_db.read"),
            Some((web, "db.read".into(), Encoding::Folded))
        );
        assert_eq!(
            parts("db.read.scope.td"),
            Some(("td", "db.read".into(), Encoding::Dns))
        );
        for base in [web, "spiffe://td/my_job", "*", "/scope/", "td/sa/_x"] {
            assert_eq!(parts(base), None, "{base}");
        }
        assert!(speaks_of_scope("*/scope/db.read") && speaks_of_scope(".*/scope/.*"));
        assert!(!speaks_of_scope("spiffe://td/my_job"));
    }

    #[test]
    fn secrets_of_scopes_are_known_under_both_names() {
        assert!(is_scope_secret("scope/db.read") && is_scope_secret("sds://scope/db/db.read"));
        assert!(!is_scope_secret("default") && !is_scope_secret("sds://scope/db.read-cacert"));
    }
}

//! The three ways in which a certificate's SAN carries subject and scope.
//!
//! | Encoding | URI SAN | DNS SAN |
//! |---|---|---|
//! | base | `spiffe://td/<base path>` | none |
//! | `path` | `spiffe://td/<base path>/scope/<scope>` | none |
//! | `folded` | `spiffe://td/<base path>_<scope>` | none |
//! | `dns` | `spiffe://td/<base path>` | `<scope>.scope.<td>` |
//!
//! Promises: always exactly one URI SAN; no two names share SANs, because the parts that mark a
//! scope are reserved in every [`Subject`].
//! Refuses: names longer than a SPIFFE ID or a DNS name may be.

use std::fmt;
use std::str::FromStr;

use crate::identity::{FOLD, SCOPE_SEGMENT, SpiffeId, SpiffeIdError, Subject};
use crate::scope::{Scope, ScopeError};

/// How a scope is written into the SAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// Base URI SAN plus one DNS SAN.
    Dns,
    /// `_<scope>` after the last segment, for parsers of fixed depth.
    Folded,
    /// `/scope/<scope>` after the base path.
    #[default]
    Path,
}

/// Whom an SVID names: a subject, or a subject with exactly one scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SvidName {
    /// The ordinary identity.
    Base(Subject),
    /// The identity for one scope.
    Elevated {
        /// The subject that holds the scope.
        subject: Subject,
        /// The scope.
        scope: Scope,
        /// How the scope is written.
        encoding: Encoding,
    },
}

/// The subject alternative names of a leaf: one URI, at most one DNS name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sans {
    /// The one URI SAN.
    pub uri: SpiffeId,
    /// The one DNS SAN of the `dns` encoding.
    pub dns: Option<String>,
}

/// Why a name cannot be written, or SANs cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SvidNameError {
    /// A DNS SAN beside an identity that already carries a scope in its URI.
    #[error("an elevated URI and a DNS name stand in one certificate")]
    BothEncodings,
    /// Longer than 253 bytes (RFC 1035 2.3.4).
    #[error("DNS name `{0}` has more than 253 bytes; use a shorter scope or trust domain")]
    DnsTooLong(String),
    /// A DNS SAN that is not `<scope>.scope.<trust domain>`.
    #[error("DNS name `{0}` is not of the form `<scope>.scope.<trust domain>`")]
    ForeignDns(String),
    /// The scope part is no scope.
    #[error("the scope part is wrong")]
    Scope(#[from] ScopeError),
    /// The base part is no subject, or the whole is too long for a SPIFFE ID.
    #[error("the subject part is wrong")]
    Subject(#[from] SpiffeIdError),
}

impl SvidName {
    /// Whom it names, scope aside.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        match self {
            Self::Base(subject) | Self::Elevated { subject, .. } => subject,
        }
    }

    /// The scope, when there is one.
    #[must_use]
    pub const fn scope(&self) -> Option<&Scope> {
        match self {
            Self::Base(_) => None,
            Self::Elevated { scope, .. } => Some(scope),
        }
    }

    /// The SANs that carry this name.
    ///
    /// # Errors
    /// [`SvidNameError::Subject`] or [`SvidNameError::DnsTooLong`] when a standard's length bound
    /// is passed.
    pub fn sans(&self) -> Result<Sans, SvidNameError> {
        let (subject, scope, encoding) = match self {
            Self::Base(subject) => {
                return Ok(Sans {
                    uri: subject.id().clone(),
                    dns: None,
                });
            }
            Self::Elevated {
                subject,
                scope,
                encoding,
            } => (subject, scope, encoding),
        };
        let (domain, path) = (subject.trust_domain(), subject.id().path());
        Ok(match encoding {
            Encoding::Dns => {
                let name = format!("{scope}.{SCOPE_SEGMENT}.{domain}");
                if name.len() > DNS_NAME_BYTES_MAX {
                    return Err(SvidNameError::DnsTooLong(name));
                }
                Sans {
                    uri: subject.id().clone(),
                    dns: Some(name),
                }
            }
            Encoding::Folded => {
                let uri = SpiffeId::new(domain, &format!("{path}{FOLD}{scope}"))?;
                Sans { uri, dns: None }
            }
            Encoding::Path => {
                let uri = SpiffeId::new(domain, &format!("{path}/{SCOPE_SEGMENT}/{scope}"))?;
                Sans { uri, dns: None }
            }
        })
    }

    /// Reads the name back from a certificate's SANs.
    ///
    /// # Errors
    /// The part that protem would not have written so.
    pub fn from_sans(uri: &SpiffeId, dns: Option<&str>) -> Result<Self, SvidNameError> {
        let from_uri = Self::from_uri(uri)?;
        let Some(name) = dns else { return Ok(from_uri) };
        match from_uri {
            Self::Elevated { .. } => Err(SvidNameError::BothEncodings),
            Self::Base(subject) => {
                let suffix = format!(".{SCOPE_SEGMENT}.{}", subject.trust_domain());
                let scope = name
                    .strip_suffix(&suffix)
                    .ok_or_else(|| SvidNameError::ForeignDns(name.chars().take(253).collect()))?
                    .parse()?;
                Ok(Self::Elevated {
                    subject,
                    scope,
                    encoding: Encoding::Dns,
                })
            }
        }
    }

    fn from_uri(uri: &SpiffeId) -> Result<Self, SvidNameError> {
        let path = uri.path();
        let base = |path: &str| -> Result<Subject, SvidNameError> {
            Ok(SpiffeId::new(uri.trust_domain(), path)?.try_into()?)
        };
        let Some((parents, last)) = path.rsplit_once('/') else {
            return Ok(Self::Base(base(path)?));
        };
        if let Some(base_path) = parents.strip_suffix(&format!("/{SCOPE_SEGMENT}")) {
            let (subject, scope) = (base(base_path)?, last.parse()?);
            return Ok(Self::Elevated {
                subject,
                scope,
                encoding: Encoding::Path,
            });
        }
        if let Some((name, scope)) = last.split_once(FOLD) {
            let (subject, scope) = (base(&format!("{parents}/{name}"))?, scope.parse()?);
            return Ok(Self::Elevated {
                subject,
                scope,
                encoding: Encoding::Folded,
            });
        }
        Ok(Self::Base(base(path)?))
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "dns",
            Self::Folded => "folded",
            Self::Path => "path",
        })
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(text: &str) -> Result<Self, UnknownEncoding> {
        match text {
            "dns" => Ok(Self::Dns),
            "folded" => Ok(Self::Folded),
            "path" => Ok(Self::Path),
            _ => Err(UnknownEncoding),
        }
    }
}

/// The word names no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("encoding must be one of `path`, `folded`, `dns`")]
pub struct UnknownEncoding;

/// The longest DNS name, in bytes (RFC 1035 2.3.4, without the root's dot).
const DNS_NAME_BYTES_MAX: usize = 253;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    #[test]
    fn the_three_encodings_are_written_as_the_design_says() {
        let elevated = |encoding| SvidName::Elevated {
            subject: "spiffe://td.example/ns/shop/sa/web".parse().unwrap(),
            scope: "db.read".parse().unwrap(),
            encoding,
        };
        let uri = |encoding| elevated(encoding).sans().unwrap().uri.to_string();
        assert_eq!(
            uri(Encoding::Path),
            "spiffe://td.example/ns/shop/sa/web/scope/db.read"
        );
        assert_eq!(
            uri(Encoding::Folded),
            "spiffe://td.example/ns/shop/sa/web_db.read"
        );
        assert_eq!(uri(Encoding::Dns), "spiffe://td.example/ns/shop/sa/web");
        let dns = elevated(Encoding::Dns).sans().unwrap().dns;
        assert_eq!(dns.as_deref(), Some("db.read.scope.td.example"));
    }

    #[test]
    fn what_protem_would_not_write_is_not_read() {
        let read = |uri: &str, dns| SvidName::from_sans(&uri.parse().unwrap(), dns);
        for (uri, dns) in [
            ("spiffe://td/scope/db.read", None),
            ("spiffe://td/web/scope/DB", None),
            ("spiffe://td/web/scope/a_b", None),
            ("spiffe://td/web_", None),
            ("spiffe://td/web_a_b", None),
            ("spiffe://td/_a", None),
            ("spiffe://td/web/scope/a", Some("b.scope.td")),
            ("spiffe://td/web", Some("b.scope.other")),
            ("spiffe://td/web", Some("*.scope.td")),
            ("spiffe://td/web", Some("scope.td")),
            ("spiffe://td", None),
        ] {
            assert!(read(uri, dns).is_err(), "{uri} {dns:?}");
        }
    }

    fn names() -> impl Strategy<Value = SvidName> {
        let subjects = prop::collection::vec("[a-zA-Z0-9-]{1,9}|scope|a_b", 0..4)
            .prop_flat_map(|parents| {
                "[a-zA-Z0-9-]{1,9}|scope".prop_map(move |last| {
                    let path = parents
                        .iter()
                        .fold(String::new(), |all, part| all + "/" + part);
                    format!("spiffe://td.example{path}/{last}")
                })
            })
            .prop_filter_map("reserved", |text| text.parse::<Subject>().ok());
        let scopes = "[a-z0-9]{1,9}([.-][a-z0-9]{1,9}){0,3}"
            .prop_filter_map("no scope", |text| text.parse::<Scope>().ok());
        let encodings = prop_oneof![
            any::<()>().prop_map(|()| Encoding::Dns),
            any::<()>().prop_map(|()| Encoding::Folded),
            any::<()>().prop_map(|()| Encoding::Path),
        ];
        (subjects, prop::option::of((scopes, encodings))).prop_map(|(subject, scope)| match scope {
            None => SvidName::Base(subject),
            Some((scope, encoding)) => SvidName::Elevated {
                subject,
                scope,
                encoding,
            },
        })
    }

    proptest! {
        #[test]
        fn names_write_and_read_back(name in names()) {
            let sans = name.sans().unwrap();
            let back = SvidName::from_sans(&sans.uri, sans.dns.as_deref()).unwrap();
            prop_assert_eq!(back, name);
        }

        #[test]
        fn sans_read_and_write_back(path in "(/([a-z_.-]{1,6}|scope)){1,6}", dns in any::<bool>()) {
            let Ok(uri) = format!("spiffe://td{path}").parse::<SpiffeId>() else { return Ok(()) };
            let dns = dns.then_some("a.scope.td");
            if let Ok(name) = SvidName::from_sans(&uri, dns) {
                let sans = name.sans().unwrap();
                prop_assert_eq!((sans.uri, sans.dns.as_deref()), (uri, dns));
            }
        }
    }
}

//! The SPIFFE ID: `spiffe://<trust domain><path>`.
//!
//! Promises: parse, don't validate; printing gives back the parsed text byte for byte.
//! Refuses: whatever SPIFFE-ID section 2 refuses, and segments made of dots only.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::identity::{SpiffeIdError, TrustDomain};

/// A valid SPIFFE ID. Its path may be empty, which names the trust domain itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    /// Empty, or begins with `/`.
    path: Arc<str>,
}

impl SpiffeId {
    /// The identity at `path` (empty, or beginning with `/`) of a trust domain.
    ///
    /// # Errors
    /// The rule that the path breaks, or [`SpiffeIdError::TooLong`].
    pub fn new(trust_domain: &TrustDomain, path: &str) -> Result<Self, SpiffeIdError> {
        let bytes = SCHEME.len() + trust_domain.as_str().len() + path.len();
        if bytes > SPIFFE_ID_BYTES_MAX {
            return Err(SpiffeIdError::TooLong(bytes));
        }
        check_path(path)?;
        Ok(Self {
            trust_domain: trust_domain.clone(),
            path: path.into(),
        })
    }

    /// The trust domain it belongs to.
    #[must_use]
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The path with its leading `/`, or nothing.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path's segments from the last to the first.
    pub fn segments_from_last(&self) -> impl Iterator<Item = &str> {
        self.path
            .rsplit('/')
            .take_while(|segment| !segment.is_empty())
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        if text.is_empty() {
            return Err(SpiffeIdError::Empty);
        }
        // Length first: nothing hostile is looked at twice.
        if text.len() > SPIFFE_ID_BYTES_MAX {
            return Err(SpiffeIdError::TooLong(text.len()));
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError::Scheme)?;
        let name = rest.split('/').next().unwrap_or_default();
        let path = rest.strip_prefix(name).unwrap_or_default();
        Self::new(&name.parse()?, path)
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}{}", self.trust_domain, self.path)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn check_path(path: &str) -> Result<(), SpiffeIdError> {
    let Some(segments) = path.strip_prefix('/') else {
        return match path.chars().next() {
            None => Ok(()),
            Some(first) => Err(SpiffeIdError::PathCharacter(first)),
        };
    };
    if path.ends_with('/') {
        return Err(SpiffeIdError::TrailingSlash);
    }
    segments.split('/').try_for_each(check_segment)
}

fn check_segment(segment: &str) -> Result<(), SpiffeIdError> {
    if segment.is_empty() {
        return Err(SpiffeIdError::EmptySegment);
    }
    for character in segment.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => {}
            '%' => return Err(SpiffeIdError::PercentEncoding),
            '?' => return Err(SpiffeIdError::Query),
            '#' => return Err(SpiffeIdError::Fragment),
            other => return Err(SpiffeIdError::PathCharacter(other)),
        }
    }
    if segment.bytes().all(|byte| byte == b'.') {
        return Err(SpiffeIdError::RelativeSegment(
            segment.chars().take(64).collect(),
        ));
    }
    Ok(())
}

/// The longest SPIFFE ID, in bytes (SPIFFE-ID 2.3).
pub const SPIFFE_ID_BYTES_MAX: usize = 2_048;
const SCHEME: &str = "spiffe://";

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn each_rule_of_the_standard_has_its_own_error() {
        let long_path = format!("spiffe://td/{}", "a".repeat(2_040));
        let long_name = format!("spiffe://{}/x", "a".repeat(256));
        for (text, code) in [
            ("", "empty"),
            ("SPIFFE://td/x", "scheme"),
            ("https://td/x", "scheme"),
            ("spiffe:/td/x", "scheme"),
            (" spiffe://td/x", "scheme"),
            ("spiffe://", "empty_trust_domain"),
            ("spiffe:///x", "empty_trust_domain"),
            ("spiffe://TD/x", "trust_domain_character"),
            ("spiffe://t_d/x", "trust_domain_character"),
            ("spiffe://tд/x", "trust_domain_character"),
            ("spiffe://td:80/x", "port"),
            ("spiffe://user@td/x", "user_information"),
            ("spiffe://10.0.0.1/x", "ip_address"),
            ("spiffe://td..example/x", "trust_domain_label"),
            ("spiffe://-td/x", "trust_domain_label"),
            ("spiffe://td?x", "query"),
            ("spiffe://td#x", "fragment"),
            ("spiffe://td/x?y", "query"),
            ("spiffe://td/x#y", "fragment"),
            ("spiffe://td/", "trailing_slash"),
            ("spiffe://td/x/", "trailing_slash"),
            ("spiffe://td//x", "empty_segment"),
            ("spiffe://td/x//y", "empty_segment"),
            ("spiffe://td/.", "relative_segment"),
            ("spiffe://td/x/../y", "relative_segment"),
            ("spiffe://td/...", "relative_segment"),
            ("spiffe://td/%2F", "percent_encoding"),
            ("spiffe://td/x\n", "path_character"),
            ("spiffe://td/x y", "path_character"),
            ("spiffe://td/x*", "path_character"),
            ("spiffe://td/ж", "path_character"),
            ("spiffe://td/a:b", "path_character"),
            (long_path.as_str(), "too_long"),
            (long_name.as_str(), "trust_domain_too_long"),
        ] {
            let error = text.parse::<SpiffeId>().expect_err(text);
            assert_eq!(error.code(), code, "{text}");
        }
    }

    #[test]
    fn the_longest_legal_names_are_read() {
        let text = format!("spiffe://td/{}", "a".repeat(2_036));
        assert_eq!(text.len(), SPIFFE_ID_BYTES_MAX);
        assert!(text.parse::<SpiffeId>().is_ok());
        assert!("spiffe://td".parse::<SpiffeId>().is_ok());
        assert!("spiffe://td/Az_9.-/x".parse::<SpiffeId>().is_ok());
    }

    proptest! {
        #[test]
        fn what_parses_prints_back(text in "spiffe://[a-z0-9.-]{1,20}(/[a-zA-Z0-9._-]{1,9}){0,5}") {
            if let Ok(id) = text.parse::<SpiffeId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            if let Ok(id) = format!("spiffe://{text}").parse::<SpiffeId>() {
                prop_assert_eq!(id.to_string(), format!("spiffe://{text}"));
            }
        }
    }
}

//! What is asked for: an `https` URL, in parts.
//!
//! Refuses: other schemes, user information, fragments, texts that a header could not hold.

use std::fmt;
use std::str::FromStr;

use http::Uri;

use crate::keyset::KeySourceError;

/// An `https` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(Uri);

impl Location {
    /// Host name or IP address, without brackets.
    pub(crate) fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        let inner = host.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        inner.unwrap_or(host)
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(443)
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> &str {
        self.0
            .authority()
            .map_or("", |authority| authority.as_str())
    }

    pub(crate) fn path_and_query(&self) -> &str {
        self.0.path_and_query().map_or("/", |path| path.as_str())
    }
}

impl FromStr for Location {
    type Err = KeySourceError;

    fn from_str(text: &str) -> Result<Self, KeySourceError> {
        let wrong = || KeySourceError::Location(text.chars().take(256).collect());
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        let good = uri.scheme_str() == Some("https")
            && !authority.host().is_empty()
            && !authority.as_str().contains('@')
            && !text.contains('#');
        if good { Ok(Self(uri)) } else { Err(wrong()) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_urls_are_locations() {
        for (text, host, port, path) in [
            (
                "https://idp.example/keys?a=b",
                "idp.example",
                443,
                "/keys?a=b",
            ),
            ("https://idp.example:8443", "idp.example", 8_443, "/"),
            ("https://[::1]:1/x", "::1", 1, "/x"),
        ] {
            let location: Location = text.parse().unwrap();
            let parts = (location.host(), location.port(), location.path_and_query());
            assert_eq!(parts, (host, port, path));
        }
        for text in [
            "",
            "http://idp.example/keys",
            "file:///etc/passwd",
            "https://user@idp.example/",
            "https://idp.example/#a",
            "https://idp.example/a b",
            "/keys",
        ] {
            assert!(text.parse::<Location>().is_err(), "{text}");
        }
    }
}

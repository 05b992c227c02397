//! The address of a server: `https://host` or `https://host:port`.
//!
//! Promises: printing and parsing are one round trip; the port is always said.
//! Refuses: plain HTTP, user information, and anything after the host.

use std::fmt;
use std::str::FromStr;

use http::Uri;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    host: String,
    port: u16,
}

/// Why a text is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL at all.
    #[error("the server address is not a URL such as `https://localhost:8443`")]
    NotAUrl,
    /// Another scheme.
    #[error("the server address must start with `https://`")]
    NotHttps,
    /// User information, a path or a query.
    #[error("the server address is scheme, host and port alone, such as `https://localhost:8443`")]
    TooMuch,
}

impl ServerAddress {
    /// Host name or IP address, without brackets: what its certificate must name.
    #[must_use]
    pub fn host(&self) -> &str {
        self.host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(&self.host)
    }

    /// TCP port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What the `Host` header says.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let uri: Uri = text.trim().parse().map_err(|_| AddressError::NotAUrl)?;
        if uri.scheme_str() != Some("https") {
            return Err(AddressError::NotHttps);
        }
        let authority = uri.authority().ok_or(AddressError::NotAUrl)?;
        if authority.host().is_empty() {
            return Err(AddressError::NotAUrl);
        }
        if authority.as_str().contains('@') || uri.path() != "/" || uri.query().is_some() {
            return Err(AddressError::TooMuch);
        }
        Ok(Self {
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(PORT_DEFAULT),
        })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}:{}", self.host, self.port)
    }
}

const PORT_DEFAULT: u16 = 443;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_print_and_parse_back() {
        for (text, host, port) in [
            ("https://localhost:8443", "localhost", 8443),
            ("https://127.0.0.1:1/\n", "127.0.0.1", 1),
            ("https://[::1]:8443", "::1", 8443),
            ("https://ca.example", "ca.example", 443),
        ] {
            let address: ServerAddress = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, port), "{text}");
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        for (text, error) in [
            ("", AddressError::NotAUrl),
            ("https://", AddressError::NotAUrl),
            ("localhost:8443", AddressError::NotHttps),
            ("http://localhost:8443", AddressError::NotHttps),
            ("https://a@localhost", AddressError::TooMuch),
            ("https://localhost/v1", AddressError::TooMuch),
            ("https://localhost/?a", AddressError::TooMuch),
        ] {
            assert_eq!(text.parse::<ServerAddress>(), Err(error), "{text}");
        }
    }
}

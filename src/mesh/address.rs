//! Where things listen, and the paths that a configuration names.
//!
//! Promises: a value that exists stands in quotes in any of our texts without ending them.
//! Refuses: quotes, backslashes, spaces and control characters, and hosts that are none.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::mesh::MeshError;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// The path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketPath(TextPath);

/// An absolute path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPath(String);

impl Address {
    /// The name, or the IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 takes a free one.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the host is an IP address.
    #[must_use]
    pub fn is_ip(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Whether only this machine reaches it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

impl FromStr for Address {
    type Err = MeshError;

    fn from_str(text: &str) -> Result<Self, MeshError> {
        let wrong = || MeshError::Address(shown(text));
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(host) if host.contains(':') => host,
            Some(_) => return Err(wrong()),
            None => host,
        };
        let name = host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
        let right = host.parse::<IpAddr>().is_ok() && (bare.is_some() || !host.contains(':'))
            || (name && !host.is_empty() && host.len() <= HOST_BYTES_MAX);
        if !right {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for TextPath {
    type Err = MeshError;

    fn from_str(text: &str) -> Result<Self, MeshError> {
        let legal = |c: char| c.is_ascii_graphic() && !"\"'\\`${}#;".contains(c);
        if !text.starts_with('/') || !text.chars().all(legal) || text.len() > PATH_BYTES_MAX {
            return Err(MeshError::Path(shown(text)));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TextPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SocketPath {
    type Err = MeshError;

    fn from_str(text: &str) -> Result<Self, MeshError> {
        let path: TextPath = text.strip_prefix("unix://").unwrap_or(text).parse()?;
        if path.0.len() > SOCKET_BYTES_MAX {
            return Err(MeshError::SocketTooLong(path.0.len()));
        }
        Ok(Self(path))
    }
}

impl fmt::Display for SocketPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

fn shown(text: &str) -> String {
    text.escape_default().take(TEXT_SHOWN_MAX).collect()
}

/// RFC 1035 2.3.4, without the root's dot.
const HOST_BYTES_MAX: usize = 253;
/// `sun_path` less its end (unix(7)).
const SOCKET_BYTES_MAX: usize = 107;
const PATH_BYTES_MAX: usize = 4_096;
/// How much of a wrong text is repeated, in characters.
const TEXT_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_write_back() {
        for text in ["127.0.0.1:0", "db.data.svc:5432", "[::1]:8443", "a_b:65535"] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        let address: Address = "[::1]:1".parse().unwrap();
        assert!(address.is_ip() && address.is_loopback() && address.host() == "::1");
    }

    #[test]
    fn what_would_break_a_text_is_no_address_and_no_path() {
        for text in [
            "", ":1", "a", "a:", "a:65536", "a b:1", "a\":1", "::1:1", "[a]:1", "a:-1",
        ] {
            let told = text.parse::<Address>().unwrap_err().to_string();
            assert!(told.contains("HOST:PORT"), "{told}");
        }
        for text in [
            "", "relative", "/a b", "/a\"", "/a\n", "/a'", "/${A}", "/a\\", "/é",
        ] {
            assert!(text.parse::<TextPath>().is_err(), "{text}");
        }
        let long = format!("/{}", "a".repeat(107));
        assert_eq!(
            long.parse::<SocketPath>(),
            Err(MeshError::SocketTooLong(108))
        );
        let socket: SocketPath = "unix:///run/a.sock".parse().unwrap();
        assert_eq!(socket.to_string(), "/run/a.sock");
    }
}

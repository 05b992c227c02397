//! Where the SPIFFE Workload Endpoint of this machine is (SPIFFE Workload Endpoint, section 4).
//!
//! Promises: a value is a whole URI of the standard or an error; nothing is guessed. This file
//! reads the one variable of the environment that protem looks at: the standard says that clients
//! must.
//! Refuses: TCP, where no kernel says who calls.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::config::agent::WORKLOAD_SOCKET;

/// The socket of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadEndpoint(PathBuf);

/// Why a text names no socket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// `unix://host/path`.
    #[error("`{0}` has an authority: write `unix:///absolute/path`")]
    Authority(String),
    /// A query or a fragment.
    #[error("`{0}` has a query or a fragment: write `unix:///absolute/path`")]
    Extra(String),
    /// A `%` that does not begin two hexadecimal digits, or hides a zero byte.
    #[error("`{0}` has a percent sign that is no encoding of a byte")]
    Percent(String),
    /// No absolute path.
    #[error("`{0}` has no absolute path: write `unix:///absolute/path`")]
    Relative(String),
    /// Another scheme, or none.
    #[error("`{0}` is no endpoint: write `unix:///absolute/path`")]
    Scheme(String),
    /// TCP as the standard writes it.
    #[error("`{0}` is TCP, where the agent could not tell who calls: name its Unix socket")]
    Tcp(String),
    /// TCP as the standard does not write it.
    #[error("`{0}` is no endpoint over TCP either: that is `tcp://` with an IP address and a port")]
    TcpForm(String),
    /// The variable is no text.
    #[error("the variable `{VARIABLE}` is not UTF-8")]
    Unreadable,
}

impl WorkloadEndpoint {
    /// The endpoint that the environment names, or the agent's usual one.
    ///
    /// # Errors
    /// Where the environment names what is no endpoint.
    pub fn of_environment() -> Result<Self, EndpointError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the variable is the standard's and not a setting of protem"
        )]
        match std::env::var(VARIABLE) {
            Ok(text) => text.parse(),
            Err(std::env::VarError::NotPresent) => Ok(Self(PathBuf::from(WORKLOAD_SOCKET))),
            Err(std::env::VarError::NotUnicode(_)) => Err(EndpointError::Unreadable),
        }
    }

    /// What a person names: a path, or a URI.
    ///
    /// # Errors
    /// Where it begins like a URI and is none of the standard's.
    pub fn named(text: &str) -> Result<Self, EndpointError> {
        if text.starts_with(UNIX) || text.starts_with(TCP) {
            text.parse()
        } else {
            Ok(Self(PathBuf::from(text)))
        }
    }

    /// Where the socket lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for WorkloadEndpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let shown = || text.chars().take(SHOWN_CHARS_MAX).collect::<String>();
        if let Some(rest) = text.strip_prefix(TCP) {
            let address = rest.strip_prefix("//").unwrap_or_default();
            return Err(match address.parse::<SocketAddr>() {
                Ok(_) => EndpointError::Tcp(shown()),
                Err(_) => EndpointError::TcpForm(shown()),
            });
        }
        let rest = text
            .strip_prefix(UNIX)
            .ok_or_else(|| EndpointError::Scheme(shown()))?;
        if rest.contains(['?', '#']) {
            return Err(EndpointError::Extra(shown()));
        }
        let path = match rest.strip_prefix("//") {
            Some(path) if path.starts_with('/') => path,
            Some("") => return Err(EndpointError::Relative(shown())),
            Some(_) => return Err(EndpointError::Authority(shown())),
            None => rest,
        };
        if !path.starts_with('/') || path == "/" {
            return Err(EndpointError::Relative(shown()));
        }
        let path = decoded(path).ok_or_else(|| EndpointError::Percent(shown()))?;
        Ok(Self(PathBuf::from(path)))
    }
}

/// The text without its percent-encoding (RFC 3986 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then_some(text)
}

const VARIABLE: &str = "SPIFFE_ENDPOINT_SOCKET";
const UNIX: &str = "unix:";
const TCP: &str = "tcp:";
const SHOWN_CHARS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_sockets_are_read_as_the_standard_writes_them() {
        for (text, path) in [
            ("unix:///run/agent.sock", "/run/agent.sock"),
            ("unix:/run/agent.sock", "/run/agent.sock"),
            ("unix:///run/with%20space", "/run/with space"),
            ("unix:///run/a:b", "/run/a:b"),
        ] {
            let endpoint: WorkloadEndpoint = text.parse().unwrap();
            assert_eq!(endpoint.path(), Path::new(path));
            assert_eq!(WorkloadEndpoint::named(text), Ok(endpoint));
        }
        let plain = WorkloadEndpoint::named("some/agent.sock").unwrap();
        assert_eq!(plain.path(), Path::new("some/agent.sock"));
    }

    #[test]
    fn everything_else_is_refused_with_its_reason() {
        let kinds = [
            ("", "Scheme"),
            ("/run/agent.sock", "Scheme"),
            ("http://127.0.0.1:80", "Scheme"),
            ("UNIX:///run/agent.sock", "Scheme"),
            ("unix:", "Relative"),
            ("unix://", "Relative"),
            ("unix:///", "Relative"),
            ("unix:run/agent.sock", "Relative"),
            ("unix://run/agent.sock", "Authority"),
            ("unix:///run/a?b", "Extra"),
            ("unix:///run/a#b", "Extra"),
            ("unix:///run/a%2", "Percent"),
            ("unix:///run/a%zz", "Percent"),
            ("unix:///run/a%00", "Percent"),
            ("tcp://127.0.0.1:8000", "Tcp"),
            ("tcp://[::1]:8000", "Tcp"),
            ("tcp://127.0.0.1:8000/foo", "TcpForm"),
            ("tcp://localhost:8000", "TcpForm"),
            ("tcp:127.0.0.1:8000", "TcpForm"),
            ("tcp://127.0.0.1", "TcpForm"),
        ];
        for (text, kind) in kinds {
            let error = text.parse::<WorkloadEndpoint>().unwrap_err();
            let told = format!("{error:?}");
            assert_eq!(told.split('(').next(), Some(kind), "{text}");
        }
    }
}

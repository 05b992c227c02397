//! What an operator configures: one TOML file, read once at start into valid types.
//!
//! Promises: unknown keys are refused; every field is documented in
//! `deploy/config/server.toml`, which a test reads; secrets appear as paths only.
//! Refuses: environment variables. What a server does is in its file; clients of an agent honour
//! the one that the SPIFFE standard gives them.

mod agent;
mod endpoint;
mod strangers;

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::config::strangers::{ForeignFile, IssuerFile};
use crate::identity::{SpiffeIdError, TrustDomain};
use crate::pki::{ProfileError, ProfileName, Profiles};

pub use crate::config::agent::{
    AgentConfig, AgentConfigError, FirstProof, SdsConfig, WORKLOAD_SOCKET,
};
pub use crate::config::endpoint::{EndpointError, WorkloadEndpoint};
pub use crate::config::strangers::{ForeignConfig, IssuerConfig, StrangersError};

/// A valid server configuration.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Whose SVIDs are minted.
    pub trust_domain: TrustDomain,
    /// Where keys and the store are kept.
    pub data: PathBuf,
    /// Where the API listens, TLS.
    pub listen: SocketAddr,
    /// Where health and metrics listen, plain; none for nowhere.
    pub observe: Option<SocketAddr>,
    /// The DNS names of the server's certificate.
    pub dns_names: Vec<String>,
    /// The IP addresses of the server's certificate.
    pub ip_addresses: Vec<IpAddr>,
    /// An issuer that is brought: key file and chain file.
    pub issuer: Option<(PathBuf, PathBuf)>,
    /// What certificates look like.
    pub profiles: Profiles,
    /// The first byte of serial numbers.
    pub serial_instance: u8,
    /// The policy bundle that is activated at the first start.
    pub first_policy: Option<PathBuf>,
    /// Roots under which others sign SVIDs of the own trust domain, PEM.
    pub own_bundle: Vec<PathBuf>,
    /// Issuers whose tokens are let in.
    pub token_issuers: Vec<IssuerConfig>,
    /// Trust domains whose SVIDs are let in.
    pub foreign: Vec<ForeignConfig>,
    /// What is logged.
    pub log: LogConfig,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// A `tracing` filter, such as `info` or `protem::api=debug,info`.
    pub filter: String,
    /// One JSON object a line instead of text for people.
    pub json: bool,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{0}`")]
    Read(PathBuf, #[source] io::Error),
    /// Not the TOML of a server.
    #[error("`{0}` is no server configuration")]
    Toml(PathBuf, #[source] toml::de::Error),
    /// Not a trust domain.
    #[error("`trust_domain` is refused")]
    TrustDomain(#[source] SpiffeIdError),
    /// Only half of an issuer is given.
    #[error("`issuer_key` and `issuer_chain` go together: give both or none")]
    HalfAnIssuer,
    /// The server would have no name to be reached by.
    #[error("`dns_names` and `ip_addresses` are both empty: name what clients connect to")]
    Nameless,
    /// A profile is refused.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// Serial instance out of range.
    #[error("`serial_instance` must be 1 to 127")]
    SerialInstance,
    /// A table of who else is let in.
    #[error("`token_issuer` or `foreign_trust_domain` is refused")]
    Strangers(#[from] StrangersError),
    /// A name that cannot stand in a certificate.
    #[error("`{0}` is no DNS name: use lower-case labels of `a-z 0-9 -`, no wildcard")]
    DnsName(String),
}

impl ServerConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|error| ConfigError::Read(path.to_owned(), error))?;
        let file: ServerFile =
            toml::from_str(&text).map_err(|error| ConfigError::Toml(path.to_owned(), error))?;
        file.checked()
    }

    /// What `protem dev` runs with: safe defaults in a data directory on this machine alone.
    ///
    /// # Errors
    /// None in a released protem: a test reads it.
    pub fn dev(data: &Path, listen: SocketAddr) -> Result<Self, ConfigError> {
        Ok(Self {
            trust_domain: DEV_TRUST_DOMAIN.parse().map_err(ConfigError::TrustDomain)?,
            data: data.to_owned(),
            listen,
            observe: None,
            dns_names: vec!["localhost".to_owned()],
            ip_addresses: vec![listen.ip()],
            issuer: None,
            profiles: Profiles::shipped()?,
            serial_instance: 1,
            first_policy: None,
            own_bundle: Vec::new(),
            token_issuers: Vec::new(),
            foreign: Vec::new(),
            log: LogConfig {
                filter: "warn".to_owned(),
                json: false,
            },
        })
    }
}

impl ServerFile {
    fn checked(self) -> Result<ServerConfig, ConfigError> {
        let issuer = match (self.issuer_key, self.issuer_chain) {
            (None, None) => None,
            (Some(key), Some(chain)) => Some((key, chain)),
            (Some(_), None) | (None, Some(_)) => return Err(ConfigError::HalfAnIssuer),
        };
        if self.dns_names.is_empty() && self.ip_addresses.is_empty() {
            return Err(ConfigError::Nameless);
        }
        if let Some(name) = self.dns_names.iter().find(|name| !is_dns_name(name)) {
            return Err(ConfigError::DnsName(name.chars().take(253).collect()));
        }
        if !(1..=127).contains(&self.serial_instance) {
            return Err(ConfigError::SerialInstance);
        }
        let profiles = match &self.profiles {
            None => Profiles::shipped()?,
            Some(directory) => read_profiles(directory)?,
        };
        let trust_domain = self.trust_domain.parse();
        let trust_domain: TrustDomain = trust_domain.map_err(ConfigError::TrustDomain)?;
        Ok(ServerConfig {
            own_bundle: self.own_bundle,
            token_issuers: strangers::issuers(self.token_issuer, &trust_domain)?,
            foreign: strangers::foreign(self.foreign_trust_domain, &trust_domain)?,
            trust_domain,
            data: self.data,
            listen: self.listen,
            observe: self.observe,
            dns_names: self.dns_names,
            ip_addresses: self.ip_addresses,
            issuer,
            profiles,
            serial_instance: self.serial_instance,
            first_policy: self.first_policy,
            log: LogConfig {
                filter: self.log,
                json: self.log_json,
            },
        })
    }
}

fn read_profiles(directory: &Path) -> Result<Profiles, ConfigError> {
    let mut texts = std::collections::BTreeMap::new();
    for name in PROFILE_NAMES {
        let path = directory.join(format!("{}.toml", name.as_str()));
        let text = fs::read_to_string(&path).map_err(|error| ConfigError::Read(path, error))?;
        texts.insert(name, text);
    }
    Ok(Profiles::read(|name| {
        texts.get(&name).cloned().unwrap_or_default()
    })?)
}

fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerFile {
    trust_domain: String,
    data: PathBuf,
    listen: SocketAddr,
    observe: Option<SocketAddr>,
    #[serde(default)]
    dns_names: Vec<String>,
    #[serde(default)]
    ip_addresses: Vec<IpAddr>,
    issuer_key: Option<PathBuf>,
    issuer_chain: Option<PathBuf>,
    profiles: Option<PathBuf>,
    #[serde(default = "one")]
    serial_instance: u8,
    first_policy: Option<PathBuf>,
    #[serde(default)]
    own_bundle: Vec<PathBuf>,
    #[serde(default)]
    token_issuer: Vec<IssuerFile>,
    #[serde(default)]
    foreign_trust_domain: Vec<ForeignFile>,
    #[serde(default = "info")]
    log: String,
    #[serde(default)]
    log_json: bool,
}

const fn one() -> u8 {
    1
}

fn info() -> String {
    "info".to_owned()
}

/// The trust domain of `protem dev`; `.test` never resolves (RFC 6761 6.2).
pub const DEV_TRUST_DOMAIN: &str = "dev.protem.test";
const PROFILE_NAMES: [ProfileName; 5] = [
    ProfileName::Base,
    ProfileName::Elevated,
    ProfileName::Intermediate,
    ProfileName::Root,
    ProfileName::Service,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServerConfig, String> {
        let file: ServerFile = toml::from_str(text).map_err(|error| error.to_string())?;
        file.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn the_sample_is_read_and_its_mistakes_are_told() {
        let sample = include_str!("../deploy/config/server.toml");
        let config = parse(sample).unwrap();
        assert_eq!(config.trust_domain.as_str(), "prod.example");
        for (from, to) in [
            ("prod.example\"", "10.0.0.1\""),
            ("serial_instance = 1", "serial_instance = 0"),
            ("serial_instance = 1", "unknown = 1"),
            ("\"protem.prod.example\"", "\"*.prod.example\""),
            ("# issuer_key", "issuer_key"),
        ] {
            let text = sample.replace(from, to);
            assert_ne!(text, sample, "{from}");
            assert!(parse(&text).is_err(), "{to}");
        }
    }

    #[test]
    fn what_the_sample_leaves_out_is_read_when_it_is_put_in() {
        let sample = include_str!("../deploy/config/server.toml");
        let is_setting = |line: &str| {
            let (name, _) = line.split_once(" = ").unwrap_or((line, ""));
            line.starts_with("[[") || !name.contains(|c: char| !c.is_ascii_lowercase() && c != '_')
        };
        let (top, tables) = sample.split_at(sample.find("# Roots under which").unwrap());
        let put_in = tables.lines().map(|line| match line.strip_prefix("# ") {
            Some(inner) if is_setting(inner) && !inner.starts_with("jwks_file") => inner,
            _ => line,
        });
        let text = format!("{top}{}", put_in.collect::<Vec<_>>().join("\n"));
        let config = parse(&text).unwrap();
        assert_eq!(config.own_bundle.len(), 1);
        assert_eq!(config.foreign[0].domain.prefix(), "/foreign/cluster.local");
        let issuer = &config.token_issuers[0];
        assert_eq!(issuer.issuer.terms().require["event_name"], "push");
        assert!(issuer.private_addresses);
        assert!(parse(&text.replace("# jwks_file", "jwks_file")).is_err());
    }
}

//! What an agent is told: one TOML file, read once at start into valid types.
//!
//! Promises: unknown keys are refused; every field is documented in `deploy/config/agent.toml`,
//! which a test reads; secrets appear as paths only.
//! Refuses: sockets that are not absolute paths, scopes and names that are none, spans beyond their
//! bounds.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::client::{AddressError, ServerAddress};
use crate::config::LogConfig;
use crate::identity::{SpiffeIdError, Subject};
use crate::scope::Scope;
use crate::time::Seconds;

/// A valid configuration of an agent.
#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// The server.
    pub server: ServerAddress,
    /// Roots that the server's certificate stands under, until the server itself told newer ones.
    pub bundle: PathBuf,
    /// Where the agent keeps its own SVID.
    pub state: PathBuf,
    /// The agent's own SPIFFE ID.
    pub subject: Subject,
    /// What proves the agent while it holds no SVID of its own.
    pub proof: Option<FirstProof>,
    /// The socket of the Workload API.
    pub workload_socket: PathBuf,
    /// The socket that Envoy takes secrets from; none for no such socket.
    pub sds: Option<SdsConfig>,
    /// Where health and metrics are told, plain; none for nowhere.
    pub observe: Option<SocketAddr>,
    /// The largest program whose SHA-256 is a selector, in bytes.
    pub program_bytes_max: u64,
    /// What is logged.
    pub log: LogConfig,
}

/// What proves an agent the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstProof {
    /// The join token in this file.
    JoinToken(PathBuf),
    /// The X.509-SVID in this folder: `svid.pem` and `svid.key`.
    Svid(PathBuf),
}

/// How Envoys are served.
#[derive(Clone, Debug)]
pub struct SdsConfig {
    /// The socket.
    pub socket: PathBuf,
    /// Whether validation contexts name Envoy's SPIFFE validator instead of plain roots.
    pub spiffe_validator: bool,
    /// The scopes for which a request may open an elevation.
    pub on_demand: BTreeSet<Scope>,
    /// How long such a request is held while the answer is made or people decide.
    pub hold: Duration,
    /// Whether filters may subscribe to the digests of denied certificates.
    pub deny_list: bool,
    /// Whether uses that Envoys log are reported to the server.
    pub report_uses: bool,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum AgentConfigError {
    /// The address of the server is none.
    #[error("`server` is refused")]
    Address(#[from] AddressError),
    /// `hold` is too long.
    #[error("`hold` must be at most {HOLD_MAX}")]
    Hold,
    /// Not an absolute path.
    #[error("`{0}` must be an absolute path")]
    NotAbsolute(&'static str),
    /// The file cannot be read.
    #[error("cannot read `{}`", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// Not a subject.
    #[error("`subject` is refused")]
    Subject(#[source] SpiffeIdError),
    /// Not the TOML of an agent.
    #[error("`{}` is no agent configuration", .0.display())]
    Toml(PathBuf, #[source] toml::de::Error),
    /// Two sockets in one place.
    #[error("the sockets of the Workload API and of Envoy must be two paths")]
    TwoSockets,
    /// Two proofs.
    #[error("give `join_token_file` or `svid`, not both")]
    TwoProofs,
    /// A scope that is none.
    #[error("`on_demand` names `{0}`, which is no scope")]
    Scope(String),
}

impl AgentConfig {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(path: &Path) -> Result<Self, AgentConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|error| AgentConfigError::Read(path.to_owned(), error))?;
        let file: AgentFile = toml::from_str(&text)
            .map_err(|error| AgentConfigError::Toml(path.to_owned(), error))?;
        file.checked()
    }
}

impl AgentFile {
    fn checked(self) -> Result<AgentConfig, AgentConfigError> {
        let proof = match (self.join_token_file, self.svid) {
            (None, None) => None,
            (Some(file), None) => Some(FirstProof::JoinToken(file)),
            (None, Some(folder)) => Some(FirstProof::Svid(folder)),
            (Some(_), Some(_)) => return Err(AgentConfigError::TwoProofs),
        };
        absolute("workload_socket", &self.workload_socket)?;
        let sds = self.sds.map(SdsFile::checked).transpose()?;
        if sds
            .as_ref()
            .is_some_and(|sds| sds.socket == self.workload_socket)
        {
            return Err(AgentConfigError::TwoSockets);
        }
        Ok(AgentConfig {
            server: self.server.parse()?,
            bundle: self.bundle,
            state: self.state,
            subject: self.subject.parse().map_err(AgentConfigError::Subject)?,
            proof,
            workload_socket: self.workload_socket,
            sds,
            observe: self.observe,
            program_bytes_max: self.program_bytes_max,
            log: LogConfig {
                filter: self.log,
                json: self.log_json,
            },
        })
    }
}

impl SdsFile {
    fn checked(self) -> Result<SdsConfig, AgentConfigError> {
        absolute("sds.socket", &self.socket)?;
        let on_demand = self.on_demand.into_iter().map(|text| {
            let scope = text.parse();
            scope.map_err(|_| AgentConfigError::Scope(text.chars().take(64).collect()))
        });
        let hold: Seconds = self.hold.parse().map_err(|_| AgentConfigError::Hold)?;
        if HOLD_MAX < hold {
            return Err(AgentConfigError::Hold);
        }
        Ok(SdsConfig {
            socket: self.socket,
            spiffe_validator: self.spiffe_validator,
            on_demand: on_demand.collect::<Result<_, _>>()?,
            hold: hold.duration(),
            deny_list: self.deny_list,
            report_uses: self.report_uses,
        })
    }
}

fn absolute(field: &'static str, path: &Path) -> Result<(), AgentConfigError> {
    if path.is_absolute() {
        Ok(())
    } else {
        Err(AgentConfigError::NotAbsolute(field))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentFile {
    server: String,
    bundle: PathBuf,
    state: PathBuf,
    subject: String,
    join_token_file: Option<PathBuf>,
    svid: Option<PathBuf>,
    #[serde(default = "workload_socket")]
    workload_socket: PathBuf,
    sds: Option<SdsFile>,
    observe: Option<SocketAddr>,
    #[serde(default = "program_bytes_max")]
    program_bytes_max: u64,
    #[serde(default = "info")]
    log: String,
    #[serde(default)]
    log_json: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SdsFile {
    #[serde(default = "sds_socket")]
    socket: PathBuf,
    #[serde(default)]
    spiffe_validator: bool,
    #[serde(default)]
    on_demand: Vec<String>,
    #[serde(default = "hold")]
    hold: String,
    #[serde(default = "yes")]
    deny_list: bool,
    #[serde(default)]
    report_uses: bool,
}

fn workload_socket() -> PathBuf {
    PathBuf::from(WORKLOAD_SOCKET)
}

fn sds_socket() -> PathBuf {
    PathBuf::from(SDS_SOCKET)
}

const fn program_bytes_max() -> u64 {
    512 * 1024 * 1024
}

fn hold() -> String {
    "2s".to_owned()
}

const fn yes() -> bool {
    true
}

fn info() -> String {
    "info".to_owned()
}

/// Where the Workload API is, unless said otherwise.
pub const WORKLOAD_SOCKET: &str = "/run/protem/agent/workload.sock";
const SDS_SOCKET: &str = "/run/protem/agent/sds.sock";
/// The longest that a request is held.
const HOLD_MAX: Seconds = Seconds::new(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AgentConfig, String> {
        let file: AgentFile = toml::from_str(text).map_err(|error| error.to_string())?;
        file.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn the_sample_is_read_and_its_mistakes_are_told() {
        let sample = include_str!("../../deploy/config/agent.toml");
        let config = parse(sample).unwrap();
        let sds = config.sds.unwrap();
        assert_eq!(sds.hold, Duration::from_secs(2));
        assert!(sds.on_demand.contains(&"db.read".parse().unwrap()));
        for (from, to) in [
            ("https://", "http://"),
            ("\"db.read\"", "\"DB\""),
            ("hold = \"2s\"", "hold = \"2h\""),
            ("hold = \"2s\"", "holds = \"2s\""),
            ("/run/protem/agent/workload.sock", "workload.sock"),
            (
                "/run/protem/agent/workload.sock",
                "/run/protem/agent/sds.sock",
            ),
            ("# svid = ", "svid = "),
            ("agent/host-1\"", "agent/scope/host-1\""),
        ] {
            let text = sample.replace(from, to);
            assert_ne!(text, sample, "{from}");
            assert!(parse(&text).is_err(), "{to}");
        }
    }
}

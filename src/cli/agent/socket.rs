//! The option that says where the agent listens.
//!
//! Promises: the option wins over the variable of the SPIFFE standard, and that over the usual
//! place.
//! Refuses: what is no endpoint, before anything is asked.

use clap::Args;

use crate::cli::exit::UsageError;
use crate::client::AgentSocket;
use crate::config::WorkloadEndpoint;

#[derive(Args)]
pub(crate) struct Socket {
    /// The agent's socket, as a path or `unix:///path`; `SPIFFE_ENDPOINT_SOCKET` when absent, else
    /// `/run/protem/agent/workload.sock`
    #[arg(long, value_name = "PATH")]
    socket: Option<String>,
}

impl Socket {
    /// As if the option named it.
    pub(crate) fn named(text: &str) -> Self {
        Self {
            socket: Some(text.to_owned()),
        }
    }

    /// Where the agent listens.
    pub(crate) fn endpoint(&self) -> anyhow::Result<WorkloadEndpoint> {
        let endpoint = match &self.socket {
            Some(text) => WorkloadEndpoint::named(text),
            None => WorkloadEndpoint::of_environment(),
        };
        endpoint.map_err(|error| UsageError(error.to_string()).into())
    }

    /// A connection to the agent.
    pub(crate) async fn connect(&self) -> anyhow::Result<AgentSocket> {
        Ok(AgentSocket::connect(self.endpoint()?.path()).await?)
    }
}

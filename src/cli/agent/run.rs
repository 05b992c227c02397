//! `protem agent run`: the agent itself, until it is told to stop.
//!
//! Promises: everything is in the configuration file; what it does is the room `agent`'s.
//! Refuses: to do any of it by itself.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use crate::agent;
use crate::cli::exit::{Exit, UsageError, words};
use crate::config::AgentConfig;
use crate::telemetry;
use crate::time::SystemClock;

#[derive(Args)]
pub(crate) struct Run {
    /// The agent's configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Run {
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let config = AgentConfig::read(&self.config);
        let config = config.map_err(|error| UsageError(words(&error.into())))?;
        telemetry::start(&config.log.filter, config.log.json)?;
        agent::run(&config, Arc::new(SystemClock)).await?;
        Ok(Exit::Done)
    }
}

//! What runs inside this process instead of asking a server: `serve`, `backup`, `restore` and the
//! offline half of `policy`.
//!
//! Promises: everything here goes through the room `server`; this file only has the options.
//! Refuses: to do any of it by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::cli::exit::{Exit, UsageError, words};
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::config::ServerConfig;
use crate::server::{self, Supposed};
use crate::telemetry;
use crate::time::SystemClock;
use crate::wire::policy::ExplainRequest;
use crate::wire::verdict::OutlookAnswer;

#[derive(Args)]
pub(crate) struct Serve {
    /// The server's configuration, TOML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Args)]
pub(crate) struct Backup {
    /// The server's configuration; the data directory of `--dir` when absent
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the copy goes; must not be there yet
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The server's configuration; the data directory of `--dir` when absent
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The copy
    #[arg(value_name = "FILE")]
    from: PathBuf,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<Exit> {
        let config = configuration(&self.config)?;
        telemetry::start(&config.log.filter, config.log.json)?;
        server::serve(&config, Arc::new(SystemClock)).await?;
        Ok(Exit::Done)
    }
}

impl Backup {
    pub(crate) fn run(&self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        server::backup_store(&data_directory(self.config.as_deref(), reach)?, &self.to)?;
        screen.say(&format!("copied to `{}` and checked", self.to.display()));
        Ok(Exit::Done)
    }
}

impl Restore {
    pub(crate) fn run(&self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        server::restore_store(&self.from, &data_directory(self.config.as_deref(), reach)?)?;
        screen.say(
            "restored; the keys in `ca/` are not part of a copy of the store\n\
             what was revoked or stopped since the copy is open again; start the server and run\n  \
             protem revoke --all --reason restored\n  protem minting release --reason restored",
        );
        Ok(Exit::Done)
    }
}

/// Checks a bundle and shows its faults.
pub(crate) fn policy_check(folder: &Path, screen: &mut Screen) -> anyhow::Result<Exit> {
    let (digest, scopes, warnings) = server::check_policy(folder)?;
    if screen.is_json() {
        screen.json(&json!({ "digest": digest, "scopes": scopes, "warnings": warnings }))?;
        return Ok(Exit::Done);
    }
    screen.record(&[("digest", digest), ("scopes", scopes.join(", "))])?;
    for warning in warnings {
        screen.say(&format!("warning: {warning}"));
    }
    Ok(Exit::Done)
}

/// Runs the tests of a bundle and shows what failed.
pub(crate) fn policy_test(folder: &Path, screen: &mut Screen) -> anyhow::Result<Exit> {
    let outcomes = server::test_policy(folder)?;
    let failed: Vec<_> = outcomes
        .iter()
        .filter(|(_, failure)| failure.is_some())
        .collect();
    if screen.is_json() {
        let tests = outcomes
            .iter()
            .map(|(name, why)| json!({ "test": name, "failure": why }));
        screen.json(&tests.collect::<Vec<_>>())?;
    } else {
        for (name, failure) in &failed {
            screen.line(&format!(
                "FAILED {name}: {}",
                failure.as_deref().unwrap_or_default()
            ))?;
        }
        let passed = outcomes.len().saturating_sub(failed.len());
        screen.line(&format!("{passed} passed, {} failed", failed.len()))?;
    }
    Ok(if failed.is_empty() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// What the bundle in `folder` would answer.
pub(crate) fn policy_explain(
    folder: &Path,
    request: &ExplainRequest,
    supposed: Supposed,
) -> anyhow::Result<OutlookAnswer> {
    Ok(server::explain_policy(
        folder,
        request,
        supposed,
        Reach::now(),
    )?)
}

fn configuration(path: &Path) -> anyhow::Result<ServerConfig> {
    ServerConfig::read(path).map_err(|error| UsageError(words(&error.into())).into())
}

fn data_directory(config: Option<&Path>, reach: &Reach) -> anyhow::Result<PathBuf> {
    Ok(match config {
        Some(file) => configuration(file)?.data,
        None => reach.dir.clone(),
    })
}

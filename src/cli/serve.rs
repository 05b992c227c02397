//! What runs inside this process instead of asking a server: `serve`, `backup`, `restore`
//! and the offline half of `policy`.
//!
//! Promises: everything here goes through the room `server`; this file only has the options.
//! Refuses: to do any of it by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use crate::cli::exit::{Exit, UsageError, words};
use crate::cli::policy::Supposed;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::config::ServerConfig;
use crate::server;
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
        telemetry::start(&config.log)?;
        server::serve(&config, Arc::new(SystemClock)).await?;
        Ok(Exit::Done)
    }
}

impl Backup {
    pub(crate) fn run(&self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        server::backup_store(&data(self.config.as_deref(), reach)?, &self.to)?;
        screen.say(&format!("copied to `{}`", self.to.display()));
        Ok(Exit::Done)
    }
}

impl Restore {
    pub(crate) fn run(&self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let data = data(self.config.as_deref(), reach)?;
        server::restore_store(&self.from, &data)?;
        screen.say(&format!("restored into `{}`", data.display()));
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
    for warning in &warnings {
        screen.say(&format!("warning: {warning}"));
    }
    Ok(Exit::Done)
}

/// Runs the tests of a bundle and shows what failed.
pub(crate) fn policy_test(folder: &Path, screen: &mut Screen) -> anyhow::Result<Exit> {
    let outcomes = server::test_policy(folder)?;
    let failed = outcomes.iter().filter(|one| one.failure.is_some()).count();
    if screen.is_json() {
        let tests = outcomes
            .iter()
            .map(|one| json!({ "file": one.file, "name": one.name, "failure": one.failure }));
        screen.json(&json!({ "tests": tests.collect::<Vec<_>>(), "failed": failed }))?;
    } else {
        for one in &outcomes {
            if let Some(failure) = &one.failure {
                screen.line(&format!("{}: {}: {failure}", one.file, one.name))?;
            }
        }
        screen.line(&format!("{} tests, {failed} failed", outcomes.len()))?;
    }
    Ok(if failed == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

// GAP(server): `server::explain_policy` takes types of the room `policy`, which is closed to the
// command line; it should take the request and answer as the wire does.

/// What the bundle in `folder` would answer.
pub(crate) fn policy_explain(
    folder: &Path,
    _request: &ExplainRequest,
    _supposed: &Supposed,
) -> anyhow::Result<OutlookAnswer> {
    let folder = folder.display();
    anyhow::bail!("`protem policy explain {folder}` is not in this build: ask a server without DIR")
}

fn configuration(path: &Path) -> anyhow::Result<ServerConfig> {
    ServerConfig::read(path).map_err(|error| UsageError(words(&error.into())).into())
}

fn data(config: Option<&Path>, reach: &Reach) -> anyhow::Result<PathBuf> {
    match config {
        Some(path) => Ok(configuration(path)?.data),
        None => Ok(reach.dir.clone()),
    }
}

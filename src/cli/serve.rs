//! What runs inside this process instead of asking a server: `serve`, `backup`, `restore`
//! and the offline half of `policy`.
//!
//! Promises: everything here goes through the room `server`; this file only has the options.
//! Refuses: to do any of it by itself.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::exit::Exit;
use crate::cli::policy::Supposed;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
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

// GAP(server): each body below is one call into `crate::server`, which does not exist yet. Until
// then the command fails and says so.

impl Serve {
    pub(crate) async fn run(self, _screen: &mut Screen) -> anyhow::Result<Exit> {
        gap("serve", &[&self.config])
    }
}

impl Backup {
    pub(crate) async fn run(self, reach: &Reach, _screen: &mut Screen) -> anyhow::Result<Exit> {
        gap(
            "backup",
            &[self.config.as_ref().unwrap_or(&reach.dir), &self.to],
        )
    }
}

impl Restore {
    pub(crate) async fn run(self, reach: &Reach, _screen: &mut Screen) -> anyhow::Result<Exit> {
        gap(
            "restore",
            &[self.config.as_ref().unwrap_or(&reach.dir), &self.from],
        )
    }
}

/// Checks a bundle and shows its faults.
pub(crate) fn policy_check(folder: &Path, _screen: &mut Screen) -> anyhow::Result<Exit> {
    gap("policy check", &[folder])
}

/// Runs the tests of a bundle and shows what failed.
pub(crate) fn policy_test(folder: &Path, _screen: &mut Screen) -> anyhow::Result<Exit> {
    gap("policy test", &[folder])
}

/// What the bundle in `folder` would answer.
pub(crate) fn policy_explain(
    folder: &Path,
    _request: &ExplainRequest,
    _supposed: &Supposed,
) -> anyhow::Result<OutlookAnswer> {
    gap("policy explain", &[folder])
}

pub(crate) fn gap<T>(command: &str, paths: &[&Path]) -> anyhow::Result<T> {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    anyhow::bail!(
        "`protem {command}` ({}) is not in this build",
        paths.join(", ")
    )
}

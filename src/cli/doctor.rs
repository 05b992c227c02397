//! `protem doctor`: what is wrong here, and what to do about it.
//!
//! Promises: every line is one look with its outcome and, where something is to be done, the next
//! step; exit 1 when a look failed or a probe found a hole.
//! Refuses: to look at the server's files by itself; that is the room `server`.

pub(crate) mod probes;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::doctor::probes::{Expiry, Resumption};
use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::config::ServerConfig;
use crate::server::{self, Finding, Health};
use crate::time::SystemClock;

#[derive(Args)]
#[command(after_help = EXITS, args_conflicts_with_subcommands = true)]
pub(crate) struct Doctor {
    /// The server's configuration; the data directory of `--dir` alone when absent
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    probe: Option<Probe>,
}

#[derive(Subcommand)]
enum Probe {
    /// Does a TLS endpoint resume sessions, also those of a certificate that has ended
    Resumption(Resumption),
    /// Does a proxy end an open connection when the holder's certificate ends
    Expiry(Expiry),
}

impl Doctor {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let findings = match self.probe {
            None => look(self.config, reach).await,
            Some(Probe::Resumption(probe)) => probe.run(reach, screen).await?,
            Some(Probe::Expiry(probe)) => probe.run(reach, screen).await?,
        };
        show(&findings, screen)
    }
}

async fn look(config: Option<PathBuf>, reach: &Reach) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut read = None;
    if let Some(path) = config {
        findings.push(server::configuration(&path));
        read = ServerConfig::read(&path).ok();
        if read.is_none() {
            return findings;
        }
    }
    let data = read.as_ref().map_or(&reach.dir, |config| &config.data);
    findings.extend(server::examine(read.as_ref(), data, &SystemClock));
    findings.extend(probes::server(data).await);
    findings
}

fn show(findings: &[Finding], screen: &mut Screen) -> anyhow::Result<Exit> {
    let failed = findings.iter().any(|one| one.health == Health::Failed);
    if screen.is_json() {
        let rows = findings.iter().map(|one| {
            json!({
                "check": one.check,
                "health": one.health.word(),
                "found": one.found,
                "next": one.next,
            })
        });
        screen.json(&json!({ "findings": rows.collect::<Vec<_>>() }))?;
    } else {
        let rows = findings.iter().map(|one| {
            let health = one.health.word().to_owned();
            vec![health, one.check.to_owned(), one.found.clone()]
        });
        screen.table(&["health", "check", "found"], &rows.collect::<Vec<_>>())?;
        for one in findings.iter().filter(|one| !one.next.is_empty()) {
            screen.say(&format!(
                "{} ({}): {}",
                one.check,
                one.health.word(),
                one.next
            ));
        }
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

const EXITS: &str = "\
Without a probe it looks at clock, disk, files, store, certificates and ports of the server on this
machine, and at the server itself where it answers. Nothing is changed.

Exit codes:
  0  nothing failed; warnings are told
  1  a look failed, or a probe found a hole
  2  the command line, or a file that it names, is wrong
  5  the endpoint of a probe cannot be reached";

//! `protem agent`: the agent of this machine, and what it gives to the calling process.
//!
//! Promises: asks as any workload does, over the SPIFFE Workload API; whatever else gives that API
//! is good enough for `fetch`, `watch` and `write`.
//! Refuses: to print a private key.

mod fetch;
mod run;
mod show;
mod socket;
mod status;
mod watch;
mod write;

use clap::Subcommand;

pub(crate) use crate::cli::agent::socket::Socket;

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show once what the calling process holds
    Fetch(fetch::Fetch),
    /// Run the agent of this machine
    Run(run::Run),
    /// Show how the agent fares, and what it holds
    Status(status::Status),
    /// Show what the calling process holds, again after each change
    Watch(watch::Watch),
    /// Keep an SVID in a folder, for workloads that do not speak the Workload API
    Write(write::Write),
}

impl Verb {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        match self {
            Self::Fetch(args) => args.run(screen).await,
            Self::Run(args) => args.run().await,
            Self::Status(args) => args.run(screen).await,
            Self::Watch(args) => args.run(screen).await,
            Self::Write(args) => args.run(screen).await,
        }
    }
}

//! `protem mesh`: what a mesh needs so that an end is one.
//!
//! Promises: needs no server.
//! Refuses: to change a mesh.

mod lint;

use clap::Subcommand;

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Name every hole of a mesh's configuration
    ///
    /// Reads Envoy bootstraps, `/config_dump`, and the YAML of Istio, Linkerd and Consul, offline.
    /// Name files together that are in force together: a hole may be two halves of two files.
    Lint(lint::Lint),
}

impl Verb {
    pub(crate) fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        match self {
            Self::Lint(args) => args.run(screen),
        }
    }
}

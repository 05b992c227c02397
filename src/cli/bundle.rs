//! `protem bundle`: the roots that verifiers need.
//!
//! Promises: what is printed can be written to a file as it is.
//! Refuses: roots from a server that is not proved by the roots already held.

use clap::{Args, ValueEnum};

use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::x509::write_chain;

#[derive(Args)]
pub(crate) struct Bundle {
    /// As certificates, or as a SPIFFE JWK set; with `--json` always the latter
    #[arg(long, value_enum, default_value = "pem")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jwks,
    Pem,
}

impl Bundle {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let client = reach.client()?;
        if screen.is_json() || self.format == Format::Jwks {
            screen.json(&client.bundle_jwks().await?)?;
        } else {
            screen.text(&write_chain(&client.bundle_roots().await?))?;
        }
        Ok(Exit::Done)
    }
}

//! `protem version`.
//!
//! Promises: the number of the package.
//! Refuses: nothing.

use clap::Args;
use serde_json::json;

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;

#[derive(Args)]
pub(crate) struct Version {}

impl Version {
    #[expect(
        clippy::unused_self,
        reason = "every command runs in the same way; this one has no options"
    )]
    pub(crate) fn run(&self, screen: &mut Screen) -> anyhow::Result<Exit> {
        if screen.is_json() {
            screen.json(&json!({ "version": env!("CARGO_PKG_VERSION") }))?;
        } else {
            screen.line(concat!("protem ", env!("CARGO_PKG_VERSION")))?;
        }
        Ok(Exit::Done)
    }
}

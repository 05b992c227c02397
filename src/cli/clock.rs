//! `protem clock`: the way out when the server doubts its clock.
//!
//! Promises: the acceptance is recorded with its reason and its author.
//! Refuses: to set a clock.

use clap::Subcommand;

use crate::cli::exit::Exit;
use crate::cli::minting::show;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Say that the server's clock is right, so that it mints again
    Accept {
        /// Why, in words for people
        #[arg(long)]
        reason: String,
    },
}

impl Verb {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let Self::Accept { reason } = self;
        let view = reach.client()?.accept_clock(&reason).await?;
        show(&view, screen)?;
        Ok(Exit::Done)
    }
}

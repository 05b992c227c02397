//! `protem minting`: whether the server mints, and letting it mint again.
//!
//! Promises: says why it stands still.
//! Refuses: to stop it: that is `protem revoke --all`.

use clap::Subcommand;

use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment};
use crate::wire::minting::MintingView;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show whether the server mints
    Show,
    /// Let the server mint again after `protem revoke --all`
    Release {
        /// Why, in words for people
        #[arg(long)]
        reason: String,
    },
}

impl Verb {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let client = reach.client()?;
        let view = match self {
            Self::Show => client.minting().await?,
            Self::Release { reason } => client.release_minting(&reason).await?,
        };
        show(&view, screen)?;
        Ok(Exit::Done)
    }
}

/// Shows whether the server mints.
pub(crate) fn show(view: &MintingView, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(view);
    }
    let since = view.since.as_deref();
    let since = since.map(|since| moment(since, Reach::now()));
    let clock = if view.clock.in_doubt {
        "in doubt"
    } else {
        "trusted"
    };
    screen.record(&[
        ("stopped by hand", word(view.stopped)),
        ("since", since.unwrap_or_default()),
        ("clock", clock.to_owned()),
        ("because", view.clock.why.clone().unwrap_or_default()),
    ])
}

fn word(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

//! `protem agent fetch`: what the calling process holds, once.
//!
//! Promises: the default SVID stands first, as in the answer; with `--write` the key goes to a file
//! of its owner and nowhere else.
//! Refuses: to wait for an agent that is not there.

use std::path::PathBuf;

use clap::Args;

use crate::cli::agent::show::{HEADS, json_of, rows};
use crate::cli::agent::socket::Socket;
use crate::cli::agent::write::{Choice, Keeping};
use crate::cli::exit::{Exit, UsageError};
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;

#[derive(Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    socket: Socket,
    /// Also write one SVID and its bundles to this folder
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

impl Fetch {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        if self.write.is_none() && self.choice.is_made() {
            let words = "`--hint` chooses what `--write DIR` writes: name a folder";
            return Err(UsageError(words.to_owned()).into());
        }
        let fetched = self.socket.connect().await?.fetch().await?;
        if let Some(folder) = &self.write {
            let mut keeping = Keeping::open(folder, self.choice)?;
            keeping.put_needed(&fetched, Reach::now())?;
        }
        if screen.is_json() {
            screen.json(&json_of(&fetched))?;
        } else {
            screen.table(&HEADS, &rows(&fetched, Reach::now()))?;
        }
        Ok(Exit::Done)
    }
}

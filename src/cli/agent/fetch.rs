//! `protem agent fetch`: what the calling process holds, once.
//!
//! Promises: the default SVID stands first, as in the answer; with `--write` the key goes to a file
//! of its owner and nowhere else.
//! With `--hint` it waits a little for that SVID: what was just elevated is on its way.
//! Refuses: to wait for an agent that is not there.

use std::path::PathBuf;

use clap::Args;

use crate::cli::agent::show::{HEADS, json_of, rows};
use crate::cli::agent::socket::Socket;
use crate::cli::agent::write::{Choice, Keeping};
use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;

#[derive(Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    socket: Socket,
    /// Also write the chosen SVID and its bundles to this folder
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

impl Fetch {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let agent = self.socket.connect().await?;
        let mut fetched = match self.choice.hint() {
            None => agent.fetch().await?,
            Some(hint) => agent.fetch_with(hint).await?,
        };
        self.choice.svid_of(&fetched)?;
        if let Some(hint) = self.choice.hint() {
            fetched.svids.retain(|svid| svid.hint == hint);
        }
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

//! `protem completion`: the completion script of a shell.
//!
//! Promises: it is made from the command line itself, so it knows every option.
//! Refuses: nothing.

use clap::Args;
use clap_complete::Shell;

use crate::cli::exit::Exit;
use crate::cli::screen::Screen;

#[derive(Args)]
pub(crate) struct Completion {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(&self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let mut script = Vec::new();
        let mut command = crate::cli::command();
        clap_complete::generate(self.shell, &mut command, "protem", &mut script);
        // Tabs of the script are ours: they go out as they are.
        screen.raw(&script)?;
        Ok(Exit::Done)
    }
}

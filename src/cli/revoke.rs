//! `protem revoke`: end elevations at once.
//!
//! Promises: says how many ended. `--all` is the kill switch: it also stops minting.
//! Refuses: to guess: exactly one of what is to end must be named.

use clap::Args;

use crate::cli::elevation;
use crate::cli::exit::Exit;
use crate::cli::reach::Reach;
use crate::cli::screen::Screen;
use crate::wire::elevation::RevocationRequest;

#[derive(Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    what: What,
    /// Why, in words for people
    #[arg(long)]
    reason: String,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Every elevation of this subject
    #[arg(long, value_name = "SPIFFE_ID")]
    subject: Option<String>,
    /// Every elevation for this scope
    #[arg(long)]
    scope: Option<String>,
    /// Every elevation bound to this instance
    #[arg(long, value_name = "HEX")]
    instance: Option<String>,
    /// This elevation
    #[arg(long, value_name = "ID")]
    elevation: Option<String>,
    /// Every elevation there is; also stops minting until `protem minting release`
    #[arg(long)]
    all: bool,
}

impl Revoke {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let client = reach.client()?;
        if let Some(id) = &self.what.elevation {
            let view = client.revoke_one(id, &self.reason).await?;
            elevation::show_one(&view, screen)?;
            return Ok(Exit::Done);
        }
        let request = RevocationRequest {
            subject: self.what.subject,
            scope: self.what.scope,
            instance: self.what.instance,
            all: self.what.all,
            reason: self.reason,
        };
        let view = client.revoke(&request).await?;
        if screen.is_json() {
            screen.json(&view)?;
            return Ok(Exit::Done);
        }
        screen.line(&format!("{} elevations ended", view.revoked))?;
        screen.say(
            "SVIDs already minted stay valid until their notAfter; agents take them from workloads \
             now, and servers with a deny list refuse them",
        );
        screen.say(
            "Who may have the scope may ask again, and where requests open it (`on_demand`) they \
             do so after a minute: to keep it closed, change the policy or the entry",
        );
        if view.minting_stopped {
            screen.say("Minting stands still until `protem minting release --reason WHY`.");
        }
        Ok(Exit::Done)
    }
}

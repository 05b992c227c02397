//! `protem token`: one-use join tokens.
//!
//! Promises: `create` prints the secret alone on standard output, so that a script can take it.
//! Refuses: to show it again.

use clap::Subcommand;

use crate::cli::exit::Exit;
use crate::cli::paging::{Paging, tell_next};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment};
use crate::time::Seconds;
use crate::wire::token::TokenRequest;

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a token for a registered workload and print it, once
    Create {
        /// For whom
        #[arg(value_name = "SPIFFE_ID")]
        subject: String,
        /// How long it may wait to be used, such as `10m`
        #[arg(long, value_name = "SPAN")]
        ttl: Option<Seconds>,
    },
    /// Show tokens, without their secrets
    List(Paging),
    /// Remove a token before it is used
    Remove {
        /// Its id, `jt-...`
        id: String,
    },
}

impl Verb {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        match self {
            Self::Create { subject, ttl } => create(subject, ttl, reach, screen).await?,
            Self::List(paging) => list(&paging, reach, screen).await?,
            Self::Remove { id } => {
                reach.client()?.remove_token(&id).await?;
                screen.say(&format!("removed {id}"));
            }
        }
        Ok(Exit::Done)
    }
}

async fn create(
    subject: String,
    ttl: Option<Seconds>,
    reach: &Reach,
    screen: &mut Screen,
) -> anyhow::Result<()> {
    let request = TokenRequest {
        subject,
        ttl: ttl.map(|ttl| ttl.to_string()),
    };
    let issued = reach.client()?.create_token(&request).await?;
    if screen.is_json() {
        return screen.json(&issued);
    }
    screen.say(&format!(
        "{} for {}, usable once until {}:",
        issued.id,
        issued.subject,
        moment(&issued.expires_at, Reach::now())
    ));
    screen.line(&issued.token)
}

async fn list(paging: &Paging, reach: &Reach, screen: &mut Screen) -> anyhow::Result<()> {
    let page = reach.client()?.tokens(&paging.query()).await?;
    if screen.is_json() {
        return screen.json(&page);
    }
    let now = Reach::now();
    let rows = page.items.iter().map(|token| {
        let expires = moment(&token.expires_at, now);
        let state = if token.spent { "used" } else { "waits" }.to_owned();
        vec![token.id.clone(), state, token.subject.clone(), expires]
    });
    let rows: Vec<_> = rows.collect();
    screen.table(&["id", "state", "subject", "usable until"], &rows)?;
    tell_next(page.next.as_deref(), screen);
    Ok(())
}

//! `protem elevate`: hold a scope for some minutes.
//!
//! Promises: asks with the base SVID; keeps the elevated SVID in a folder of its own until the
//! elevation ends, then takes the key away. Failing here never disturbs the base SVID.
//! With `--socket` the agent of this machine is asked instead, and the SVID comes over its sockets.
//! Refuses: to write where the base SVID lies.

mod by_agent;
mod hold;

use std::path::PathBuf;

use clap::Args;

use crate::cli::agent::Socket;
use crate::cli::elevate::hold::hold;
use crate::cli::elevation::{decided, exit_of, show_one, waits_for};
use crate::cli::exit::{Exit, UsageError};
use crate::cli::keep::{Ask, Keeper};
use crate::cli::policy::show_outlook;
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment};
use crate::cli::svid::refuse_same;
use crate::client::{Client, Proof};
use crate::proto::agent::ElevateRequest;
use crate::time::{Seconds, Timestamp};
use crate::wire::elevation::{ElevationRequest, ElevationView, Instances};

#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Elevate {
    /// The scope, such as `db.read`
    scope: String,
    /// The folder to keep the elevated SVID in; another one than that of `--svid`
    #[arg(long, value_name = "DIR", required_unless_present_any = ["dry_run", "socket"])]
    out: Option<PathBuf>,
    /// For how long; the scope's longest when absent
    #[arg(long, value_name = "SPAN")]
    duration: Option<Seconds>,
    /// Why, in words for people
    #[arg(long)]
    reason: Option<String>,
    /// The ticket that asks for it
    #[arg(long)]
    ticket: Option<String>,
    /// The earliest start, such as `2026-01-31T12:00:00Z`
    #[arg(long, value_name = "TIME")]
    not_before: Option<Timestamp>,
    /// How many instances of the subject may use it: `one`, `all` or a number
    #[arg(long, value_name = "COUNT", value_parser = instances)]
    instances: Option<Instances>,
    /// The elevation that this one continues
    #[arg(long, value_name = "ID")]
    extends: Option<String>,
    /// Ask under the break-glass policies
    #[arg(long)]
    break_glass: bool,
    /// Go on with this elevation instead of opening one
    #[arg(long, value_name = "ID", conflicts_with_all = [
        "duration", "reason", "ticket", "not_before", "instances", "extends", "break_glass",
        "dry_run",
    ])]
    elevation: Option<String>,
    /// Wait while people decide, instead of ending with exit code 4
    #[arg(long)]
    wait: bool,
    /// Write one SVID and end, instead of keeping it until the elevation ends
    #[arg(long)]
    once: bool,
    /// Only tell what would be answered
    #[arg(long, conflicts_with_all = ["wait", "once"])]
    dry_run: bool,
    /// Ask through the agent of this machine, at this socket; the SVID comes over its sockets
    #[arg(long, value_name = "PATH", conflicts_with_all = [
        "out", "not_before", "instances", "extends", "elevation", "once", "dry_run",
    ])]
    socket: Option<String>,
    /// With `--socket`: the identity of the calling process to ask for, where it has several
    #[arg(long, value_name = "SPIFFE_ID", requires = "socket", conflicts_with_all = [
        "out", "dry_run",
    ])]
    subject: Option<String>,
}

impl Elevate {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        if let Some(socket) = &self.socket {
            if reach.svid().is_some() {
                let words = "`--socket` and `--svid` are two ways to ask: name one";
                return Err(UsageError(words.to_owned()).into());
            }
            let agent = Socket::named(socket).connect().await?;
            return by_agent::ask(&agent, self.local_request(), self.wait, screen).await;
        }
        let base = reach.svid_needed()?;
        let client = reach.client_as(Proof::Svid(base.to_owned()))?;
        if self.dry_run {
            let answer = client.suppose(&self.request()).await?;
            return show_outlook(&answer, screen);
        }
        let missing = || UsageError("name the folder to keep with `--out DIR`".to_owned());
        let out = self.out.clone().ok_or_else(missing)?;
        refuse_same(base, &out)?;

        let mut view = self.open(&client, screen).await?;
        if self.wait {
            view = decided(&client, view, None, screen).await?;
        }
        let exit = exit_of(&view);
        if exit != Exit::Done {
            return tell_not_held(&view, exit, screen);
        }
        let ask = Ask {
            scope: Some(view.scope.clone()),
            elevation: Some(view.id.clone()),
            ..Ask::default()
        };
        // A key of its own, so that taking it away takes the right away.
        let keeper = Keeper::new(client, &out, ask, None)?;
        if screen.is_json() {
            show_one(&view, screen)?;
        }
        hold(&keeper, view, self.once, screen).await
    }

    async fn open(&self, client: &Client, screen: &mut Screen) -> anyhow::Result<ElevationView> {
        if let Some(id) = &self.elevation {
            let view = client.elevation(id).await?;
            if view.scope != self.scope {
                let words = format!(
                    "{id} is for the scope `{}`, not `{}`",
                    view.scope, self.scope
                );
                return Err(UsageError(words).into());
            }
            return Ok(view);
        }
        let view = client.elevate(&self.request()).await?;
        screen.say(&format!(
            "{} {} for {}: {}",
            view.id, view.scope, view.duration, view.state
        ));
        Ok(view)
    }

    fn local_request(&self) -> ElevateRequest {
        ElevateRequest {
            scope: self.scope.clone(),
            reason: self.reason.clone().unwrap_or_default(),
            ticket: self.ticket.clone().unwrap_or_default(),
            duration_s: self.duration.map_or(0, Seconds::count),
            subject: self.subject.clone().unwrap_or_default(),
            break_glass: self.break_glass,
            this_process: false,
        }
    }

    fn request(&self) -> ElevationRequest {
        ElevationRequest {
            scope: self.scope.clone(),
            reason: self.reason.clone(),
            ticket: self.ticket.clone(),
            duration: self.duration.map(|duration| duration.to_string()),
            not_before: self.not_before.map(Timestamp::rfc3339),
            instances: self.instances.clone(),
            dry_run: self.dry_run,
            extends: self.extends.clone(),
            on_demand: false,
            break_glass: self.break_glass,
            subject: None,
            holder: None,
        }
    }
}

fn tell_not_held(view: &ElevationView, exit: Exit, screen: &mut Screen) -> anyhow::Result<Exit> {
    if screen.is_json() {
        show_one(view, screen)?;
        return Ok(exit);
    }
    if exit == Exit::Waiting {
        let by = view.decide_by.as_deref();
        let by = by.map(|by| format!(", decide by {}", moment(by, Reach::now())));
        screen.say(&format!(
            "waits for {}{}",
            waits_for(view),
            by.unwrap_or_default()
        ));
        screen.say(&format!(
            "then: protem elevate {} --elevation {} --svid DIR --out DIR",
            view.scope, view.id
        ));
    } else {
        show_one(view, screen)?;
    }
    Ok(exit)
}

fn instances(text: &str) -> Result<Instances, String> {
    match text {
        "one" | "all" => Ok(Instances::Word(text.to_owned())),
        _ => match text.parse() {
            Ok(count @ 1..) => Ok(Instances::Count(count)),
            Ok(0) | Err(_) => Err("write `one`, `all` or a number from 1".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_a_word_or_a_number() {
        assert_eq!(instances("all"), Ok(Instances::Word("all".to_owned())));
        assert_eq!(instances("3"), Ok(Instances::Count(3)));
        for wrong in ["", "0", "-1", "some"] {
            assert!(instances(wrong).is_err(), "{wrong}");
        }
    }
}

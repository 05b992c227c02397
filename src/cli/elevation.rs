//! `protem elevation`: see, await and end elevations.
//!
//! Promises: the exit code tells the state: 0 approved or active, 3 denied or revoked, 4 pending.
//! Refuses: to open one: that is `protem elevate`.

use clap::{Args, Subcommand};

use crate::cli::exit::Exit;
use crate::cli::paging::{Paging, tell_next};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment};
use crate::client::keep::Stop;
use crate::client::{Client, routes};
use crate::time::Seconds;
use crate::wire::elevation::{ElevationQuery, ElevationView, Instances};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Show elevations
    List(List),
    /// Show one
    Show {
        /// Its id, `el-...`
        id: String,
    },
    /// Wait until people have decided
    Wait {
        /// Its id, `el-...`
        id: String,
        /// How long at most
        #[arg(long, value_name = "SPAN", default_value = "1h")]
        timeout: Seconds,
    },
    /// Take back a request before its first SVID
    Cancel {
        /// Its id, `el-...`
        id: String,
    },
    /// End one; its own subject gives it back so
    Revoke {
        /// Its id, `el-...`
        id: String,
        /// Why, in words for people
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args)]
pub(crate) struct List {
    /// Of this subject
    #[arg(long, value_name = "SPIFFE_ID")]
    subject: Option<String>,
    /// For this scope
    #[arg(long)]
    scope: Option<String>,
    /// In this state, such as `pending`
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

impl Verb {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let client = reach.client()?;
        let view = match self {
            Self::List(list) => {
                list.run(&client, screen).await?;
                return Ok(Exit::Done);
            }
            Self::Show { id } => client.elevation(&id).await?,
            Self::Wait { id, timeout } => {
                let view = client.elevation(&id).await?;
                let view = decided(&client, view, Some(timeout), screen).await?;
                show_one(&view, screen)?;
                return Ok(exit_of(&view));
            }
            Self::Cancel { id } => client.cancel(&id).await?,
            Self::Revoke { id, reason } => client.revoke_one(&id, &reason).await?,
        };
        show_one(&view, screen)?;
        Ok(Exit::Done)
    }
}

impl List {
    async fn run(self, client: &Client, screen: &mut Screen) -> anyhow::Result<()> {
        let query = ElevationQuery {
            subject: self.subject,
            scope: self.scope,
            state: self.state,
            limit: Some(self.paging.limit),
            cursor: self.paging.cursor,
        };
        let page = client.elevations(&query).await?;
        if screen.is_json() {
            return screen.json(&page);
        }
        let now = Reach::now();
        let rows = page.items.iter().map(|one| {
            let end = one.ends_at.as_ref().or(one.decide_by.as_ref());
            let end = end.map(|end| moment(end, now)).unwrap_or_default();
            let used = one.last_used_at.as_ref();
            let used = used.map(|used| moment(used, now)).unwrap_or_default();
            vec![
                one.id.clone(),
                state(one),
                one.scope.clone(),
                one.subject.clone(),
                end,
                used,
            ]
        });
        let rows: Vec<_> = rows.collect();
        screen.table(&["id", "state", "scope", "subject", "until", "used"], &rows)?;
        tell_next(page.next.as_deref(), screen);
        Ok(())
    }
}

/// Waits while the elevation is pending, at most `longest`; until it lapses when that is absent.
pub(crate) async fn decided(
    client: &Client,
    mut view: ElevationView,
    longest: Option<Seconds>,
    screen: &mut Screen,
) -> anyhow::Result<ElevationView> {
    if view.state != PENDING {
        return Ok(view);
    }
    let mut stop = Stop::listen()?;
    let begin = Reach::now();
    screen.say(&format!("{} waits for {}", view.id, waits_for(&view)));
    loop {
        let now = Reach::now();
        let left = longest.map(|longest| begin.plus(longest).since(now));
        let wait = left.map_or(WAIT_LONGEST, |left| left.min(WAIT_LONGEST));
        if wait.count() == 0 {
            return Ok(view);
        }
        tokio::select! {
            () = stop.asked() => return Ok(view),
            answer = client.wait_elevation(&view.id, PENDING, wait) => match answer {
                Ok(answer) if answer.state != PENDING => return Ok(answer),
                // A server that answers at once instead of waiting is not asked without a break.
                Ok(answer) => {
                    view = answer;
                    tokio::time::sleep(REPEAT_AFTER.duration()).await;
                }
                Err(error) if error.is_final() => return Err(error.into()),
                Err(_) => tokio::time::sleep(RETRY_AFTER.duration()).await,
            },
        }
    }
}

/// What the state of an elevation amounts to.
pub(crate) fn exit_of(view: &ElevationView) -> Exit {
    exit_of_state(&view.state, view.ended.as_deref())
}

/// The same, from the state and how it ended.
pub(crate) fn exit_of_state(state: &str, ended: Option<&str>) -> Exit {
    match state {
        "approved" | "active" => Exit::Done,
        "denied" => Exit::Denied,
        PENDING => Exit::Waiting,
        _ => match ended {
            Some("revoked" | "signal_lost") => Exit::Denied,
            _ => Exit::Failed,
        },
    }
}

/// Shows one elevation.
pub(crate) fn show_one(view: &ElevationView, screen: &mut Screen) -> anyhow::Result<()> {
    if screen.is_json() {
        return screen.json(view);
    }
    let now = Reach::now();
    let at = |time: &Option<String>| {
        let time = time.as_deref();
        time.map(|time| moment(time, now)).unwrap_or_default()
    };
    let instances = match &view.instances {
        Instances::Count(count) => count.to_string(),
        Instances::Word(word) => word.clone(),
    };
    let verdict = &view.verdict;
    screen.record(&[
        ("id", view.id.clone()),
        ("state", view.state.clone()),
        ("ended", view.ended.clone().unwrap_or_default()),
        ("scope", view.scope.clone()),
        ("subject", view.subject.clone()),
        ("duration", view.duration.clone()),
        ("reason", view.reason.clone().unwrap_or_default()),
        ("ticket", view.ticket.clone().unwrap_or_default()),
        ("instances", instances),
        ("bound to", view.bound.join(", ")),
        ("requested", moment(&view.requested_at, now)),
        ("requested by", view.requested_by.clone()),
        ("waits for", waits_for(view)),
        ("decide by", at(&view.decide_by)),
        ("not before", at(&view.not_before)),
        ("activate by", at(&view.activate_by)),
        ("activated", at(&view.activated_at)),
        ("ends", at(&view.ends_at)),
        ("first used", at(&view.first_used_at)),
        ("last used", at(&view.last_used_at)),
        ("policy says", verdict.decision.clone()),
        ("because", verdict.reason.clone().unwrap_or_default()),
        ("decided by", verdict.policies.join(", ")),
        (
            "policy",
            format!("version {} {}", verdict.version, verdict.digest),
        ),
    ])
}

/// Whose approvals are missing, in words.
pub(crate) fn waits_for(view: &ElevationView) -> String {
    routes(&view.waits_for)
}

fn state(view: &ElevationView) -> String {
    match &view.ended {
        Some(how) => format!("{}: {how}", view.state),
        None => view.state.clone(),
    }
}

pub(crate) const PENDING: &str = "pending";
/// The server answers a wait after a minute at the latest.
const WAIT_LONGEST: Seconds = Seconds::new(50);
const REPEAT_AFTER: Seconds = Seconds::new(1);
const RETRY_AFTER: Seconds = Seconds::new(2);

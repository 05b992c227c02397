//! Holding an elevation: mint, keep, renew by asking again, and let go at its end.
//!
//! Promises: the key is gone from the folder as soon as the elevation is over, by its
//! time, by a revocation, or because this process is told to stop. A failed renewal is repeated
//! while the certificate held is good.
//! Refuses: to pretend that this ends the right at a proxy: Envoy keeps the last certificate that
//! it read until that has expired, and the servers enforce its notAfter.

use std::sync::Arc;

use crate::cli::elevation::exit_of;
use crate::cli::exit::{Exit, words};
use crate::cli::keep::{Keeper, Kept};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment_of, span, time_of_day};
use crate::client::Client;
use crate::client::keep::{Stop, pause_after, until};
use crate::time::{Clock, Seconds, Timestamp};
use crate::wire::elevation::ElevationView;

/// What came first.
enum Came {
    /// The time that was waited for.
    Due,
    /// The end of the elevation.
    Over(Box<ElevationView>),
    /// The wish to stop.
    Stopped,
}

/// Keeps the elevated SVID until the elevation is over.
pub(crate) async fn hold(
    keeper: &Keeper,
    view: ElevationView,
    once: bool,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let mut stop = Stop::listen()?;
    if let Some(start) = view
        .not_before
        .as_deref()
        .and_then(|text| text.parse().ok())
    {
        screen.say(&format!("starts at {}", moment_of(start, Reach::now())));
        tokio::select! {
            () = until(&*keeper.client.clock, start) => {}
            () = stop.asked() => return Ok(Exit::Waiting),
        }
    }
    let kept = keeper.mint().await?;
    let view = keeper.client.elevation(&view.id).await.unwrap_or(view);
    tell(&kept, &view, screen);
    if once {
        return Ok(Exit::Done);
    }
    let ended = keep_on(keeper, kept, &view, &mut stop, screen).await;
    keeper.folder.clear()?;
    let path = keeper.folder.path().display();
    screen.say(&format!(
        "removed the key from `{path}`; a proxy that has read it keeps it until the certificate \
         ends, where servers stop taking it"
    ));
    ended
}

async fn keep_on(
    keeper: &Keeper,
    mut kept: Kept,
    view: &ElevationView,
    stop: &mut Stop,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let clock = keeper.client.clock.clone();
    let ends: Option<Timestamp> = view.ends_at.as_deref().and_then(|text| text.parse().ok());
    let mut due = first_due(&kept, ends);
    let mut failures = 0_u32;
    loop {
        match wait(keeper, view, due, &kept, ends, stop, screen).await {
            Came::Due => {}
            Came::Over(view) => return Ok(tell_over(&view, &kept, screen)),
            Came::Stopped => {
                screen.say(&format!(
                    "stopped; the elevation itself goes on: `protem elevation revoke {} --reason \
                     done --svid DIR` gives it back",
                    view.id
                ));
                return Ok(Exit::Done);
            }
        }
        let now = clock.now();
        if kept.minted.not_after <= now {
            screen.say(&format!(
                "{}  the elevated SVID has ended",
                time_of_day(now)
            ));
            return Ok(if is_last(&kept, ends) {
                Exit::Done
            } else {
                Exit::Failed
            });
        }
        match keeper.mint().await {
            Ok(next) => {
                tell(&next, view, screen);
                kept = next;
                failures = 0;
                due = first_due(&kept, ends);
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                let chance = u16::from_be_bytes(keeper.client.entropy.bytes());
                let pause = pause_after(failures, chance);
                due = now.plus(pause).min(kept.minted.not_after);
                let time = time_of_day(now);
                let left = span(kept.minted.not_after.since(now));
                let words = words(&error);
                screen.say(&format!(
                    "{time}  not renewed: {words}; the SVID has {left} left"
                ));
            }
        }
    }
}

/// Waits for `due`, showing what is left, while listening for the end of the elevation.
async fn wait(
    keeper: &Keeper,
    view: &ElevationView,
    due: Timestamp,
    kept: &Kept,
    ends: Option<Timestamp>,
    stop: &mut Stop,
    screen: &mut Screen,
) -> Came {
    let clock: Arc<dyn Clock> = keeper.client.clock.clone();
    let mut over = std::pin::pin!(over(&keeper.client, &view.id));
    loop {
        let now = clock.now();
        if due <= now {
            return Came::Due;
        }
        let left = span(kept.minted.not_after.since(now));
        let until_end = ends.map(|ends| span(ends.since(now)));
        screen.tick(&format!(
            "{}  this SVID ends in {left}, the elevation in {}",
            view.scope,
            until_end.as_deref().unwrap_or("?")
        ));
        tokio::select! {
            () = until(&*clock, due.min(now.plus(TICK))) => {}
            view = &mut over => return Came::Over(Box::new(view)),
            () = stop.asked() => return Came::Stopped,
        }
    }
}

/// Returns as soon as the elevation is neither approved nor active any more.
async fn over(client: &Client, id: &str) -> ElevationView {
    let mut state = ACTIVE.to_owned();
    loop {
        match client.wait_elevation(id, &state, WAIT_LONGEST).await {
            Ok(view) if exit_of(&view) != Exit::Done => return view,
            Ok(view) if view.state != state => state = view.state,
            Ok(_) => tokio::time::sleep(REPEAT_AFTER.duration()).await,
            // The renewal will tell what is wrong; here it only delays the news of an end.
            Err(_) => tokio::time::sleep(RETRY_AFTER.duration()).await,
        }
    }
}

/// When to act next on a certificate: at its renewal, or at its end where it is the last.
fn first_due(kept: &Kept, ends: Option<Timestamp>) -> Timestamp {
    if is_last(kept, ends) {
        kept.minted.not_after
    } else {
        kept.renew
    }
}

/// Whether a renewal could not live longer: a certificate ends in the last whole second before the
/// elevation does.
fn is_last(kept: &Kept, ends: Option<Timestamp>) -> bool {
    ends.is_some_and(|ends| ends <= kept.minted.not_after.plus(LAST_WITHIN))
}

fn tell(kept: &Kept, view: &ElevationView, screen: &mut Screen) {
    let end = moment_of(kept.minted.not_after, kept.asked);
    let time = time_of_day(kept.asked);
    let name = &kept.minted.spiffe_id;
    let ends: Option<Timestamp> = view.ends_at.as_deref().and_then(|text| text.parse().ok());
    let next = if is_last(kept, ends) {
        "the last of this elevation".to_owned()
    } else {
        format!("next at {}", time_of_day(kept.renew))
    };
    screen.say(&format!("{time}  {name} until {end}, {next}"));
}

fn tell_over(view: &ElevationView, kept: &Kept, screen: &mut Screen) -> Exit {
    let how = view.ended.as_deref().unwrap_or(&view.state);
    let now = Reach::now();
    let end = moment_of(kept.minted.not_after, now);
    screen.say(&format!(
        "{}  the elevation is over: {how}; the last SVID ends at {end}",
        time_of_day(now)
    ));
    match how {
        "expired" | "withdrawn" | "cancelled" => Exit::Done,
        _ => exit_of(view),
    }
}

const ACTIVE: &str = "active";
const TICK: Seconds = Seconds::new(1);
/// A renewal that gains less is not worth asking for.
const LAST_WITHIN: Seconds = Seconds::new(5);
const WAIT_LONGEST: Seconds = Seconds::new(50);
/// A server that answers at once instead of waiting is not asked without a break.
const REPEAT_AFTER: Seconds = Seconds::new(1);
const RETRY_AFTER: Seconds = Seconds::new(5);

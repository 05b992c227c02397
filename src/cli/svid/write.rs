//! `protem svid write`: keep an SVID in a folder until told to stop.
//!
//! Promises: renews between 45 and 55 % of the life, pauses longer after each failure in a row,
//! says each renewal in one line. A restart goes on with the key and the SVID that lie in the
//! folder while that lives, so it needs no second join token and the instance stays the same. With
//! `--token-file` each renewal reads that file again.
//! Refuses: to leave the key of an elevated SVID behind when that has ended.

use std::path::PathBuf;

use clap::Args;

use crate::cli::exit::{Exit, UsageError, words};
use crate::cli::keep::{Ask, Keeper, Kept};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment_of, span, time_of_day};
use crate::cli::svid::{FirstProof, Wish};
use crate::client::keep::{Stop, pause_after, until};
use crate::client::{Client, ClientError, Proof, read_svid, svid_name};
use crate::time::Timestamp;
use crate::x509::PrivateKey;

#[derive(Args)]
pub(crate) struct Write {
    /// The folder to keep: svid.pem, svid.key, bundle.pem, and svid.yaml, bundle.yaml for Envoy
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    first: FirstProof,
    #[command(flatten)]
    wish: Wish,
    /// Write once instead of keeping it
    #[arg(long)]
    once: bool,
}

impl Write {
    pub(crate) async fn run(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Exit> {
        let mut stop = Stop::listen()?;
        let once = self.once;
        let mut keeper = self.keeper(reach, screen)?;
        let ended = keep(&mut keeper, once, &mut stop, screen).await;
        if keeper.ask.scope.is_some() && !once {
            keeper.folder.clear()?;
            let path = keeper.folder.path().display();
            screen.say(&format!("removed the key from `{path}`"));
        }
        ended
    }

    fn keeper(self, reach: &Reach, screen: &mut Screen) -> anyhow::Result<Keeper> {
        let ask = Ask {
            scope: self.wish.scope,
            elevation: self.wish.elevation,
            subject: self.wish.subject,
            ttl: self.wish.ttl,
        };
        let proof = self.first.proof()?;
        if ask.scope.is_some() {
            let base = reach.svid_needed()?;
            refuse_same(base, &self.out)?;
            let client = reach.client_as(Proof::Svid(base.to_owned()))?;
            return Keeper::new(client, &self.out, ask, None);
        }
        if let Some((key, spiffe_id)) = held_base(&self.out) {
            let (proof, unused) = match proof {
                Some(Proof::TokenFile(path)) => (Proof::TokenFile(path), ""),
                Some(_) => (
                    Proof::Svid(self.out.clone()),
                    "; the join token is not needed",
                ),
                None => (Proof::Svid(self.out.clone()), ""),
            };
            screen.say(&format!(
                "going on with {spiffe_id} in `{}`{unused}",
                self.out.display()
            ));
            let client = reach.client_as(proof)?;
            return Keeper::new(client, &self.out, ask, Some(key));
        }
        let client: Client = match proof {
            Some(proof) => reach.client_as(proof)?,
            None if ask.subject.is_some() || reach.svid().is_some() => reach.client()?,
            None => return Err(UsageError(NO_PROOF.to_owned()).into()),
        };
        Keeper::new(client, &self.out, ask, None)
    }
}

/// Refuses to keep an elevated SVID where the base SVID lies.
pub(crate) fn refuse_same(base: &std::path::Path, out: &std::path::Path) -> anyhow::Result<()> {
    let same = match (base.canonicalize(), out.canonicalize()) {
        (Ok(base), Ok(out)) => base == out,
        _ => base == out,
    };
    if same {
        let words = "`--out` must be another folder than `--svid`: an elevated SVID never takes \
                     the place of the base SVID";
        return Err(UsageError(words.to_owned()).into());
    }
    Ok(())
}

async fn keep(
    keeper: &mut Keeper,
    once: bool,
    stop: &mut Stop,
    screen: &mut Screen,
) -> anyhow::Result<Exit> {
    let clock = keeper.client.clock.clone();
    let mut held: Option<Kept> = None;
    let mut failures = 0_u32;
    loop {
        let outcome = tokio::select! {
            outcome = keeper.mint() => outcome,
            () = stop.asked() => return Ok(stopped(held.as_ref(), screen)),
        };
        let next = match outcome {
            Ok(kept) => {
                tell(&kept, held.is_none(), keeper, screen);
                if once {
                    return Ok(Exit::Done);
                }
                // A token file is kept up by whoever writes it, and may be what renews.
                let by_token = matches!(keeper.client.proof, Proof::TokenFile(_));
                if keeper.ask.scope.is_none() && !by_token {
                    keeper.client.proof = Proof::Svid(keeper.folder.path().to_owned());
                    keeper.ask.subject = None;
                }
                failures = 0;
                let next = kept.renew;
                held = Some(kept);
                next
            }
            Err(error) => {
                let now = clock.now();
                let live = held.as_ref().map(|kept| kept.minted.not_after);
                let live = live.filter(|end| now <= *end);
                if once || is_over(&error, live.is_some()) {
                    return Err(error);
                }
                failures = failures.saturating_add(1);
                let chance = u16::from_be_bytes(keeper.client.entropy.bytes());
                let pause = pause_after(failures, chance);
                tell_failure(&error, live, span(pause).as_str(), now, screen);
                now.plus(pause)
            }
        };
        tokio::select! {
            () = until(&*clock, next) => {}
            () = stop.asked() => return Ok(stopped(held.as_ref(), screen)),
        }
    }
}

/// Whether to give up: nothing is held, and asking again would give the same.
fn is_over(error: &anyhow::Error, live: bool) -> bool {
    let call = error.downcast_ref::<ClientError>();
    !live && call.is_none_or(ClientError::is_final)
}

fn tell(kept: &Kept, first: bool, keeper: &Keeper, screen: &mut Screen) {
    let now = kept.asked;
    screen.say(&format!(
        "{}  {} until {}, next at {}",
        time_of_day(now),
        kept.minted.spiffe_id,
        moment_of(kept.minted.not_after, now),
        time_of_day(kept.renew)
    ));
    if first && keeper.ask.scope.is_none() {
        screen.say(&format!(
            "instance {} (this key, as long as it is kept): elevations bind to it",
            keeper.instance()
        ));
    }
}

fn tell_failure(
    error: &anyhow::Error,
    live: Option<Timestamp>,
    pause: &str,
    now: Timestamp,
    screen: &mut Screen,
) {
    let held = match live {
        Some(end) => format!("the SVID held lasts until {}", moment_of(end, now)),
        None => "no SVID is held".to_owned(),
    };
    let time = time_of_day(now);
    screen.say(&format!(
        "{time}  {}; {held}; asking again in {pause}",
        words(error)
    ));
}

fn stopped(held: Option<&Kept>, screen: &mut Screen) -> Exit {
    if let Some(kept) = held {
        let end = moment_of(kept.minted.not_after, Reach::now());
        screen.say(&format!(
            "stopped; the SVID in the folder lasts until {end}"
        ));
    }
    Exit::Done
}

/// The key and the name of the live base SVID in a folder, where there is one.
fn held_base(folder: &std::path::Path) -> Option<(PrivateKey, String)> {
    let held = read_svid(folder, Reach::now()).ok()?;
    let (spiffe_id, name) = svid_name(&held.leaf).ok()?;
    name.scope().is_none().then_some((held.key, spiffe_id))
}

const NO_PROOF: &str = "nothing proves who asks: add `--join-token TOKEN` (made by \
                        `protem token create SPIFFE_ID`), `--token-file FILE`, `--svid DIR`, or, \
                        as operator, `--subject SPIFFE_ID`";

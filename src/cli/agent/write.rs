//! `protem agent write`: an SVID in a folder, for workloads that do not speak the Workload API.
//!
//! Promises: the files are replaced whole and only when they change; the key is readable by its
//! owner alone, and goes as soon as the SVID is taken back, or an elevated one ends while nothing
//! is heard of the agent. The command of `--on-change` runs without a shell, after the files are in
//! place, one at a time and not longer than [`COMMAND_LONGEST`].
//! Refuses: an SVID that has ended, and to leave the key of an elevated SVID behind at its own end:
//! so `fetch --write`, which does not stay, writes none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use tokio::process::Command;
use tokio::time::timeout;

use crate::cli::agent::socket::Socket;
use crate::cli::agent::watch::{Follower, News};
use crate::cli::exit::{Exit, UsageError};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, moment_of, time_of_day};
use crate::client::keep::{Contents, KeptFolder, until};
use crate::client::{Fetched, FetchedSvid, svid_name};
use crate::identity::TrustDomain;
use crate::time::{Clock, Seconds, SystemClock, Timestamp};

#[derive(Args)]
pub(crate) struct Write {
    /// The folder to keep: svid.pem, svid.key, bundle.pem, bundle.DOMAIN.pem of federated trust
    /// domains, and svid.yaml, bundle.yaml for Envoy
    #[arg(value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    socket: Socket,
    #[command(flatten)]
    choice: Choice,
    /// Run this after each change, such as `systemctl reload nginx`: split at spaces, no shell
    #[arg(long, value_name = "COMMAND")]
    on_change: Option<String>,
}

/// Which SVID is written.
#[derive(Args)]
pub(crate) struct Choice {
    /// The SVID with this hint, such as `scope/db.read`, instead of the default one
    #[arg(long, value_name = "HINT")]
    hint: Option<String>,
}

impl Choice {
    /// The hint, where it is not the default one.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The chosen one.
    pub(crate) fn svid_of<'f>(&self, fetched: &'f Fetched) -> Result<&'f FetchedSvid, UsageError> {
        let hint = self.hint();
        fetched.pick(hint).ok_or_else(|| {
            let hints = fetched.svids.iter().map(|svid| svid.hint.as_str());
            let hints: Vec<_> = hints.filter(|hint| !hint.is_empty()).collect();
            UsageError(format!(
                "no SVID has the hint `{}`; there is: {}",
                hint.unwrap_or_default(),
                if hints.is_empty() {
                    "none".to_owned()
                } else {
                    hints.join(", ")
                }
            ))
        })
    }

    /// Of a hint.
    #[cfg(test)]
    pub(crate) fn of(hint: &str) -> Self {
        let hint = Some(hint.to_owned());
        Self { hint }
    }
}

impl Write {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let command = match &self.on_change {
            None => None,
            Some(text) => Some(words_of(text)?),
        };
        let mut follower = Follower::new(self.socket.endpoint()?)?;
        let mut keeping = Keeping::open(&self.out, self.choice)?;
        let ended = loop {
            let news = tokio::select! {
                news = follower.next(screen) => Some(news),
                () = keeping.over(&SystemClock) => None,
            };
            let changed = match news {
                None => keeping.clear(OVER, screen)?,
                Some(Ok(Some(News::Held(fetched)))) => {
                    keeping.put(&fetched, Reach::now(), screen)?
                }
                Some(Ok(Some(News::Lost))) => keeping.clear(TAKEN_BACK, screen)?,
                Some(Ok(None)) => break Ok(Exit::Done),
                Some(Err(error)) => break Err(error),
            };
            if let Some(command) = command.as_deref().filter(|_| changed) {
                run(command, screen).await;
            }
        };
        keeping.leave(screen)?;
        ended
    }
}

/// One folder and what lies in it.
pub(crate) struct Keeping {
    folder: KeptFolder,
    choice: Choice,
    held: Option<Held>,
    /// Whether the key was taken away since the last SVID.
    cleared: bool,
}

struct Held {
    chain: String,
    bundle: String,
    federated: BTreeMap<TrustDomain, String>,
    /// The last second of an elevated SVID; none for a base one.
    elevated_until: Option<Timestamp>,
}

impl Keeping {
    /// Takes the folder.
    pub(crate) fn open(folder: &Path, choice: Choice) -> anyhow::Result<Self> {
        Ok(Self {
            folder: KeptFolder::open(folder)?,
            choice,
            held: None,
            cleared: false,
        })
    }

    /// Writes the chosen SVID of `fetched`, for callers that need it there.
    pub(crate) fn put_needed(&mut self, fetched: &Fetched, now: Timestamp) -> anyhow::Result<()> {
        let svid = self.choice.svid_of(fetched)?;
        if is_elevated(svid) {
            let words = "nobody would take an elevated SVID away at its end: `protem agent write \
                         DIR --hint HINT` stays and does";
            return Err(UsageError(words.to_owned()).into());
        }
        if !is_good(svid, now) {
            anyhow::bail!("the SVID that came is not valid now: compare the clocks");
        }
        self.write(svid, fetched)?;
        Ok(())
    }

    /// Writes the chosen SVID where it changed; takes the key away where it is gone.
    pub(crate) fn put(
        &mut self,
        fetched: &Fetched,
        now: Timestamp,
        screen: &mut Screen,
    ) -> anyhow::Result<bool> {
        let svid = fetched.pick(self.choice.hint());
        let Some(svid) = svid.filter(|svid| is_good(svid, now)) else {
            return self.clear(TAKEN_BACK, screen);
        };
        if !self.write(svid, fetched)? {
            return Ok(false);
        }
        let until = moment_of(svid.leaf.tbs().not_after, now);
        let time = time_of_day(now);
        screen.say(&format!("{time}  {} until {until}", svid.spiffe_id));
        Ok(true)
    }

    fn write(&mut self, svid: &FetchedSvid, fetched: &Fetched) -> anyhow::Result<bool> {
        let same = self.held.as_ref().is_some_and(|held| {
            held.chain == svid.chain
                && held.bundle == svid.bundle
                && held.federated == fetched.federated
        });
        if same {
            return Ok(false);
        }
        self.folder.write(&Contents {
            chain: &svid.chain,
            key: &svid.key.to_pkcs8_pem()?,
            bundle: &svid.bundle,
            federated: Some(&fetched.federated),
        })?;
        self.cleared = false;
        self.held = Some(Held {
            chain: svid.chain.clone(),
            bundle: svid.bundle.clone(),
            federated: fetched.federated.clone(),
            elevated_until: is_elevated(svid).then_some(svid.leaf.tbs().not_after),
        });
        Ok(true)
    }

    /// Returns when an elevated SVID that lies there has ended; its key is then to be taken away.
    pub(crate) async fn over(&self, clock: &dyn Clock) {
        match self.held.as_ref().and_then(|held| held.elevated_until) {
            // A certificate is valid through its last second.
            Some(last) => until(clock, last.plus(Seconds::new(1))).await,
            None => std::future::pending().await,
        }
    }

    /// Takes the key away, once, and says why.
    pub(crate) fn clear(&mut self, why: &str, screen: &mut Screen) -> anyhow::Result<bool> {
        self.held = None;
        if self.cleared {
            return Ok(false);
        }
        self.folder.clear()?;
        self.cleared = true;
        let path = self.folder.path().display();
        screen.say(&format!(
            "{}  {why}: no key in `{path}`",
            time_of_day(Reach::now())
        ));
        Ok(true)
    }

    /// The end of this process: an elevated SVID has nobody any more who would take it away.
    fn leave(&mut self, screen: &mut Screen) -> anyhow::Result<()> {
        if self
            .held
            .as_ref()
            .is_some_and(|held| held.elevated_until.is_some())
        {
            self.folder.clear()?;
            let path = self.folder.path().display();
            screen.say(&format!("removed the key from `{path}`"));
        }
        Ok(())
    }
}

fn is_elevated(svid: &FetchedSvid) -> bool {
    svid_name(&svid.leaf).is_ok_and(|(_, name)| name.scope().is_some())
}

fn is_good(svid: &FetchedSvid, now: Timestamp) -> bool {
    let tbs = svid.leaf.tbs();
    tbs.not_before <= now && now.whole_second() <= tbs.not_after
}

/// Runs a command to its end; that it fails is told and changes nothing.
pub(crate) async fn run(command: &[String], screen: &mut Screen) {
    let Some((program, arguments)) = command.split_first() else {
        return;
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ran = timeout(COMMAND_LONGEST, command.status()).await;
    let words = match ran {
        Ok(Ok(status)) if status.success() => return,
        Ok(Ok(status)) => format!("`{program}` failed: {status}"),
        Ok(Err(error)) => format!("`{program}` did not start: {error}"),
        Err(_) => format!(
            "`{program}` took longer than {} s and was stopped",
            COMMAND_LONGEST.as_secs()
        ),
    };
    screen.say(&format!("{}  {words}", time_of_day(Reach::now())));
}

pub(crate) fn words_of(text: &str) -> anyhow::Result<Vec<String>> {
    let words: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
    if words.is_empty() {
        return Err(UsageError("`--on-change` names no command".to_owned()).into());
    }
    Ok(words)
}

/// Why a key goes.
pub(crate) const TAKEN_BACK: &str = "the agent gives no such SVID";
pub(crate) const OVER: &str = "the elevated SVID has ended";
const COMMAND_LONGEST: Duration = Duration::from_mins(1);

//! The stream from the server: what it tells, brought to the keeper.
//!
//! Promises: after every connection everything is told anew, and counts only once it is whole, so
//! that no change is missed however often the stream breaks; it is made anew after pauses that grow
//! and that chance spreads; a server that says nothing for [`SILENCE_MAX`] is taken for gone. How
//! far the clocks are apart is measured with every message. Refuses: to take anything away because
//! the server is away.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::agent::deny_list::{Denied, DenyList, Gathered};
use crate::agent::holdings::Generation;
use crate::agent::home::Home;
use crate::agent::identity::Own;
use crate::agent::keeper::{Ending, Keeper};
use crate::agent::news::{Image, News};
use crate::agent::trouble::Troubles;
use crate::client::{Client, ClientError};
use crate::identity::TrustDomain;
use crate::proto::agent::Change;
use crate::proto::agent::change::What;
use crate::x509::write_pem;

/// How the stream fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fare {
    /// Whether it stands, and everything was told.
    pub(crate) connected: bool,
    /// How far the server's clock is ahead of ours, milliseconds.
    pub(crate) skew_ms: i64,
}

/// The stream from the server.
pub(crate) struct Link {
    /// Calls with the agent's SVID.
    pub(crate) client: Arc<Client>,
    /// Where the newest roots are kept.
    pub(crate) home: Arc<Home>,
    /// Who is told.
    pub(crate) keeper: Keeper,
    /// The agent's trust domain.
    pub(crate) trust_domain: TrustDomain,
    /// Whether denied certificates are wanted.
    pub(crate) deny_list: bool,
    /// Below every generation that this start of the agent gives.
    pub(crate) first: Generation,
    /// Told when the stream comes and goes.
    pub(crate) fare: watch::Sender<Fare>,
    /// Told why it went.
    pub(crate) troubles: Troubles,
    /// Told of denied certificates.
    pub(crate) denied: watch::Sender<Arc<DenyList>>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// It could not be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The agent is ending.
    #[error(transparent)]
    Ending(#[from] Ending),
    /// More than an agent takes in.
    #[error("the server tells more than an agent takes in")]
    Much,
    /// The server ended it.
    #[error("the server ended the stream")]
    Over,
    /// Nothing came for too long.
    #[error("the server said nothing for {} s", SILENCE_MAX.as_secs())]
    Silent,
}

/// There is nothing to call with.
#[derive(Debug, thiserror::Error)]
#[error("the agent has no SVID of its own")]
struct NoSvid;

impl Link {
    /// Follows the server until the stop. `own` says when there is an SVID to call with, and when
    /// it is a new one.
    pub(crate) async fn follow(
        self,
        mut own: watch::Receiver<Option<Own>>,
        stop: CancellationToken,
    ) {
        let mut failures = 0_u32;
        loop {
            let begun = tokio::select! {
                begun = own.wait_for(Option::is_some) => begun.is_ok(),
                () = stop.cancelled() => false,
            };
            if !begun {
                return;
            }
            own.mark_unchanged();
            let mut was_whole = false;
            let mut gathered = Gathered::default();
            let ended = tokio::select! {
                ended = self.stream(&mut was_whole, &mut gathered) => Some(ended),
                // With a new SVID comes a new stream: the old one would end with the old SVID.
                _ = own.changed() => None,
                () = stop.cancelled() => return,
            };
            self.deny(gathered.take());
            self.fare.send_modify(|fare| fare.connected = false);
            failures = if was_whole {
                0
            } else {
                failures.saturating_add(1)
            };
            let Some(Err(error)) = ended else {
                continue;
            };
            if is_expelled(&error) {
                // Nothing names this agent any more: what it held for others goes, keys included.
                let nothing = News::Everything(Box::default());
                if self.keeper.news(nothing).await.is_err() {
                    return;
                }
            }
            if matches!(error, Broken::Ending(_)) {
                return;
            }
            if matches!(error, Broken::Client(ClientError::Svid(_))) {
                // Why there is no new one, who keeps it says.
                self.troubles.server(Some(&NoSvid));
                tracing::warn!("the agent has no SVID to call its server with");
            } else {
                self.troubles.server(Some(&error));
                tell(&error);
            }
            let pause = pause(failures, u16::from_be_bytes(self.client.entropy.bytes()));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn stream(&self, was_whole: &mut bool, gathered: &mut Gathered) -> Result<(), Broken> {
        let mut stream = self.client.watch(self.deny_list).await?;
        let mut image = Some(Image::default());
        loop {
            // Also where message comes upon message.
            if gathered.is_due(self.running_ms()) {
                self.deny(gathered.take());
            }
            let due = gathered.due_in(self.running_ms());
            let next = match timeout(due.unwrap_or(SILENCE_MAX), stream.message()).await {
                Ok(next) => next,
                Err(_) if due.is_none() => return Err(Broken::Silent),
                Err(_) => {
                    self.deny(gathered.take());
                    continue;
                }
            };
            let change = match next {
                Ok(Some(change)) => change,
                Ok(None) => return Err(Broken::Over),
                Err(status) => return Err(self.client.of_status(&status).into()),
            };
            self.compare_clocks(&change);
            if let Some(What::Ready(_)) = change.what {
                if let Some(image) = image.take() {
                    // A denial never ends before its time, whatever a server that has just
                    // started does not know yet.
                    self.deny(image.denied.iter());
                    self.note_roots(image.roots.get(&self.trust_domain));
                    let news = News::Everything(Box::new(image));
                    self.keeper.news(news).await?;
                    *was_whole = true;
                    self.fare.send_modify(|fare| fare.connected = true);
                    self.troubles.server(None);
                    tracing::info!("the server told everything");
                }
                continue;
            }
            let undone = News::undone(&change);
            let news = match News::read(change, &self.trust_domain) {
                Ok(Some(news)) => news,
                Ok(None) => continue,
                Err(error) => {
                    tracing::error!(%error, "a message of the server is not understood");
                    match undone {
                        Some(undone) => undone,
                        None => continue,
                    }
                }
            };
            match &mut image {
                Some(image) => image.take(news).map_err(|_| Broken::Much)?,
                None => self.tell(news, gathered).await?,
            }
        }
    }

    async fn tell(&self, news: News, gathered: &mut Gathered) -> Result<(), Ending> {
        match news {
            News::Denied(digest, denied) => {
                gathered.push(digest, denied, self.running_ms());
                Ok(())
            }
            News::Bundle(of, roots) => {
                if of == self.trust_domain {
                    self.note_roots(Some(&roots));
                }
                self.keeper.news(News::Bundle(of, roots)).await
            }
            news @ (News::Elevation(_)
            | News::Entry(_)
            | News::EntryRemoved(_)
            | News::Everything(_)) => self.keeper.news(news).await,
        }
    }

    /// Takes denials in, and forgets those that have ended.
    fn deny(&self, new: impl IntoIterator<Item = ([u8; 32], Denied)>) {
        let now = self.client.clock.now();
        self.denied.send_if_modified(|list| {
            let mut digests = list.digests.clone();
            digests.add(new);
            digests.forget(now);
            let is_told = list.generation != Generation::default() && digests == list.digests;
            if !is_told {
                let before = list.generation.max(self.first);
                let generation = Generation(before.0.saturating_add(1));
                if digests.is_beyond_filters() && !list.digests.is_beyond_filters() {
                    let denied = digests.len();
                    tracing::error!(
                        denied,
                        "more certificates are denied than a filter has room for"
                    );
                }
                *list = Arc::new(DenyList::new(generation, digests));
            }
            !is_told
        });
    }

    fn running_ms(&self) -> i64 {
        self.client.clock.read().boot_ms
    }

    /// Keeps the newest roots for the next connection and the next start.
    fn note_roots(&self, roots: Option<&Vec<bytes::Bytes>>) {
        let Some(roots) = roots.filter(|roots| !roots.is_empty()) else {
            return;
        };
        let blocks = roots.iter().map(|der| write_pem("CERTIFICATE", der));
        if let Err(error) = self.home.put_bundle(&blocks.collect::<String>()) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "the newest roots could not be kept");
        }
    }

    fn compare_clocks(&self, change: &Change) {
        let now_ms = self.client.clock.now().unix_ms();
        let skew_ms = change.now_ms.saturating_sub(now_ms);
        let before = self.fare.borrow().skew_ms;
        self.fare.send_if_modified(|fare| {
            let differs = fare.skew_ms != skew_ms;
            fare.skew_ms = skew_ms;
            differs
        });
        let is_far = |skew: i64| SKEW_TOLD_MS <= skew.saturating_abs();
        if is_far(skew_ms) && !is_far(before) {
            tracing::warn!(skew_ms, "this host's clock and the server's differ");
        }
    }
}

/// Whether the server says that this agent is none.
fn is_expelled(error: &Broken) -> bool {
    match error {
        Broken::Client(ClientError::Problem(view)) => view.code == UNREGISTERED,
        Broken::Client(_) | Broken::Ending(_) | Broken::Much | Broken::Over | Broken::Silent => {
            false
        }
    }
}

fn tell(error: &Broken) {
    let error: &dyn std::error::Error = error;
    tracing::warn!(error, "the stream from the server ended; it is made anew");
}

/// Half to all of a span that doubles with each failure in a row.
fn pause(failures: u32, chance: u16) -> Duration {
    let span = PAUSE_FIRST
        .saturating_mul(1 << failures.min(16))
        .min(PAUSE_LONGEST);
    let half = span / 2;
    half.saturating_add(half.saturating_mul(u32::from(chance)) / u32::from(u16::MAX))
}

/// The server's word to an agent that nothing names any more, and to nobody else.
const UNREGISTERED: &str = "unregistered";
/// The server beats every ten seconds.
const SILENCE_MAX: Duration = Duration::from_secs(30);
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LONGEST: Duration = Duration::from_secs(20);
/// From here on a difference of the clocks is told.
const SKEW_TOLD_MS: i64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound() {
        for failures in 0..40 {
            let (least, most) = (pause(failures, 0), pause(failures, u16::MAX));
            assert!(least <= most && most <= PAUSE_LONGEST);
            assert!(most <= pause(failures + 1, u16::MAX));
        }
        assert_eq!(pause(40, u16::MAX), PAUSE_LONGEST);
    }
}

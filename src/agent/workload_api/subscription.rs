//! One stream: what is sent to it, and when.
//!
//! Promises: the first handout goes out as soon as there is one; afterwards one goes out only when it
//! is news. Nothing waits in line: a client that does not read is given the newest when he reads
//! again. Who is to be given a subject or scope that he was not given before is attested first, and
//! loses the stream where he cannot be; what he shows then decides what he is given. Where the
//! default SVID is missing, its coming is waited for, at most [`SETTLE_LONGEST`].
//! Refuses: to go on after the last identity is lost; the end of the stream says so.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::time::{Sleep, sleep};

use crate::agent::holdings::Wants;
use crate::agent::keeper::{Following, Keeper};
use crate::agent::local_caller::LocalCaller;
use crate::agent::refusal::Refusal;
use crate::agent::seats::Seat;
use crate::agent::workload_api::handout::{Handout, Kind, Told};
use crate::identity::Selector;
use crate::time::Clock;

/// One stream of one caller.
pub(crate) struct Subscription {
    kind: Kind,
    caller: LocalCaller,
    keeper: Keeper,
    clock: Arc<dyn Clock>,
    selectors: Arc<BTreeSet<Selector>>,
    following: Following,
    /// What was sent last.
    told: Option<Told>,
    /// Whether the caller was attested since this stream last waited.
    attested: bool,
    /// Runs while there is nothing to send although there should be.
    settling: Option<Pin<Box<Sleep>>>,
    _seat: Seat,
}

impl Subscription {
    /// Attests the caller and begins to follow what he may hold.
    ///
    /// # Errors
    /// [`Refusal::NotAttested`] and [`Refusal::Ending`].
    pub(crate) async fn open(
        kind: Kind,
        caller: LocalCaller,
        keeper: Keeper,
        clock: Arc<dyn Clock>,
        seat: Seat,
    ) -> Result<Self, Refusal> {
        let selectors = caller.attest().await?;
        let following = follow(&keeper, &caller, selectors.clone(), kind).await?;
        Ok(Self {
            kind,
            caller,
            keeper,
            clock,
            selectors,
            following,
            told: None,
            attested: true,
            settling: None,
            _seat: seat,
        })
    }

    /// Everything that is sent, to the refusal that ends it.
    pub(crate) fn handouts(self) -> impl Stream<Item = Result<Handout, Refusal>> + Send {
        stream::try_unfold(self, |mut this| async move {
            let handout = this.next().await?;
            Ok(Some((handout, this)))
        })
    }

    /// The next thing to send.
    async fn next(&mut self) -> Result<Handout, Refusal> {
        loop {
            let holdings = self.following.now();
            match Handout::of(&holdings, self.clock.now(), self.kind) {
                Ok(handout) => {
                    self.settling = None;
                    let told = handout.told();
                    let before = self.told.as_ref();
                    if !before.is_some_and(|before| told.says_the_same(before)) {
                        if !told.raises(before) || self.attested {
                            self.told = Some(told);
                            self.attested = false;
                            return Ok(handout);
                        }
                        self.attest().await?;
                        // What he shows now may be less, and what there is may be newer.
                        continue;
                    }
                }
                Err(passing @ (Refusal::Minting | Refusal::NotTold)) => {
                    self.settle(passing).await?;
                    self.attested = false;
                    continue;
                }
                Err(refusal) => return Err(refusal),
            }
            drop(holdings);
            self.following
                .changed()
                .await
                .map_err(|_| Refusal::Ending)?;
            self.attested = false;
        }
    }

    /// Waits for other holdings, but not longer than this stream may be without.
    async fn settle(&mut self, passing: Refusal) -> Result<(), Refusal> {
        let settling = self
            .settling
            .get_or_insert_with(|| Box::pin(sleep(SETTLE_LONGEST)));
        tokio::select! {
            changed = self.following.changed() => changed.map_err(|_| Refusal::Ending),
            () = settling => Err(passing),
        }
    }

    async fn attest(&mut self) -> Result<(), Refusal> {
        let selectors = self.caller.attest().await?;
        if self.selectors != selectors {
            // Followed anew, and not told of the keeper: what it answers first fits these selectors.
            self.following =
                follow(&self.keeper, &self.caller, selectors.clone(), self.kind).await?;
            self.selectors = selectors;
        }
        self.attested = true;
        Ok(())
    }
}

async fn follow(
    keeper: &Keeper,
    caller: &LocalCaller,
    selectors: Arc<BTreeSet<Selector>>,
    kind: Kind,
) -> Result<Following, Refusal> {
    let following = keeper.follow(selectors, caller.holder()).await;
    let following = following.map_err(|_| Refusal::Ending)?;
    match kind {
        Kind::Bundles => {}
        Kind::Svids => {
            let wanted = following.want(Wants::Everything).await;
            wanted.map_err(|_| Refusal::Ending)?;
        }
    }
    Ok(following)
}

/// Longer than an SVID takes to be minted by a server that is well, shorter than clients' patience.
const SETTLE_LONGEST: Duration = Duration::from_secs(5);

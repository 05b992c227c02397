//! One stream: what is sent to it, and when.
//!
//! Promises: the first handout goes out as soon as there is one; afterwards one goes out only when
//! it is news. Nothing waits in line: a client that does not read is given the newest when he reads
//! again. Who is to be given an SVID is attested first (within a second where he was given that
//! subject and scope before), and loses the stream where he cannot be; what he shows then decides
//! what he is given. Where the
//! default SVID is missing, its coming is waited for, at most [`SETTLE_LONGEST`].
//! Refuses: to go on after the last identity is lost; the end of the stream says so.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use tokio::time::{Sleep, sleep};

use crate::agent::caller::Look;
use crate::agent::holdings::Wants;
use crate::agent::keeper::{Following, Keeper};
use crate::agent::local_caller::LocalCaller;
use crate::agent::refusal::{Refusal, Shows};
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
        let sight = keeper.sight();
        let selectors = caller.attest().await?;
        let mut following = follow(&keeper, &caller, selectors.clone(), kind).await?;
        following.attested_by(sight);
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
            if self.following.is_outdated() {
                self.attest(Look::Anew).await?;
            }
            let holdings = self.following.now();
            match Handout::of(&holdings, self.clock.now(), self.kind) {
                Ok(handout) => {
                    self.settling = None;
                    let told = handout.told();
                    let before = self.told.as_ref();
                    if !before.is_some_and(|before| told.says_the_same(before)) {
                        let look = match self.kind {
                            _ if told.raises(before) => Some(Look::Anew),
                            Kind::Bundles => None,
                            Kind::Svids => Some(Look::Lately),
                        };
                        let Some(look) = look.filter(|_| !self.attested) else {
                            self.told = Some(told);
                            self.attested = false;
                            return Ok(handout);
                        };
                        self.attest(look).await?;
                        // What he shows now may be less, and what there is may be newer.
                        continue;
                    }
                }
                Err(passing @ (Refusal::Minting | Refusal::NotTold)) => {
                    self.settle(passing).await?;
                    self.attested = false;
                    continue;
                }
                Err(Refusal::NoIdentity(_)) => {
                    return Err(Refusal::NoIdentity(Shows::of(&self.selectors)));
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

    async fn attest(&mut self, look: Look) -> Result<(), Refusal> {
        let sight = self.keeper.sight();
        let selectors = match look {
            Look::Anew => self.caller.attest().await?,
            Look::Lately => self.caller.attest_lately().await?,
        };
        if self.selectors != selectors {
            // Followed anew: what the keeper answers first fits these selectors.
            self.following =
                follow(&self.keeper, &self.caller, selectors.clone(), self.kind).await?;
            self.selectors = selectors;
        }
        // What was seen lately may have been seen by other needs.
        if look == Look::Anew {
            self.following.attested_by(sight);
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

#[cfg(test)]
mod tests {
    use futures_util::stream::BoxStream;
    use futures_util::{FutureExt as _, StreamExt as _};

    use super::*;
    use crate::agent::seats::{Seats, SeatsMax};
    use crate::agent::stand::{Seen, Stand, identity};

    const A: &str = "spiffe://td/a";

    type Messages = BoxStream<'static, Result<Handout, Refusal>>;

    async fn open(stand: &Stand, kind: Kind) -> Messages {
        let seats = Seats::new(SeatsMax::of(40, 9));
        let seat = seats.take(&stand.caller()).unwrap();
        let (keeper, clock) = (stand.keeper.clone(), stand.clock.clone());
        let subscription = Subscription::open(kind, stand.caller(), keeper, clock, seat).await;
        subscription.unwrap().handouts().boxed()
    }

    async fn ids(messages: &mut Messages) -> Vec<String> {
        let handout = messages.next().await.unwrap().unwrap();
        let svids = handout.svids().svids.into_iter();
        svids.map(|svid| svid.spiffe_id).collect()
    }

    async fn end(messages: &mut Messages) -> String {
        let refusal = messages.next().await.unwrap().err().unwrap();
        assert!(messages.next().await.is_none());
        format!("{refusal:?}")
    }

    fn one(stand: &Stand, generation: u64) {
        let svid = stand.base(A, generation);
        stand.tell(|holdings| {
            holdings.told = true;
            holdings.identities = vec![identity(A, None, Some(svid))];
        });
    }

    #[tokio::test]
    async fn what_is_held_goes_out_at_once_and_what_is_not_news_does_not() {
        let stand = Stand::new();
        one(&stand, 1);
        let mut messages = open(&stand, Kind::Svids).await;
        let first = messages.next().now_or_never();
        assert!(first.is_some(), "without any delay");
        assert_eq!(*stand.caller.asked.lock().unwrap(), 1);
        stand.tell(|holdings| holdings.asks.clear());
        assert!(messages.next().now_or_never().is_none());
        one(&stand, 2);
        assert_eq!(ids(&mut messages).await, [A]);
        let asked = *stand.caller.asked.lock().unwrap();
        assert_eq!(asked, 2, "looked at again before a renewal");
    }

    #[tokio::test]
    async fn who_did_not_read_is_given_the_newest_alone() {
        let stand = Stand::new();
        one(&stand, 1);
        let mut messages = open(&stand, Kind::Svids).await;
        ids(&mut messages).await;
        (2..20).for_each(|generation| one(&stand, generation));
        let newest = stand.holdings.borrow().identities[0].svid.clone().unwrap();
        let message = messages.next().await.unwrap().unwrap().svids();
        assert_eq!(message.svids[0].x509_svid, newest.chain_der);
        assert!(messages.next().now_or_never().is_none());
    }

    #[tokio::test]
    async fn what_was_not_given_before_is_given_to_the_attested_alone() {
        let stand = Stand::new();
        one(&stand, 1);
        let mut messages = open(&stand, Kind::Svids).await;
        ids(&mut messages).await;
        let raise = |scope: &str, generation| {
            let elevated = stand.elevated(A, scope, generation);
            stand.tell(|holdings| holdings.elevated.push(elevated));
        };
        raise("db.read", 5);
        assert_eq!(ids(&mut messages).await.len(), 2);
        assert_eq!(*stand.caller.asked.lock().unwrap(), 2);

        *stand.caller.shows.lock().unwrap() = Some(["uid:1001".parse().unwrap()].into());
        raise("db.write", 6);
        assert_eq!(ids(&mut messages).await.len(), 3);
        let expected = [Seen::Wanted(Wants::Everything), Seen::Left];
        let mut seen = stand.seen.clone();
        let seen = seen.wait_for(|seen| seen.ends_with(&expected)).await;
        let seen = seen.unwrap().clone();
        let followed = seen.iter().filter_map(|seen| match seen {
            Seen::Followed(selectors, _) => Some(format!("{selectors:?}")),
            Seen::Left | Seen::Wanted(_) => None,
        });
        let followed: Vec<_> = followed.collect();
        assert_eq!(followed.len(), 2, "followed anew by what he shows now");
        assert!(followed[1].contains("1001"));

        *stand.caller.shows.lock().unwrap() = None;
        one(&stand, 7);
        assert_eq!(end(&mut messages).await, "NotAttested");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_svid_is_waited_for_within_bounds() {
        let stand = Stand::new();
        let mut messages = open(&stand, Kind::Svids).await;
        assert!(messages.next().now_or_never().is_none());
        one(&stand, 1);
        assert_eq!(ids(&mut messages).await, [A]);
        let asked = *stand.caller.asked.lock().unwrap();
        assert_eq!(asked, 2, "attested again after the wait");

        stand.tell(|holdings| holdings.identities[0].svid = None);
        assert_eq!(end(&mut messages).await, "Minting");
        stand.tell(|holdings| holdings.told = false);
        let mut messages = open(&stand, Kind::Bundles).await;
        assert_eq!(end(&mut messages).await, "NotTold");
    }

    #[tokio::test]
    async fn losing_the_last_identity_ends_the_stream() {
        let stand = Stand::new();
        one(&stand, 1);
        for kind in [Kind::Svids, Kind::Bundles] {
            one(&stand, 1);
            let mut messages = open(&stand, kind).await;
            messages.next().await.unwrap().unwrap();
            stand.tell(|holdings| holdings.identities.clear());
            assert!(end(&mut messages).await.starts_with("NoIdentity"));
        }
    }

    #[tokio::test]
    async fn bundles_alone_mint_nothing() {
        let stand = Stand::new();
        one(&stand, 1);
        let mut messages = open(&stand, Kind::Bundles).await;
        messages.next().await.unwrap().unwrap();
        one(&stand, 2);
        assert!(messages.next().now_or_never().is_none());
        let seen = stand.seen.borrow();
        assert!(matches!(&seen[..], [Seen::Followed(..)]));
    }

    #[tokio::test]
    async fn the_end_of_the_agent_ends_the_stream() {
        let stand = Stand::new();
        one(&stand, 1);
        let mut messages = open(&stand, Kind::Svids).await;
        ids(&mut messages).await;
        drop(stand);
        assert_eq!(end(&mut messages).await, "Ending");
    }
}

//! The keeper: the one task that owns every SVID of this agent.
//!
//! Promises: nothing is minted that no follower wants; a certificate is renewed at a point of its
//! life that was drawn once; the one that ends soonest is renewed first; nothing is told that has
//! ended or not begun. A failure of one item disturbs no other.
//! Refuses: to hand a key to anybody but followers whose caller's selectors fit the entry.

mod groups;
mod house;
mod items;
mod mint;
pub(crate) mod tend;

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::agent::attestor::Needs;
use crate::agent::holdings::{Holdings, Wants};
use crate::agent::news::News;
use crate::id::Holder;
use crate::identity::Selector;
use crate::proto::agent::HeldStatus;

/// The way to the keeper; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    orders: mpsc::Sender<Order>,
    /// What the server tells stands in no line with local callers.
    news: mpsc::Sender<News>,
    /// What an attestation looks at; who was attested before it changed is to be looked at again.
    needs: watch::Receiver<Needs>,
}

/// What the keeper is told by the sockets.
#[derive(Debug)]
pub(crate) enum Order {
    /// Somebody begins to follow.
    Follow {
        /// What the caller shows.
        selectors: Arc<BTreeSet<Selector>>,
        /// Which running holder he is.
        holder: Holder,
        /// Answered with where to listen. Where nobody takes the answer, he has left already.
        answer: oneshot::Sender<Follower>,
    },
    /// A follower wants something else.
    Want(FollowerId, Wants),
    /// Somebody wants to know what is kept.
    Status(oneshot::Sender<Vec<HeldStatus>>),
}

/// A follower, for the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FollowerId(pub(crate) u64);

/// A group of followers that are told the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupId(u64);

/// What is known of a new follower.
#[derive(Debug)]
pub(crate) struct Followed {
    /// Names him from now on.
    pub(crate) id: FollowerId,
    /// His holdings, the newest always.
    pub(crate) holdings: watch::Receiver<Arc<Holdings>>,
}

/// The keeper's answer to a new follower; dropped, he follows no more.
#[derive(Debug)]
pub(crate) struct Follower {
    followed: Followed,
    /// Without a bound of its own: each follower leaves once, and the sockets bound how many there
    /// are. Who leaves a line that is full would be lost, and his SVIDs be renewed for nobody.
    gone: mpsc::UnboundedSender<FollowerId>,
}

/// One caller's view of what he may hold; dropped, he follows no more.
#[derive(Debug)]
pub(crate) struct Following {
    follower: Follower,
    orders: mpsc::Sender<Order>,
    needs: watch::Receiver<Needs>,
}

/// The agent is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent is ending")]
pub(crate) struct Ending;

impl Keeper {
    /// The way to a keeper that reads `orders` and `news`.
    pub(crate) fn new(
        orders: mpsc::Sender<Order>,
        news: mpsc::Sender<News>,
        needs: watch::Receiver<Needs>,
    ) -> Self {
        Self {
            orders,
            news,
            needs,
        }
    }

    /// Begins to follow what a caller with these selectors may hold.
    ///
    /// # Errors
    /// When the agent is ending.
    pub(crate) async fn follow(
        &self,
        selectors: Arc<BTreeSet<Selector>>,
        holder: Holder,
    ) -> Result<Following, Ending> {
        let (answer, followed) = oneshot::channel();
        let order = Order::Follow {
            selectors,
            holder,
            answer,
        };
        self.orders.send(order).await.map_err(|_| Ending)?;
        Ok(Following {
            follower: followed.await.map_err(|_| Ending)?,
            orders: self.orders.clone(),
            needs: self.needs.clone(),
        })
    }
}

/// What attestations look at from a moment on.
#[derive(Debug)]
pub(crate) struct Sight(watch::Receiver<Needs>);

impl Keeper {
    /// What attestations look at from now on: to be taken before a caller is attested.
    pub(crate) fn sight(&self) -> Sight {
        let mut needs = self.needs.clone();
        needs.mark_unchanged();
        Sight(needs)
    }

    /// Tells the keeper what the server said.
    ///
    /// # Errors
    /// When the agent is ending.
    pub(crate) async fn news(&self, news: News) -> Result<(), Ending> {
        self.news.send(news).await.map_err(|_| Ending)
    }

    /// What is kept, for people.
    ///
    /// # Errors
    /// When the agent is ending.
    pub(crate) async fn status(&self) -> Result<Vec<HeldStatus>, Ending> {
        let (answer, status) = oneshot::channel();
        let order = Order::Status(answer);
        self.orders.send(order).await.map_err(|_| Ending)?;
        status.await.map_err(|_| Ending)
    }
}

impl Following {
    /// Says what is wanted from now on, in place of what was wanted before.
    ///
    /// # Errors
    /// When the agent is ending.
    pub(crate) async fn want(&self, wants: Wants) -> Result<(), Ending> {
        let order = Order::Want(self.follower.followed.id, wants);
        self.orders.send(order).await.map_err(|_| Ending)
    }

    /// The newest holdings; from now on they count as seen.
    pub(crate) fn now(&mut self) -> Arc<Holdings> {
        let holdings = &mut self.follower.followed.holdings;
        holdings.borrow_and_update().clone()
    }

    /// Ends when there are newer holdings than those last seen, or the caller is to be attested
    /// again.
    ///
    /// # Errors
    /// When the agent is ending.
    pub(crate) async fn changed(&mut self) -> Result<(), Ending> {
        if self.is_outdated() {
            return Ok(());
        }
        let mut needs = self.needs.clone();
        let holdings = &mut self.follower.followed.holdings;
        tokio::select! {
            changed = holdings.changed() => changed.map_err(|_| Ending),
            // Without an attestor nothing is looked at anew.
            Ok(()) = needs.changed() => Ok(()),
        }
    }

    /// Whether entries use other kinds of selectors since the caller was attested for this: then
    /// he is to be attested again, and followed anew.
    pub(crate) fn is_outdated(&self) -> bool {
        self.needs.has_changed().unwrap_or_default()
    }

    /// Says what was looked at when the caller was attested for this: [`Keeper::sight`] from
    /// before that.
    pub(crate) fn attested_by(&mut self, sight: Sight) {
        self.needs = sight.0;
    }
}

impl Follower {
    /// One whose leave is told by `gone`.
    pub(crate) const fn new(followed: Followed, gone: mpsc::UnboundedSender<FollowerId>) -> Self {
        Self { followed, gone }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Where nobody listens any more, the agent is ending.
        let _ = self.gone.send(self.followed.id);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;

    fn followed(id: u64) -> Followed {
        let (_, holdings) = watch::channel(Arc::new(crate::agent::envoy::held::nothing()));
        let id = FollowerId(id);
        Followed { id, holdings }
    }

    #[tokio::test]
    async fn who_leaves_is_heard_of_however_he_leaves_and_however_full_the_line_is() {
        let (orders, mut inbox) = mpsc::channel(1);
        let (_, needs) = watch::channel(Needs::default());
        let keeper = Keeper::new(orders.clone(), mpsc::channel(1).0, needs);
        let (gone, mut leaving) = mpsc::unbounded_channel();
        let follow = || keeper.follow(Arc::default(), Holder::host());
        let mut answer = async |id| {
            let Some(Order::Follow { answer, .. }) = inbox.recv().await else {
                panic!("he follows");
            };
            let _ = answer.send(Follower::new(followed(id), gone.clone()));
        };
        let (following, ()) = tokio::join!(follow(), answer(1));
        let nothing = Order::Want(FollowerId(9), Wants::Nothing);
        orders.send(nothing).await.unwrap();
        assert_eq!(leaving.try_recv(), Err(TryRecvError::Empty));
        drop(following);
        assert_eq!(leaving.try_recv(), Ok(FollowerId(1)));
        inbox.recv().await.unwrap();

        // Given up after he was answered, and before he took the answer.
        let (answer, given_up) = oneshot::channel();
        let follower = Follower::new(followed(2), gone.clone());
        assert!(answer.send(follower).is_ok());
        drop(given_up);
        assert_eq!(leaving.try_recv(), Ok(FollowerId(2)));
    }
}

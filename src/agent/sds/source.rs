//! The secrets of one stream: what its caller may hold, followed at the keeper.
//!
//! Promises: the keeper is told by name what is wanted, and only when that changed: a stream for
//! roots mints nothing. When the caller shows other selectors than before, nothing that fitted the
//! old ones goes out any more.
//! Refuses: to decide what a name means.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use crate::agent::caller::{Caller, Look, attest};
use crate::agent::holdings::{Holdings, Wants};
use crate::agent::keeper::{Ending, Following};
use crate::agent::sds::Validator;
use crate::agent::sds::node::validator_of;
use crate::agent::sds::offer::View;
use crate::agent::sds::secret::{SECRET_TYPE, Secret};
use crate::agent::sds::service::Desk;
use crate::agent::sds::shelf::Shelf;
use crate::agent::xds::{Offer, Source, Subscription, Subscriptions};
use crate::identity::Selector;
use crate::proto::core::Node;
use crate::time::Timestamp;

/// Where the secrets of one stream come from.
#[derive(Debug)]
pub(super) struct Secrets<P> {
    desk: Arc<Desk>,
    caller: P,
    selectors: Arc<BTreeSet<Selector>>,
    following: Following,
    holdings: Arc<Holdings>,
    shelf: Arc<Shelf>,
    wants: Wants,
    validator: Validator,
    delta: bool,
}

impl<P: Caller> Secrets<P> {
    /// Attests the caller and follows what he may hold.
    ///
    /// # Errors
    /// When he cannot be attested, or the agent is ending.
    pub(super) async fn follow(desk: &Arc<Desk>, caller: P, delta: bool) -> Result<Self, Status> {
        let sight = desk.keeper.sight();
        let selectors = attest(&caller, Look::Anew).await?;
        let holder = caller.holder();
        let following = desk.keeper.follow(selectors.clone(), holder).await;
        let mut following = following.map_err(ending)?;
        following.attested_by(sight);
        let holdings = following.now();
        Ok(Self {
            shelf: desk.shelf(&holdings.bundles),
            validator: desk.options.validator,
            desk: desk.clone(),
            caller,
            selectors,
            following,
            holdings,
            wants: Wants::Nothing,
            delta,
        })
    }

    fn view(&self) -> View<'_> {
        View {
            holdings: &self.holdings,
            shelf: &self.shelf,
            validator: self.validator,
            now: self.desk.clock.now(),
        }
    }
}

impl<P: Caller> Source for Secrets<P> {
    type Content = Secret;

    const TYPE_URL: &'static str = SECRET_TYPE;
    const NAMES: Option<&'static [&'static str]> = None;

    fn node(&mut self, node: &Node) {
        if let Some(validator) = validator_of(node) {
            self.validator = validator;
        }
    }

    /// Follows anew when the selectors differ: the holdings that come with that fit them, while
    /// those of before may still stand in this stream's way.
    async fn attest(&mut self, look: Look) -> Result<(), Status> {
        let sight = self.desk.keeper.sight();
        let selectors = attest(&self.caller, look).await?;
        if selectors == self.selectors {
            // What was seen lately may have been seen by other needs.
            if look == Look::Anew {
                self.following.attested_by(sight);
            }
            return Ok(());
        }
        let holder = self.caller.holder();
        let following = self.desk.keeper.follow(selectors.clone(), holder).await;
        self.following = following.map_err(ending)?;
        if look == Look::Anew {
            self.following.attested_by(sight);
        }
        self.selectors = selectors;
        self.wants = Wants::Nothing;
        Ok(())
    }

    async fn refresh(&mut self, subscriptions: &mut Subscriptions) -> Result<(), Status> {
        if self.following.is_outdated() {
            self.attest(Look::Anew).await?;
        }
        self.holdings = self.following.now();
        self.shelf = self.desk.shelf(&self.holdings.bundles);
        let on_demand = &self.desk.options.on_demand;
        let wants = self.view().wants(subscriptions, self.delta, on_demand);
        if wants != self.wants {
            self.following.want(wants.clone()).await.map_err(ending)?;
            self.wants = wants;
        }
        Ok(())
    }

    fn serves_nobody(&self) -> bool {
        self.holdings.told && self.holdings.identities.is_empty()
    }

    fn everything(&self) -> Vec<Arc<str>> {
        self.view().everything()
    }

    fn offer(&self, name: &str, subscription: &Subscription, delta: bool) -> Offer<Secret> {
        self.view().offer(name, subscription, delta)
    }

    async fn changed(&mut self) -> Result<(), Status> {
        self.following.changed().await.map_err(ending)
    }

    fn until(&self, moment: Timestamp) -> Duration {
        let left_ms = moment.unix_ms() - self.desk.clock.now().unix_ms();
        Duration::from_millis(left_ms.max(0).unsigned_abs())
    }

    fn running_ms(&self) -> i64 {
        self.desk.clock.read().boot_ms
    }
}

fn ending(ending: Ending) -> Status {
    Status::unavailable(ending.to_string())
}

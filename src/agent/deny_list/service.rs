//! Extension discovery: the deny list to every Envoy that subscribes.
//!
//! Promises: a change is told at once, the newest always; a list whose certificates are the same
//! is not told again.
//! Refuses: other resources: they are absent, and not kept. No entry is needed: the list says
//! nothing of anybody; but whom none fits has few streams, each for a while.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::caller::{Caller, Look, attest, caller_of};
use crate::agent::deny_list::DenyList;
use crate::agent::deny_list::filter::{Filter, Layer};
use crate::agent::holdings::{Generation, Holdings};
use crate::agent::keeper::{Following, Keeper};
use crate::agent::xds::{
    Content as _, Delta, Offer, Place, Responses, Service, Sotw, Source, Streams, Subscription,
    Subscriptions, Version, open,
};
use crate::proto::core::Node;
use crate::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use crate::proto::extension::extension_config_discovery_service_server as ecds_server;
use crate::time::{Clock, Timestamp};

/// The deny list for callers of the kind `P`.
pub(crate) struct DenyLists<P> {
    newest: watch::Receiver<Arc<DenyList>>,
    clock: Arc<dyn Clock>,
    keeper: Keeper,
    streams: Arc<Streams>,
    stop: CancellationToken,
    callers: PhantomData<fn() -> P>,
}

/// The list as one stream sees it.
struct List<P> {
    caller: P,
    keeper: Keeper,
    newest: watch::Receiver<Arc<DenyList>>,
    taken: Arc<DenyList>,
    clock: Arc<dyn Clock>,
    /// Only to see whether an entry fits the caller.
    following: Following,
    holdings: Arc<Holdings>,
}

impl<P> DenyLists<P> {
    /// Serves the newest list.
    pub(crate) fn new(
        newest: watch::Receiver<Arc<DenyList>>,
        clock: Arc<dyn Clock>,
        keeper: Keeper,
        streams: Arc<Streams>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            newest,
            clock,
            keeper,
            streams,
            stop,
            callers: PhantomData,
        }
    }
}

impl<P: Caller> DenyLists<P> {
    /// The list for this caller, attested now.
    async fn list(&self, caller: &P) -> Result<List<P>, Status> {
        let mut following = follow(&self.keeper, caller).await?;
        Ok(List {
            caller: caller.clone(),
            keeper: self.keeper.clone(),
            newest: self.newest.clone(),
            taken: Arc::default(),
            clock: Arc::clone(&self.clock),
            holdings: following.now(),
            following,
        })
    }

    /// The list for a stream of this caller, and the place of the stream.
    async fn begin(&self, caller: &P) -> Result<(List<P>, Place), Status> {
        let mut place = self.streams.enter(caller, Service::DenyList);
        let list = self.list(caller).await?;
        if list.serves_nobody() {
            place.is_nobodys(caller)?;
        }
        Ok((list, place))
    }
}

impl<P: Caller> Source for List<P> {
    type Content = Filter;

    const TYPE_URL: &'static str = EXTENSION_TYPE;
    const NAMES: Option<&'static [&'static str]> = Some(&[HTTP, MODULE, NETWORK]);

    fn node(&mut self, _: &Node) {}

    async fn attest(&mut self, _: Look) -> Result<(), Status> {
        Ok(())
    }

    async fn refresh(&mut self, _: &mut Subscriptions) -> Result<(), Status> {
        if self.following.is_outdated() {
            self.following = follow(&self.keeper, &self.caller).await?;
        }
        self.taken = self.newest.borrow_and_update().clone();
        self.holdings = self.following.now();
        Ok(())
    }

    fn serves_nobody(&self) -> bool {
        self.holdings.told && self.holdings.identities.is_empty()
    }

    fn everything(&self) -> Vec<Arc<str>> {
        // The module's is for who names it: others could not load it.
        vec![HTTP.into(), NETWORK.into()]
    }

    fn offer(&self, name: &str, _: &Subscription, _: bool) -> Offer<Filter> {
        let layer = match name {
            HTTP => Layer::Http,
            MODULE => Layer::Module,
            NETWORK => Layer::Network,
            _ => return Offer::Absent,
        };
        if self.taken.generation == Generation::default() {
            return Offer::Awaited;
        }
        Offer::Ready(Filter {
            list: self.taken.clone(),
            layer,
        })
    }

    async fn changed(&mut self) -> Result<(), Status> {
        tokio::select! {
            changed = self.newest.changed() => changed.map_err(|_| ending()),
            changed = self.following.changed() => changed.map_err(|_| ending()),
        }
    }

    fn until(&self, _: Timestamp) -> Duration {
        Duration::MAX
    }

    fn running_ms(&self) -> i64 {
        self.clock.read().boot_ms
    }
}

#[tonic::async_trait]
impl<P: Caller> ecds_server::ExtensionConfigDiscoveryService for DenyLists<P> {
    type StreamExtensionConfigsStream = Responses<DiscoveryResponse>;
    type DeltaExtensionConfigsStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_extension_configs(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamExtensionConfigsStream>, Status> {
        let caller = caller_of::<P, _>(&request)?;
        let (source, place) = self.begin(&caller).await?;
        let (requests, stop) = (request.into_inner(), self.stop.clone());
        let responses = open::<Sotw, _>(source, requests, place, Duration::ZERO, stop);
        Ok(Response::new(responses))
    }

    async fn delta_extension_configs(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaExtensionConfigsStream>, Status> {
        let caller = caller_of::<P, _>(&request)?;
        let (source, place) = self.begin(&caller).await?;
        let (requests, stop) = (request.into_inner(), self.stop.clone());
        let responses = open::<Delta, _>(source, requests, place, Duration::ZERO, stop);
        Ok(Response::new(responses))
    }

    async fn fetch_extension_configs(
        &self,
        request: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        let caller = caller_of::<P, _>(&request)?;
        let _place = self.streams.enter(&caller, Service::DenyList);
        let mut source = self.list(&caller).await?;
        source.refresh(&mut Subscriptions::default()).await?;
        let names = &request.get_ref().resource_names;
        let mut response = DiscoveryResponse {
            type_url: EXTENSION_TYPE.to_owned(),
            ..DiscoveryResponse::default()
        };
        let asked = Subscription::default();
        for name in [HTTP, MODULE, NETWORK] {
            let wanted = if names.is_empty() {
                name != MODULE
            } else {
                names.iter().any(|one| one == name)
            };
            if !wanted {
                continue;
            }
            if let Offer::Ready(filter) = source.offer(name, &asked, false) {
                let version = Version::after(None, filter.generation(), filter.digest());
                response.version_info = version.to_string();
                response.resources.push(filter.encode(name));
            }
        }
        Ok(Response::new(response))
    }
}

impl<P> std::fmt::Debug for List<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List")
            .field("list", &self.taken)
            .finish_non_exhaustive()
    }
}

impl<P> std::fmt::Debug for DenyLists<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("DenyLists").field(&self.newest).finish()
    }
}

/// Attests a caller and follows what he may hold; nothing of it is wanted.
async fn follow<P: Caller>(keeper: &Keeper, caller: &P) -> Result<Following, Status> {
    let sight = keeper.sight();
    let selectors = attest(caller, Look::Anew).await?;
    let following = keeper.follow(selectors, caller.holder()).await;
    let mut following = following.map_err(|_| ending())?;
    following.attested_by(sight);
    Ok(following)
}

fn ending() -> Status {
    Status::unavailable("the agent is ending")
}

/// The type of the resources of this service.
pub(super) const EXTENSION_TYPE: &str =
    "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
/// The filter for requests.
pub(super) const HTTP: &str = "protem.deny_list";
/// The module's filter for connections.
pub(super) const MODULE: &str = "protem.deny_list.module";
/// The filter for connections.
pub(super) const NETWORK: &str = "protem.deny_list.tcp";

#[cfg(test)]
mod tests;

//! The service itself: opens streams, and answers a single request.
//!
//! Promises: a stream is open only while it has its place; a single request waits for minting no
//! longer than `fetch_wait`, and opens no elevation.
//! Refuses: callers whom the connection does not name.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::caller::{Caller, Look, caller_of};
use crate::agent::holdings::{Bundles, Generation};
use crate::agent::keeper::Keeper;
use crate::agent::sds::Validator;
use crate::agent::sds::shelf::Shelf;
use crate::agent::sds::source::Secrets;
use crate::agent::xds::{
    Content as _, Delta, Digest, Offer, Responses, Service, Sotw, Source, Streams, Subscriptions,
    Version, open,
};
use crate::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use crate::proto::secret::secret_discovery_service_server::SecretDiscoveryService;
use crate::scope::Scope;
use crate::time::Clock;

/// Secret discovery for callers of the kind `P`.
pub(crate) struct Sds<P> {
    desk: Arc<Desk>,
    streams: Arc<Streams>,
    stop: CancellationToken,
    callers: PhantomData<fn() -> P>,
}

/// What an operator sets.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// How Envoys check their peers where they do not say it themselves.
    pub(crate) validator: Validator,
    /// For which scopes to be asked for a name may open an elevation.
    pub(crate) on_demand: BTreeSet<Scope>,
    /// How long a request waits while people decide.
    pub(crate) hold: Duration,
    /// How long a single request waits for minting.
    pub(crate) fetch_wait: Duration,
}

/// What all streams share.
pub(super) struct Desk {
    pub(super) keeper: Keeper,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: Options,
    /// Owned by no task: whoever first meets newer bundles puts them here.
    shelf: Mutex<Arc<Shelf>>,
}

impl<P> Sds<P> {
    /// Serves what the keeper keeps.
    pub(crate) fn new(
        keeper: Keeper,
        clock: Arc<dyn Clock>,
        options: Options,
        streams: Arc<Streams>,
        stop: CancellationToken,
    ) -> Self {
        let desk = Desk {
            keeper,
            clock,
            options,
            shelf: Mutex::default(),
        };
        Self {
            desk: Arc::new(desk),
            streams,
            stop,
            callers: PhantomData,
        }
    }
}

impl Desk {
    /// The roots of these bundles.
    pub(super) fn shelf(&self, bundles: &Bundles) -> Arc<Shelf> {
        // Poisoned or not, an `Arc` is replaced as a whole.
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if shelf.holds(bundles) {
            return shelf.clone();
        }
        let next = Arc::new(Shelf::after(&shelf, bundles));
        // A stream that is late must not turn the shelf back for the others.
        if !shelf.is_newer_than(bundles) {
            *shelf = next.clone();
        }
        next
    }
}

#[tonic::async_trait]
impl<P: Caller> SecretDiscoveryService for Sds<P> {
    type StreamSecretsStream = Responses<DiscoveryResponse>;
    type DeltaSecretsStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        let caller = caller_of::<P, _>(&request)?;
        let mut place = self.streams.enter(&caller, Service::Secrets);
        let source = Secrets::follow(&self.desk, caller.clone(), false).await?;
        if source.serves_nobody() {
            place.is_nobodys(&caller)?;
        }
        let (hold, stop) = (self.desk.options.hold, self.stop.clone());
        let responses = open::<Sotw, _>(source, request.into_inner(), place, hold, stop);
        Ok(Response::new(responses))
    }

    async fn delta_secrets(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        let caller = caller_of::<P, _>(&request)?;
        let mut place = self.streams.enter(&caller, Service::Secrets);
        let source = Secrets::follow(&self.desk, caller.clone(), true).await?;
        if source.serves_nobody() {
            place.is_nobodys(&caller)?;
        }
        let (hold, stop) = (self.desk.options.hold, self.stop.clone());
        let responses = open::<Delta, _>(source, request.into_inner(), place, hold, stop);
        Ok(Response::new(responses))
    }

    async fn fetch_secrets(
        &self,
        request: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        let caller = caller_of::<P, _>(&request)?;
        let _place = self.streams.enter(&caller, Service::Secrets);
        let mut source = Secrets::follow(&self.desk, caller, false).await?;
        tokio::select! {
            response = self.fetch(&mut source, request.get_ref()) => response.map(Response::new),
            () = self.stop.cancelled() => Err(Status::unavailable("the agent is ending")),
        }
    }
}

impl<P: Caller> Sds<P> {
    async fn fetch(
        &self,
        source: &mut Secrets<P>,
        request: &DiscoveryRequest,
    ) -> Result<DiscoveryResponse, Status> {
        let type_url = &request.type_url;
        if !type_url.is_empty() && type_url != Secrets::<P>::TYPE_URL {
            return Err(Status::invalid_argument("only secrets are served here"));
        }
        if let Some(node) = &request.node {
            source.node(node);
        }
        let mut names = request.resource_names.clone();
        names.retain(|name| !name.is_empty());
        let mut subscriptions = Subscriptions::default();
        subscriptions.set_everything(names.is_empty());
        subscriptions.replace(&names);
        for (_, subscription) in subscriptions.iter_mut() {
            subscription.may_open = false;
        }
        let settled = settle(source, &mut subscriptions);
        // After the wait, what came in time is handed over.
        if let Ok(settled) = tokio::time::timeout(self.desk.options.fetch_wait, settled).await {
            settled?;
        }
        source.attest(Look::Anew).await?;
        source.refresh(&mut subscriptions).await?;
        Ok(everything_ready(source, &subscriptions))
    }
}

/// Waits until each name is there or absent.
async fn settle<P: Caller>(
    source: &mut Secrets<P>,
    subscriptions: &mut Subscriptions,
) -> Result<(), Status> {
    loop {
        source.refresh(subscriptions).await?;
        if subscriptions.everything() {
            subscriptions.widen(source.everything());
        }
        let pending = subscriptions.iter().any(|(name, one)| {
            let offer = source.offer(name, one, false);
            matches!(offer, Offer::Awaited | Offer::Deciding)
        });
        if !pending {
            return Ok(());
        }
        source.changed().await?;
    }
}

fn everything_ready<P: Caller>(
    source: &Secrets<P>,
    subscriptions: &Subscriptions,
) -> DiscoveryResponse {
    let mut resources = Vec::new();
    let mut newest = Generation::default();
    let mut digests: Vec<Digest> = Vec::new();
    for (name, one) in subscriptions.iter() {
        if let Offer::Ready(content) = source.offer(name, one, false) {
            newest = newest.max(content.generation());
            digests.push(content.digest());
            resources.push(content.encode(name));
        }
    }
    let digest = Digest::of(digests.iter().map(Digest::bytes));
    DiscoveryResponse {
        version_info: Version::after(None, newest, digest).to_string(),
        resources,
        type_url: Secrets::<P>::TYPE_URL.to_owned(),
        nonce: String::new(),
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            validator: Validator::default(),
            on_demand: BTreeSet::new(),
            hold: HOLD,
            fetch_wait: FETCH_WAIT,
        }
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<P> std::fmt::Debug for Sds<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sds").field(&self.desk).finish()
    }
}

const HOLD: Duration = Duration::from_secs(2);
const FETCH_WAIT: Duration = Duration::from_secs(5);

//! A running socket for Envoys, with a keeper that tests answer for.
//!
//! Promises: the server, its socket and its protocol are real; what the keeper would decide is
//! what a test sets. Waiting is for the event itself.
//! Refuses: use outside tests.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint};

use crate::agent::attestor::Needs;
use crate::agent::caller::Caller;
use crate::agent::deny_list::DenyList;
use crate::agent::envoy::{Parts, router};
use crate::agent::holdings::{Holdings, Wants};
use crate::agent::keeper::{Followed, Follower, FollowerId, Keeper, Order};
use crate::agent::sds::Options;
use crate::agent::uses::Uses;
use crate::agent::xds::{Streams, StreamsMax};
use crate::id::Holder;
use crate::identity::Selector;
use crate::lifecycle::Lifecycle;
use crate::time::SystemClock;

/// A socket, and all that a test sets and sees.
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    /// What callers hold who show what [`Peer`] shows at first.
    pub(crate) holdings: watch::Sender<Arc<Holdings>>,
    /// What is denied.
    pub(crate) deny_list: watch::Sender<Arc<DenyList>>,
    /// What followers want, those that are there.
    pub(crate) wants: watch::Receiver<BTreeMap<u64, Wants>>,
    /// Who calls.
    pub(crate) peer: Peer,
    pub(crate) streams: Arc<Streams>,
    pub(crate) uses: Arc<Uses>,
    lifecycle: Lifecycle,
}

/// The caller of every connection.
#[derive(Clone)]
pub(crate) struct Peer(Arc<Mutex<Shows>>);

struct Shows {
    selectors: Option<Arc<BTreeSet<Selector>>>,
    attested: usize,
    anew: usize,
}

impl Stage {
    pub(crate) fn new(holdings: Holdings, options: Options) -> Self {
        Self::with(holdings, options, StreamsMax::default())
    }

    pub(crate) fn with(holdings: Holdings, options: Options, max: StreamsMax) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lifecycle = Lifecycle::default();
        let (orders, inbox) = mpsc::channel(4_096);
        let (holdings, held) = watch::channel(Arc::new(holdings));
        let (told, wants) = watch::channel(BTreeMap::new());
        let (deny_list, denied) = watch::channel(Arc::default());
        let uses = Arc::new(Uses::of("td.test".parse().unwrap()));
        let streams = Streams::new(max);
        let peer = Peer::showing("unix:uid:1000");
        let fits = peer.selectors().unwrap();
        lifecycle.tracker.spawn(keep(inbox, fits, held, told));
        let router = router::<Peer>(Parts {
            keeper: Keeper::new(
                orders,
                mpsc::channel(1).0,
                watch::channel(Needs::default()).1,
            ),
            clock: Arc::new(SystemClock),
            options,
            deny_list: denied,
            uses: uses.clone(),
            streams: streams.clone(),
            stop: lifecycle.stop.clone(),
        });
        let listener = UnixListener::bind(folder.path().join("envoy.sock")).unwrap();
        let caller = peer.clone();
        let incoming = UnixListenerStream::new(listener)
            .map(move |stream| stream.map(|stream| Local(stream, caller.clone())));
        let stop = lifecycle.stop.clone().cancelled_owned();
        lifecycle.tracker.spawn(async move {
            let served = router.serve_with_incoming_shutdown(incoming, stop);
            served.await.unwrap();
        });
        Self {
            folder,
            holdings,
            deny_list,
            wants,
            peer,
            streams,
            uses,
            lifecycle,
        }
    }

    /// The socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("envoy.sock")
    }

    /// A file of this stage.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Channel {
        let socket = format!("unix://{}", self.socket().display());
        Endpoint::from_shared(socket)
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    pub(crate) fn hold(&self, holdings: Holdings) {
        self.holdings.send_replace(Arc::new(holdings));
    }

    /// Waits until some follower wants exactly this.
    pub(crate) async fn until_wanted(&mut self, wanted: &Wants) {
        let is_there = |all: &BTreeMap<u64, Wants>| all.values().any(|one| one == wanted);
        let waited = self.wants.wait_for(is_there);
        soon(waited).await.unwrap();
    }

    /// Waits until this holds of what is wanted, and then holds that.
    pub(crate) async fn answer(
        &mut self,
        wanted: impl FnMut(&BTreeMap<u64, Wants>) -> bool,
        holdings: Holdings,
    ) {
        soon(self.wants.wait_for(wanted)).await.unwrap();
        self.hold(holdings);
    }

    /// Waits until nobody follows.
    pub(crate) async fn until_left(&mut self) {
        soon(self.wants.wait_for(BTreeMap::is_empty)).await.unwrap();
    }

    /// Ends the agent.
    pub(crate) fn stop(&self) {
        self.lifecycle.stop.cancel();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Ends well before a test would be called hung.
#[track_caller]
pub(crate) fn soon<F: Future>(what: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        let waited = tokio::time::timeout(PATIENCE, what).await;
        waited.unwrap_or_else(|_| panic!("waited too long at {place}"))
    }
}

impl Peer {
    fn showing(selector: &str) -> Self {
        Self(Arc::new(Mutex::new(Shows {
            selectors: Some(Arc::new([selector.parse().unwrap()].into())),
            attested: 0,
            anew: 0,
        })))
    }

    fn selectors(&self) -> Option<Arc<BTreeSet<Selector>>> {
        self.0.lock().unwrap().selectors.clone()
    }

    /// From now on he shows this; nothing: he cannot be attested.
    pub(crate) fn show(&self, selector: Option<&str>) {
        self.0.lock().unwrap().selectors =
            selector.map(|selector| Arc::new([selector.parse().unwrap()].into()));
    }

    /// How often he was attested at that moment, not within the last second.
    pub(crate) fn attested_anew(&self) -> usize {
        self.0.lock().unwrap().anew
    }

    /// How often he was attested.
    pub(crate) fn attested(&self) -> usize {
        self.0.lock().unwrap().attested
    }
}

impl Caller for Peer {
    type Error = &'static str;

    async fn attest(&self) -> Result<Arc<BTreeSet<Selector>>, &'static str> {
        self.0.lock().unwrap().anew += 1;
        self.attest_lately().await
    }

    async fn attest_lately(&self) -> Result<Arc<BTreeSet<Selector>>, &'static str> {
        self.0.lock().unwrap().attested += 1;
        self.selectors().ok_or("the process is gone")
    }

    fn holder(&self) -> Holder {
        Holder::host()
    }

    fn uid(&self) -> u32 {
        1_000
    }

    fn pid(&self) -> u32 {
        7
    }

    fn is_root_of_host(&self) -> bool {
        false
    }
}

/// The keeper's part: those who show what is fit follow what the test sets, others nothing.
async fn keep(
    mut orders: mpsc::Receiver<Order>,
    fits: Arc<BTreeSet<Selector>>,
    held: watch::Receiver<Arc<Holdings>>,
    told: watch::Sender<BTreeMap<u64, Wants>>,
) {
    let others = Holdings {
        told: true,
        ..super::held::nothing()
    };
    let (_stays, none) = watch::channel(Arc::new(others));
    let mut count = 0;
    let (gone, mut leaving) = mpsc::unbounded_channel::<FollowerId>();
    loop {
        let order = tokio::select! {
            biased;
            order = orders.recv() => order,
            Some(id) = leaving.recv() => {
                told.send_modify(|all| drop(all.remove(&id.0)));
                continue;
            }
        };
        let Some(order) = order else { return };
        match order {
            Order::Follow {
                selectors, answer, ..
            } => {
                count += 1;
                told.send_modify(|all| drop(all.insert(count, Wants::Nothing)));
                let holdings = if selectors == fits { &held } else { &none };
                let followed = Followed {
                    id: FollowerId(count),
                    holdings: holdings.clone(),
                };
                let _ = answer.send(Follower::new(followed, gone.clone()));
            }
            Order::Want(id, wants) => told.send_modify(|all| drop(all.insert(id.0, wants))),
            Order::Status(_) => {}
        }
    }
}

/// A connection that says who calls.
struct Local(UnixStream, Peer);

impl Connected for Local {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.1.clone()
    }
}

impl AsyncRead for Local {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Local {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

const PATIENCE: Duration = Duration::from_secs(30);

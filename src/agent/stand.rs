//! The sockets of the agent with a keeper that a test plays, over a real Unix socket.
//!
//! Promises: what a test tells is what the keeper holds; what is asked of the keeper is seen.
//! Refuses: to be used by anything but tests.

mod mint;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::io::ReadBuf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::Connected;
use tonic_health::server::HealthReporter;

pub(crate) use crate::agent::stand::mint::Root;

use crate::agent::attestor::Needs;
use crate::agent::authority::AnyAuthority;
use crate::agent::holdings::{
    AgentEntry, Bundles, Elevated, Generation, Holdings, Identity, Svid, Wants,
};
use crate::agent::keeper::{Followed, Follower, FollowerId, Keeper, Order};
use crate::agent::local_caller::{Attest, AttestFailure, LocalCaller};
use crate::agent::observe::Metrics;
use crate::agent::workload_socket::{SocketLimits, WorkloadSocket};
use crate::client::{Client, Proof};
use crate::id::Holder;
use crate::id::entropy::Entropy;
use crate::identity::{Selector, Subject};
use crate::proto::agent::StatusResponse;
use crate::scope::{Encoding, SvidName};
use crate::time::{Clock, ManualClock, Seconds, SystemClock, Timestamp};

/// What a test sees and moves.
pub(crate) struct Stand {
    pub(crate) holdings: watch::Sender<Arc<Holdings>>,
    pub(crate) caller: Arc<TestCaller>,
    pub(crate) keeper: Keeper,
    /// Each selector set that was followed, and each want.
    pub(crate) seen: watch::Receiver<Vec<Seen>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) root: Root,
    files: TempDir,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Followed(BTreeSet<Selector>, Holder),
    Left,
    Wanted(Wants),
}

/// A caller who shows what a test says.
pub(crate) struct TestCaller {
    /// None: he cannot be attested.
    pub(crate) shows: Mutex<Option<BTreeSet<Selector>>>,
    pub(crate) asked: Mutex<u32>,
    pub(crate) uid: u32,
}

impl Attest for TestCaller {
    fn attest(&self) -> BoxFuture<'_, Result<Arc<BTreeSet<Selector>>, AttestFailure>> {
        *self.asked.lock().unwrap() += 1;
        let shows = self.shows.lock().unwrap().clone();
        Box::pin(async move {
            shows
                .map(Arc::new)
                .ok_or_else(|| "the process is gone".into())
        })
    }

    fn holder(&self) -> Holder {
        Holder::process(7, 1)
    }

    fn uid(&self) -> u32 {
        self.uid
    }

    fn pid(&self) -> u32 {
        7
    }

    fn is_root_of_host(&self) -> bool {
        self.uid == 0
    }
}

impl Stand {
    /// A keeper that holds nothing and was told nothing.
    pub(crate) fn new() -> Self {
        let now = SystemClock.now().whole_second();
        let root = Root::new("td", now);
        let nothing = Holdings {
            told: false,
            identities: Vec::new(),
            elevated: Vec::new(),
            asks: BTreeMap::new(),
            bundles: Arc::new(Bundles {
                generation: Generation(1),
                own: "td".parse().unwrap(),
                roots: [("td".parse().unwrap(), vec![root.der.clone()])].into(),
            }),
            federates_with: BTreeSet::new(),
        };
        let (holdings, told) = watch::channel(Arc::new(nothing));
        let (orders, from) = mpsc::channel(64);
        let (see, seen) = watch::channel(Vec::new());
        keep(from, told, see);
        let caller = Arc::new(TestCaller {
            shows: Mutex::new(Some(["uid:1000".parse().unwrap()].into())),
            asked: Mutex::new(0),
            uid: 1_000,
        });
        Self {
            holdings,
            caller,
            keeper: Keeper::new(
                orders,
                mpsc::channel(1).0,
                watch::channel(Needs::default()).1,
            ),
            seen,
            clock: Arc::new(ManualClock::new(now)),
            root,
            files: tempfile::tempdir().unwrap(),
        }
    }

    /// Changes what is held.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut Holdings)) {
        self.holdings.send_modify(|holdings| {
            let mut next = (**holdings).clone();
            change(&mut next);
            *holdings = Arc::new(next);
        });
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn base(&self, subject: &str, generation: u64) -> Arc<Svid> {
        let name = SvidName::Base(subject.parse().unwrap());
        let life = Seconds::new(3_600);
        Arc::new(self.root.svid(name, generation, self.now(), life))
    }

    /// A server that nobody runs.
    pub(crate) fn nowhere(&self) -> Client {
        let bundle = self.files.path().join("bundle.pem");
        let root = crate::x509::write_pem("CERTIFICATE", &self.root.der);
        std::fs::write(&bundle, root).unwrap();
        Client {
            address: "https://127.0.0.1:1".parse().unwrap(),
            bundle,
            proof: Proof::None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Entropy::system()),
        }
    }

    pub(crate) fn caller(&self) -> LocalCaller {
        LocalCaller(self.caller.clone())
    }

    /// Serves until it is dropped.
    pub(crate) fn serve(&self) -> Served {
        self.serve_with(SocketLimits::standard(), HealthReporter::new())
    }

    pub(crate) fn serve_with(&self, limits: SocketLimits, health: HealthReporter) -> Served {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("workload.sock");
        let socket = WorkloadSocket {
            keeper: self.keeper.clone(),
            clock: self.clock.clone(),
            server: Arc::new(self.nowhere()),
            status: Arc::new(|_| Box::pin(async { Ok(StatusResponse::default()) })),
            health,
            own_uid: 1,
            limits,
            metrics: Metrics::default(),
        };
        let router = socket.router().unwrap();
        let caller = self.caller();
        let listener = UnixListenerStream::new(UnixListener::bind(&path).unwrap());
        let connections = listener.map(move |stream| {
            let caller = caller.clone();
            let stream = stream.map(|stream| Attested { stream, caller });
            stream.map(AnyAuthority::new)
        });
        let task = spawn(async move {
            router.serve_with_incoming(connections).await.unwrap();
        });
        Served {
            path,
            task,
            _folder: folder,
        }
    }
}

/// A socket that is served.
pub(crate) struct Served {
    pub(crate) path: PathBuf,
    task: tokio::task::JoinHandle<()>,
    _folder: TempDir,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A caller's entry, with its base SVID where there is one.
pub(crate) fn identity(subject: &str, hint: Option<&str>, svid: Option<Arc<Svid>>) -> Identity {
    let entry = AgentEntry {
        id: format!("en-{subject}"),
        version: 1,
        subject: subject.parse().unwrap(),
        selectors: BTreeSet::new(),
        life: Seconds::new(3_600),
        hint: hint.map(ToOwned::to_owned),
        federates_with: BTreeSet::new(),
    };
    Identity {
        entry: Arc::new(entry),
        svid,
    }
}

impl Stand {
    /// An open elevation with its SVID.
    pub(crate) fn elevated(&self, subject: &str, scope: &str, generation: u64) -> Elevated {
        let subject: Subject = subject.parse().unwrap();
        let name = SvidName::Elevated {
            subject: subject.clone(),
            scope: scope.parse().unwrap(),
            encoding: Encoding::Path,
        };
        let life = Seconds::new(300);
        let svid = self.root.svid(name, generation, self.now(), life);
        Elevated {
            elevation: format!("el-{generation}"),
            subject,
            scope: scope.parse().unwrap(),
            svid: Some(Arc::new(svid)),
            fades: false,
        }
    }
}

/// Answers orders as the keeper does, with the same holdings for everybody.
fn keep(
    mut orders: mpsc::Receiver<Order>,
    holdings: watch::Receiver<Arc<Holdings>>,
    seen: watch::Sender<Vec<Seen>>,
) {
    spawn(async move {
        let mut next = 0;
        let (gone, mut leaving) = mpsc::unbounded_channel();
        loop {
            let order = tokio::select! {
                biased;
                order = orders.recv() => order,
                Some(_) = leaving.recv() => {
                    seen.send_modify(|seen| seen.push(Seen::Left));
                    continue;
                }
            };
            let Some(order) = order else { return };
            let one = match order {
                Order::Follow {
                    selectors,
                    holder,
                    answer,
                } => {
                    next += 1;
                    let id = FollowerId(next);
                    let holdings = holdings.clone();
                    let followed = Followed { id, holdings };
                    let _ = answer.send(Follower::new(followed, gone.clone()));
                    Seen::Followed((*selectors).clone(), holder)
                }
                Order::Want(_, wants) => Seen::Wanted(wants),
                Order::Status(_) => panic!("callers say nothing of this kind"),
            };
            seen.send_modify(|seen| seen.push(one));
        }
    });
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test ends with its runtime, and its tasks with it"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> tokio::task::JoinHandle<()> {
    tokio::spawn(task)
}

struct Attested {
    stream: UnixStream,
    caller: LocalCaller,
}

impl Connected for Attested {
    type ConnectInfo = LocalCaller;

    fn connect_info(&self) -> LocalCaller {
        self.caller.clone()
    }
}

impl tokio::io::AsyncRead for Attested {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl tokio::io::AsyncWrite for Attested {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

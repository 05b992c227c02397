//! A door on a port of its own, with acts whose beginning and end its tests see.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use protem::api::extract::{Json, Query};
use protem::api::listener::limits::Limits;
use protem::api::listener::{Door, Peer, Transport, tls};
use protem::api::request::Passage;
use protem::api::traffic::Traffic;
use protem::id::entropy::Entropy;
use protem::time::{Clock, ManualClock, Seconds, Timestamp};
use protem::wire::elevation::ElevationRequest;
use protem::wire::page::PageQuery;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::peer::{Authority, Client};

/// Acts that begin when they are asked for and end when the test says so.
#[derive(Clone)]
pub(super) struct Acts {
    pub(super) begun: watch::Sender<usize>,
    pub(super) done: watch::Sender<usize>,
    pub(super) may_end: watch::Sender<bool>,
}

impl Default for Acts {
    fn default() -> Self {
        Self {
            begun: watch::Sender::new(0),
            done: watch::Sender::new(0),
            may_end: watch::Sender::new(false),
        }
    }
}

impl Acts {
    async fn act(&self) -> &'static str {
        self.begun.send_modify(|count| *count += 1);
        self.may_end.subscribe().wait_for(|may| *may).await.unwrap();
        self.done.send_modify(|count| *count += 1);
        "done"
    }

    async fn never(&self) -> &'static str {
        self.begun.send_modify(|count| *count += 1);
        std::future::pending().await
    }

    pub(super) async fn begun(&self, wanted: usize) {
        self.begun
            .subscribe()
            .wait_for(|begun| wanted <= *begun)
            .await
            .unwrap();
    }

    pub(super) async fn done(&self, wanted: usize) {
        let mut done = self.done.subscribe();
        done.wait_for(|done| wanted <= *done).await.unwrap();
    }

    /// Bytes whose end is an act that is done.
    fn long(&self) -> Bytes {
        Bytes::from_owner(Long(vec![b'a'; 60_000], self.done.clone()))
    }

    pub(super) fn may_end(&self) {
        self.may_end.send_replace(true);
    }
}

/// A long answer that counts its end.
struct Long(Vec<u8>, watch::Sender<usize>);

impl AsRef<[u8]> for Long {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Long {
    fn drop(&mut self) {
        self.1.send_modify(|count| *count += 1);
    }
}

/// A door on a port of its own, and what its tests hold in hand.
pub(super) struct House {
    pub(super) address: std::net::SocketAddr,
    pub(super) authority: Authority,
    pub(super) clock: Arc<ManualClock>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) acts: Acts,
    serving: tokio::task::JoinHandle<()>,
}

impl House {
    pub(super) async fn open() -> Self {
        Self::with(Limits::standard()).await
    }

    pub(super) async fn with(limits: Limits) -> Self {
        let authority = Authority::new();
        let clock = Arc::new(ManualClock::new(noon()));
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let acts = Acts::default();
        let verifier = tls::client_verifier([authority.root_der()]).unwrap();
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let config = tls::server_config(authority.server(), verifier, shared.clone()).unwrap();
        let passage = Passage {
            clock: shared.clone(),
            entropy: Arc::new(Entropy::seeded(1)),
            tracker: tracker.clone(),
            traffic: Traffic::default(),
        };
        let door = Door {
            transport: Transport::Tls(Arc::new(config)),
            router: passage.before(routes(&acts)),
            limits,
            clock: shared,
            unproved: Arc::new(|_, _| ()),
            tracker: tracker.clone(),
            traffic: Traffic::default(),
            stop: stop.clone(),
        };
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            authority,
            clock,
            tracker,
            stop,
            acts,
            serving: tokio::spawn(door.serve(socket)),
        }
    }

    /// Stops the door and waits until nothing of it is left.
    pub(super) async fn end(&mut self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        (&mut self.serving).await.unwrap();
    }

    pub(super) fn stranger(&self) -> Client {
        Client::new(self.address, &self.authority, None)
    }

    /// A client whose certificate ends `life` after noon.
    pub(super) fn workload(&self, life: Seconds) -> Client {
        let web = self.authority.svid("spiffe://td.example/web", noon(), life);
        Client::new(self.address, &self.authority, Some(web))
    }
}

pub(super) fn noon() -> Timestamp {
    "2026-01-31T12:00:00Z".parse().unwrap()
}

fn routes(acts: &Acts) -> Router {
    let (acting, waiting, telling) = (acts.clone(), acts.clone(), acts.clone());
    Router::new()
        .route("/who", get(who))
        .route("/panic", get(async || -> &'static str { panic!("a bug") }))
        .route("/ask", post(async |_: Json<ElevationRequest>| "asked"))
        .route("/list", get(async |_: Query<PageQuery>| "listed"))
        .route("/act", post(async move || acting.act().await))
        .route("/long", get(async move || telling.long()))
        .route("/never", get(async move || waiting.never().await))
}

async fn who(axum::Extension(peer): axum::Extension<Peer>) -> String {
    match peer.certificate {
        None => "nobody".to_owned(),
        Some(names) => names.uris.join(","),
    }
}

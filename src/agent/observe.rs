//! Health and metrics of the agent, for the machine that it runs on.
//!
//! Promises: `/livez` says that the process answers; `/readyz` that the agent can serve what it
//! holds: it was told everything once and its own SVID lives, or what is held lives on; `/metrics`
//! is text in the format of `OpenMetrics`. No secret, subject or scope appears here.
//! Refuses: everything else, and more than [`CONNECTIONS_MAX`] connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::identity::Own;
use crate::agent::link::Fare;
use crate::metric::{Counter, Gauge, Many, One, Sheet, agent_table};

/// The instruments of one agent; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    build: Many<Gauge>,
    connected: One<Gauge>,
    skew_ms: One<Gauge>,
    own_not_after: One<Gauge>,
    /// SVIDs held, by profile.
    pub(crate) held: Many<Gauge>,
    /// SVIDs minted, by profile.
    pub(crate) minted: Many<Counter>,
    /// Mints failed, by profile.
    pub(crate) failed: Many<Counter>,
    /// Connections open, by socket.
    pub(crate) connections: Many<Gauge>,
    /// Connections turned away, by socket.
    pub(crate) turned_away: Many<Counter>,
    /// Connections accepted, by socket.
    pub(crate) accepted: Many<Counter>,
    /// Calls turned away for want of a seat.
    pub(crate) calls_refused: One<Counter>,
    /// Streams of the Workload API ended, by why.
    pub(crate) streams_ended: Many<Counter>,
    /// Faults of sockets.
    pub(crate) faults: Many<Counter>,
    /// Scopes asked for, by answer.
    pub(crate) asks: Many<Counter>,
    /// Certificates denied.
    pub(crate) denied: One<Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            build: agent_table::BUILD.gauges(),
            connected: agent_table::CONNECTED.gauge(),
            skew_ms: agent_table::SKEW_MS.gauge(),
            own_not_after: agent_table::OWN_NOT_AFTER.gauge(),
            held: agent_table::SVIDS_HELD.gauges(),
            minted: agent_table::SVIDS_MINTED.counters(),
            failed: agent_table::MINTS_FAILED.counters(),
            connections: agent_table::CONNECTIONS.gauges(),
            turned_away: agent_table::CONNECTIONS_REFUSED.counters(),
            accepted: agent_table::CONNECTIONS_ACCEPTED.counters(),
            calls_refused: agent_table::CALLS_REFUSED.counter(),
            streams_ended: agent_table::STREAMS_ENDED.counters(),
            faults: agent_table::SOCKET_FAULTS.counters(),
            asks: agent_table::ASKS.counters(),
            denied: agent_table::DENIED.gauge(),
        }
    }
}

impl Metrics {
    /// Takes down how the agent fares now.
    pub(crate) fn note(&self, fare: Fare, own: Option<Own>) {
        self.build.set(env!("CARGO_PKG_VERSION"), 1);
        self.connected.set(i64::from(fare.connected));
        self.skew_ms.set(fare.skew_ms);
        self.own_not_after
            .set(own.map_or(0, |own| own.not_after.unix_s()));
    }

    fn text(&self, more: &dyn Fn(&mut Sheet)) -> String {
        let mut sheet = Sheet::default();
        self.build.on(&mut sheet);
        self.connected.on(&mut sheet);
        self.skew_ms.on(&mut sheet);
        self.own_not_after.on(&mut sheet);
        self.held.on(&mut sheet);
        self.minted.on(&mut sheet);
        self.failed.on(&mut sheet);
        self.connections.on(&mut sheet);
        self.turned_away.on(&mut sheet);
        self.accepted.on(&mut sheet);
        self.calls_refused.on(&mut sheet);
        self.streams_ended.on(&mut sheet);
        self.faults.on(&mut sheet);
        self.asks.on(&mut sheet);
        self.denied.on(&mut sheet);
        more(&mut sheet);
        sheet.text()
    }
}

/// What the door asks before it answers.
#[derive(Clone)]
pub(crate) struct Observed {
    /// The instruments.
    pub(crate) metrics: Metrics,
    /// Brings the gauges up to date; answers why the agent is not ready, or nothing.
    pub(crate) look: Arc<dyn Fn() -> Option<String> + Send + Sync>,
    /// Puts the instruments of other parts on the sheet.
    pub(crate) more: Arc<dyn Fn(&mut Sheet) + Send + Sync>,
}

/// Serves until the stop.
pub(crate) async fn serve(
    socket: TcpListener,
    observed: Observed,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (observed, stop) = (observed.clone(), stop.clone());
        tracker.spawn(async move {
            let _place = place;
            let answer = service_fn(move |request| {
                let answered = answer(&request, &observed);
                async move { Ok::<_, Infallible>(answered) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_LONGEST)
                .serve_connection(TokioIo::new(stream), answer);
            tokio::select! {
                // A connection that breaks is its client's to tell.
                _ = timeout(CONNECTION_LONGEST, serving) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Opens the door.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

fn answer(request: &Request<Incoming>, observed: &Observed) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match request.uri().path() {
        "/livez" => plain(StatusCode::OK, "ok\n".to_owned()),
        "/readyz" => match (observed.look)() {
            None => plain(StatusCode::OK, "ok\n".to_owned()),
            Some(why) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        },
        "/metrics" => {
            (observed.look)();
            let mut response = plain(StatusCode::OK, observed.metrics.text(&*observed.more));
            let kind = http::HeaderValue::from_static(OPEN_METRICS);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            response
        }
        _ => plain(StatusCode::NOT_FOUND, "there is no such path\n".to_owned()),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CONNECTIONS_MAX: usize = 64;
const HEAD_LONGEST: Duration = Duration::from_secs(10);
const CONNECTION_LONGEST: Duration = Duration::from_mins(5);
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

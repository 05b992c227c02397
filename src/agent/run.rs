//! An agent from its start to its end: the parts put together.
//!
//! ```text
//! hardened -> home -> own identity -> keeper -> sockets -> link -> until SIGTERM
//! ```
//!
//! Promises: the sockets are open before the server is asked for anything, so that who starts with
//! the host waits instead of failing; a server that is away keeps nothing from starting. At the end
//! the sockets are gone.
//! Refuses: to start where keys could reach a core dump, and beside another agent.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tonic::transport::server::Router;

use crate::agent::attestor::Attestor;
use crate::agent::authority::AnyAuthority;
use crate::agent::deny_list::DenyList;
use crate::agent::envoy;
use crate::agent::hardening::{HardeningError, harden};
use crate::agent::home::{Home, HomeError, is_read_by_all};
use crate::agent::identity::{Identity, IdentityError, Own};
use crate::agent::keeper::Keeper;
use crate::agent::keeper::tend::{Begin, tend};
use crate::agent::link::{Fare, Link};
use crate::agent::local_caller::LocalCaller;
use crate::agent::observe::{self, Metrics, Observed};
use crate::agent::report;
use crate::agent::sds::{Options, Validator};
use crate::agent::socket::{Incoming, Place, SeatLimits, SocketError, SocketState};
use crate::agent::status::Statuses;
use crate::agent::trouble::Troubles;
use crate::agent::uses::Uses;
use crate::agent::workload_socket::{SocketLimits, WorkloadSocket, serving};
use crate::agent::xds::{Streams, StreamsMax};
use crate::client::Client;
use crate::config::{AgentConfig, FirstProof, SdsConfig};
use crate::lifecycle::{Ending, Lifecycle, StopSignals, Supervisor, open_files};
use crate::metric::Sheet;
use crate::time::Clock;

/// Why an agent does not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// What was under way was cut off.
    #[error("the agent was stopped before all that was under way had ended")]
    Cut,
    /// The process cannot be made safe.
    #[error("keys cannot be kept safe in this process")]
    Hardening(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The agent's own folder.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The agent's identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The door of health and metrics does not open.
    #[error("cannot listen on `{0}`")]
    Observe(SocketAddr, #[source] io::Error),
    /// Callers cannot be attested here.
    #[error("callers cannot be attested: /proc is not as it must be")]
    Proc(#[source] io::Error),
    /// Reflection cannot be built.
    #[error("the services cannot be put together")]
    Services(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The operating system gives no signals.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// A socket does not open.
    #[error("the socket `{}` does not open", .0.display())]
    Socket(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What all parts share.
struct Parts {
    agent: String,
    lifecycle: Lifecycle,
    /// Of each socket.
    seats: SeatLimits,
    clock: Arc<dyn Clock>,
    client: Arc<Client>,
    keeper: Keeper,
    attestor: Arc<Attestor>,
    metrics: Metrics,
    own: watch::Receiver<Option<Own>>,
    fare: watch::Receiver<Fare>,
    troubles: Troubles,
    denied: watch::Receiver<Arc<DenyList>>,
    streams: Arc<Streams>,
    uses: Arc<Uses>,
    /// Whether each socket is where it belongs; written while the doors open.
    sockets: Mutex<Vec<watch::Receiver<SocketState>>>,
}

/// Runs an agent until it is told to stop.
///
/// # Errors
/// Why it does not start, or was cut off at its end.
pub async fn run(config: &AgentConfig, clock: Arc<dyn Clock>) -> Result<(), AgentError> {
    // First of all: as process 1 of a container nothing else would end a start.
    let mut signals = StopSignals::listen().map_err(AgentError::Signals)?;
    harden().map_err(|error: HardeningError| AgentError::Hardening(error.into()))?;
    let seats = SeatLimits::default().within(open_files());
    let parts = begin(config, clock, seats).await?;
    let supervisor = Supervisor::of_process();
    supervisor.ready("serving");
    tracing::info!(agent = %config.subject, "the agent serves");
    parts.lifecycle.until_stop(&mut signals).await;
    tracing::info!("stopping");
    supervisor.stopping();
    let lifecycle = parts.lifecycle.clone();
    let nothing = std::future::ready(());
    match lifecycle.drain(&mut signals, GRACE, nothing, parts).await {
        Ending::Drained => Ok(()),
        Ending::Cut => Err(AgentError::Cut),
    }
}

/// Puts the parts together and starts them: first the sockets, then what asks the server.
async fn begin(
    config: &AgentConfig,
    clock: Arc<dyn Clock>,
    seats: SeatLimits,
) -> Result<Parts, AgentError> {
    let home = Arc::new(Home::open(&config.state)?);
    if let Some(FirstProof::JoinToken(path)) = &config.proof
        && is_read_by_all(path)
    {
        let path = path.display();
        tracing::warn!(%path, "everybody here may read the join token: chmod o-r it");
    }
    let identity = Identity::open(config, Arc::clone(&home), &clock)?;
    let attestor = Attestor::new(config.program_bytes_max, Arc::clone(&clock));
    let attestor = attestor.map_err(AgentError::Proc)?;
    let (orders, keeper_orders) = mpsc::channel(ORDERS_MAX);
    let (news, keeper_news) = mpsc::channel(NEWS_MAX);
    let own = watch::Sender::new(identity.held());
    let fare = watch::Sender::default();
    let denied = watch::Sender::new(Arc::new(DenyList::default()));
    let trust_domain = config.subject.trust_domain().clone();
    let parts = Parts {
        agent: config.subject.to_string(),
        clock,
        seats,
        client: Arc::clone(&identity.client),
        keeper: Keeper::new(orders, news, attestor.needs()),
        attestor,
        metrics: Metrics::default(),
        own: own.subscribe(),
        fare: fare.subscribe(),
        troubles: Troubles::default(),
        denied: denied.subscribe(),
        streams: Streams::new(StreamsMax::default()),
        uses: Arc::new(Uses::of(trust_domain.clone())),
        sockets: Mutex::default(),
        lifecycle: Lifecycle::default(),
    };
    let (tracker, stop) = (&parts.lifecycle.tracker, || parts.lifecycle.stop.clone());
    let tending = Begin {
        agent: config.subject.id().clone(),
        first: home.first_generation(),
        client: Arc::clone(&parts.client),
        attestor: Arc::clone(&parts.attestor),
        metrics: parts.metrics.clone(),
    };
    tracker.spawn(tend(tending, keeper_orders, keeper_news, stop()));
    parts.open_doors(config).await?;
    let link = Link {
        client: Arc::clone(&parts.client),
        first: home.first_generation(),
        home,
        keeper: parts.keeper.clone(),
        trust_domain,
        deny_list: config.sds.as_ref().is_some_and(|sds| sds.deny_list),
        fare,
        troubles: parts.troubles.clone(),
        denied,
    };
    tracker.spawn(link.follow(own.subscribe(), stop()));
    tracker.spawn(identity.keep(own, parts.troubles.clone(), stop()));
    Ok(parts)
}

impl Parts {
    async fn open_doors(&self, config: &AgentConfig) -> Result<(), AgentError> {
        self.open_workload_socket(config).await?;
        if let Some(sds) = &config.sds {
            self.open_sds(sds)?;
        }
        if let Some(address) = config.observe {
            let socket = observe::listen(address).await;
            let socket = socket.map_err(|error| AgentError::Observe(address, error))?;
            let (tracker, stop) = (&self.lifecycle.tracker, &self.lifecycle.stop);
            let serving = observe::serve(socket, self.observed(), tracker.clone(), stop.clone());
            tracker.spawn(serving);
        }
        Ok(())
    }

    async fn open_workload_socket(&self, config: &AgentConfig) -> Result<(), AgentError> {
        let (health, _) = tonic_health::server::health_reporter();
        serving(&health, false).await;
        let socket = WorkloadSocket {
            keeper: self.keeper.clone(),
            clock: Arc::clone(&self.clock),
            server: Arc::clone(&self.client),
            status: self.statuses().source(),
            health: health.clone(),
            own_uid: rustix::process::geteuid().as_raw(),
            limits: SocketLimits::standard(),
            metrics: self.metrics.clone(),
        };
        let router = socket.router();
        let router = router.map_err(|error| AgentError::Services(Box::new(error)))?;
        self.open_socket(&config.workload_socket, "workload", router)?;
        // Probes are told that callers are served once everything was told.
        let (mut fare, stop) = (self.fare.clone(), self.lifecycle.stop.clone());
        self.lifecycle.tracker.spawn(async move {
            let told = tokio::select! {
                told = fare.wait_for(|fare| fare.connected) => told.is_ok(),
                () = stop.cancelled() => false,
            };
            if told {
                serving(&health, true).await;
                stop.cancelled().await;
            }
            serving(&health, false).await;
        });
        Ok(())
    }

    fn open_sds(&self, sds: &SdsConfig) -> Result<(), AgentError> {
        let uses = Arc::clone(&self.uses);
        let validator = if sds.spiffe_validator {
            Validator::Spiffe
        } else {
            Validator::Plain
        };
        let router = envoy::router::<LocalCaller>(envoy::Parts {
            keeper: self.keeper.clone(),
            clock: Arc::clone(&self.clock),
            options: Options {
                validator,
                on_demand: sds.on_demand.clone(),
                hold: sds.hold,
                fetch_wait: FETCH_WAIT,
            },
            deny_list: self.denied.clone(),
            uses: Arc::clone(&uses),
            streams: Arc::clone(&self.streams),
            stop: self.lifecycle.stop.clone(),
        });
        self.open_socket(&sds.socket, "sds", router)?;
        if sds.report_uses {
            let (client, stop) = (Arc::clone(&self.client), self.lifecycle.stop.clone());
            let reporting = report::uses(uses, client, stop);
            self.lifecycle.tracker.spawn(reporting);
        }
        Ok(())
    }

    fn open_socket(
        &self,
        path: &std::path::Path,
        name: &'static str,
        router: Router,
    ) -> Result<(), AgentError> {
        let wrong = |error: SocketError| AgentError::Socket(path.to_owned(), error.into());
        let place = Place::open_to_all(path);
        let incoming =
            Incoming::open(place, self.seats, Arc::clone(&self.attestor)).map_err(wrong)?;
        self.watch_socket(&incoming, name);
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.push(incoming.state());
        drop(sockets);
        let stop = self.lifecycle.stop.clone().cancelled_owned();
        let path = path.to_owned();
        self.lifecycle.tracker.spawn(async move {
            let incoming = incoming.map(|local| local.map(AnyAuthority::new));
            let served = router.serve_with_incoming_shutdown(incoming, stop).await;
            if let Err(error) = served {
                let error: &dyn std::error::Error = &error;
                tracing::error!(path = %path.display(), error, "a socket is served no more");
            }
        });
        Ok(())
    }

    /// Keeps the metrics of a socket up to date.
    fn watch_socket(&self, incoming: &Incoming, name: &'static str) {
        let (sitting, tally) = (incoming.sitting(), incoming.tally());
        let metrics = self.metrics.clone();
        let mut before = [0_u64; 4];
        self.lifecycle.repeat(GLANCE_EVERY, move || {
            let count = i64::try_from(sitting()).unwrap_or(i64::MAX);
            metrics.connections.set(name, count);
            let refused = tally
                .refused_full()
                .saturating_add(tally.refused_full_of_uid())
                .saturating_add(tally.refused_unknown());
            let now = [tally.accepted(), refused, tally.faults(), tally.losses()];
            let [accepted, refused, faults, losses] =
                std::array::from_fn(|at| match (now.get(at), before.get(at)) {
                    (Some(now), Some(before)) => now.saturating_sub(*before),
                    _ => 0,
                });
            before = now;
            metrics.accepted.add_many(name, accepted);
            metrics.turned_away.add_many(name, refused);
            metrics.faults.add_many("accept", faults);
            metrics.faults.add_many("lost", losses);
            std::future::ready(())
        });
    }

    fn statuses(&self) -> Statuses {
        Statuses {
            agent: self.agent.clone(),
            keeper: self.keeper.clone(),
            own: self.own.clone(),
            fare: self.fare.clone(),
            troubles: self.troubles.clone(),
            streams: Arc::clone(&self.streams),
        }
    }

    fn observed(&self) -> Observed {
        let metrics = self.metrics.clone();
        let (own, fare, denied) = (self.own.clone(), self.fare.clone(), self.denied.clone());
        let sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let sockets = sockets.clone();
        let look = move || {
            let (own, fare) = (*own.borrow(), *fare.borrow());
            metrics.note(fare, own);
            let count = i64::try_from(denied.borrow().digests.len()).unwrap_or(i64::MAX);
            metrics.denied.set(count);
            if sockets
                .iter()
                .any(|socket| *socket.borrow() == SocketState::Lost)
            {
                return Some("not ready: a socket was removed or replaced; see the log".to_owned());
            }
            match (own, fare.connected) {
                (None, _) => Some("not ready: the agent has no SVID of its own".to_owned()),
                (Some(_), false) => {
                    Some("not ready: the stream from the server does not stand".to_owned())
                }
                (Some(_), true) => None,
            }
        };
        let (streams, uses) = (Arc::clone(&self.streams), Arc::clone(&self.uses));
        let attestor = Arc::clone(&self.attestor);
        let more = move |sheet: &mut Sheet| {
            attestor.on(sheet);
            streams.on(sheet);
            uses.on(sheet);
        };
        Observed {
            metrics: self.metrics.clone(),
            look: Arc::new(look),
            more: Arc::new(more),
        }
    }
}

/// How long a stop waits for what is under way.
const GRACE: Duration = Duration::from_secs(5);
const GLANCE_EVERY: Duration = Duration::from_secs(5);
/// How long a single request for secrets waits for minting.
const FETCH_WAIT: Duration = Duration::from_secs(5);
/// Orders of the sockets that wait for the keeper.
const ORDERS_MAX: usize = 1_024;
/// What the server told and the keeper has not read; the server's stream waits meanwhile.
const NEWS_MAX: usize = 256;

//! From a configuration to a running server.
//!
//! Promises: see [`crate::server`]. The order below is the whole of the start-up.
//! Refuses: to serve before everything that it needs is there.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::server::ResolvesServerCert;
use tokio::net::TcpListener;

use crate::api::health::Probes;
use crate::api::http::{health_router, router};
use crate::api::listener::limits::Limits;
use crate::api::listener::tls::{TlsError, client_verifier, server_config};
use crate::api::listener::{Door, Transport};
use crate::api::request::Passage;
use crate::config::ServerConfig;
use crate::id::entropy::Entropy;
use crate::lifecycle::Lifecycle;
use crate::pki::{Authority, Setup, SetupError, Started};
use crate::policy::{BundleSource, PolicyError};
use crate::server::certificate::ServerCertificate;
use crate::server::head;
use crate::server::peers::OwnLeaves;
use crate::service::{Service, ServiceError};
use crate::store::sqlite::Sqlite;
use crate::store::{Store, StoreError};
use crate::time::Clock;
use crate::x509::{Certificate, CertificateError, PrivateKeyError};

/// A server that is serving.
pub struct Running {
    /// Its walks.
    pub service: Arc<Service>,
    /// Where the API is reached.
    pub address: SocketAddr,
    /// Its tasks.
    pub lifecycle: Lifecycle,
    /// What the start found of earlier lives.
    pub started: Started,
    /// Where the first operator's credential was written, at the first start.
    pub operator_file: PathBuf,
    /// The data directory.
    data: PathBuf,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A certificate cannot be read.
    #[error("a certificate cannot be read")]
    Certificate(#[from] CertificateError),
    /// An address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    /// A key cannot be made.
    #[error("a key cannot be made")]
    Key(#[from] PrivateKeyError),
    /// A file cannot be read or written.
    #[error("cannot {1} `{0}`")]
    File(PathBuf, &'static str, #[source] io::Error),
    /// The policy bundle cannot be read.
    #[error("the policy bundle cannot be read")]
    Policy(#[from] PolicyError),
    /// The service does not open.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The authority does not open.
    #[error("the authority does not open")]
    Setup(#[from] SetupError),
    /// The operating system gives no signals.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// The store does not open.
    #[error("the store does not open")]
    Store(#[from] StoreError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
    /// Clients cannot be verified.
    #[error("clients cannot be verified")]
    Verifier(#[from] TlsError),
}

/// Runs a server until it is told to stop.
///
/// # Errors
/// Why it does not start.
pub async fn serve(config: &ServerConfig, clock: Arc<dyn Clock>) -> Result<(), StartError> {
    let running = start(config, clock).await?;
    if running.service.in_force().is_err() {
        tracing::warn!("no policy is in force; nothing is minted until one is activated");
    }
    running.wait().await
}

impl Running {
    /// Serves until SIGTERM or SIGINT, and then until what is under way has ended.
    ///
    /// # Errors
    /// When no signals can be received.
    pub async fn wait(self) -> Result<(), StartError> {
        tracing::info!(address = %self.address, "serving");
        let stopped = self.lifecycle.finish(GRACE).await;
        stopped.map_err(StartError::Signals)?;
        told(
            "memory of the ledger's head",
            head::remember(self.service.store.as_ref(), &self.data).await,
        );
        tracing::info!("stopped");
        Ok(())
    }
}

/// Starts a server.
///
/// # Errors
/// Why it does not start.
pub async fn start(config: &ServerConfig, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    make_directory(&config.data)?;
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&config.data.join(STORE_FILE))?);
    // Before anything is signed: what an older copy calls a leftover may have its certificate.
    head::compare(store.as_ref(), &config.data, clock.now()).await?;
    let setup = Setup {
        trust_domain: config.trust_domain.clone(),
        directory: config.data.join(AUTHORITY_DIRECTORY),
        issuer: config.issuer.clone(),
        profiles: config.profiles.clone(),
        serial_instance: config.serial_instance,
    };
    let entropy = Entropy::system();
    let (authority, started) =
        Authority::open(setup, store.as_ref(), &entropy, clock.now()).await?;
    if started != Started::default() {
        tracing::warn!(
            finished = started.finished,
            told = started.told,
            "a crash left intents"
        );
    }
    let service = Service::open(Arc::clone(&store), authority, Arc::clone(&clock), entropy).await?;
    let service = Arc::new(service);
    service.record_start(env!("CARGO_PKG_VERSION")).await?;
    first_policy(&service, config.first_policy.as_deref()).await?;
    let operator_file = config.data.join(OPERATOR_FILE);
    first_operator(&service, &operator_file).await?;
    write_bundle(&service, &config.data)?;
    let names = (config.dns_names.clone(), config.ip_addresses.clone());
    let certificate = ServerCertificate::mint(&service, names).await?;
    let lifecycle = Lifecycle::default();
    // Before the doors open: who is answered may already send a signal.
    lifecycle
        .listen_for_signals()
        .map_err(StartError::Signals)?;
    let probes = probes(&service, &lifecycle);
    let address = open_doors(
        config,
        &service,
        Arc::clone(&certificate),
        &probes,
        &lifecycle,
        clock,
    )
    .await?;
    head::remember(store.as_ref(), &config.data).await?;
    background(&service, certificate, &config.data, &lifecycle);
    Ok(Running {
        service,
        address,
        lifecycle,
        started,
        operator_file,
        data: config.data.clone(),
    })
}

async fn open_doors(
    config: &ServerConfig,
    service: &Arc<Service>,
    certificate: Arc<ServerCertificate>,
    probes: &Probes,
    lifecycle: &Lifecycle,
    clock: Arc<dyn Clock>,
) -> Result<SocketAddr, StartError> {
    let anchor = service.authority().anchor();
    let anchors = anchor.into_iter().map(Certificate::der);
    let verifier = Arc::new(OwnLeaves {
        webpki: client_verifier(anchors)?,
        service: Arc::clone(service),
    });
    let resolver: Arc<dyn ResolvesServerCert> = certificate;
    let tls = server_config(resolver, verifier, Arc::clone(&clock))?;
    let passage = Passage {
        clock: Arc::clone(&clock),
        entropy: Arc::new(Entropy::system()),
        tracker: lifecycle.tracker.clone(),
    };
    let door = Door {
        transport: Transport::Tls(Arc::new(tls)),
        router: router(Arc::clone(service), probes, passage.clone()),
        limits: Limits::standard(),
        clock,
        tracker: lifecycle.tracker.clone(),
        stop: lifecycle.stop.clone(),
    };
    if let Some(observe) = config.observe {
        let plain = Door {
            transport: Transport::Plain,
            router: health_router(probes, passage),
            ..door.clone()
        };
        let (socket, _) = listen(observe).await?;
        lifecycle.tracker.spawn(plain.serve(socket));
    }
    let (socket, address) = listen(config.listen).await?;
    lifecycle.tracker.spawn(door.serve(socket));
    Ok(address)
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error| StartError::Listen(address, error);
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?;
    Ok((socket, bound))
}

/// The rounds that keep the authority going.
fn background(
    service: &Arc<Service>,
    certificate: Arc<ServerCertificate>,
    data: &Path,
    lifecycle: &Lifecycle,
) {
    let sweeping = Arc::clone(service);
    lifecycle.repeat(SWEEP_EVERY, move || {
        let service = Arc::clone(&sweeping);
        async move {
            told("sweep", service.sweep().await);
        }
    });
    let finishing = Arc::clone(service);
    lifecycle.repeat(FINISH_EVERY, move || {
        let service = Arc::clone(&finishing);
        async move {
            told("finishing of leftovers", service.finish_leftovers().await);
        }
    });
    let (remembering, data) = (Arc::clone(service), data.to_owned());
    lifecycle.repeat(REMEMBER_EVERY, move || {
        let (service, data) = (Arc::clone(&remembering), data.clone());
        async move {
            told(
                "memory of the ledger's head",
                head::remember(service.store.as_ref(), &data).await,
            );
        }
    });
    let rotating = Arc::clone(service);
    lifecycle.repeat(ROTATE_EVERY, move || {
        let (service, certificate) = (Arc::clone(&rotating), Arc::clone(&certificate));
        async move {
            told("renewal of issuers", service.rotate().await);
            told(
                "renewal of the server's certificate",
                certificate.renew(&service).await,
            );
        }
    });
}

/// Logs a round that failed; the next one is the retry.
fn told<T, E: Error>(round: &str, outcome: Result<T, E>) {
    if let Err(error) = outcome {
        let causes = std::iter::successors(error.source(), |cause| (*cause).source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        tracing::error!(round, %error, ?causes, "a background round failed");
    }
}

/// What the probes answer: readiness is looked at in rounds, so that a probe costs nothing.
fn probes(service: &Arc<Service>, lifecycle: &Lifecycle) -> Probes {
    let unready = Arc::new(RwLock::new(Vec::new()));
    let (looking, told) = (Arc::clone(service), Arc::clone(&unready));
    lifecycle.repeat(PROBE_EVERY, move || {
        let (service, unready) = (Arc::clone(&looking), Arc::clone(&told));
        async move {
            let found = service.ready().await.err().map(|error| error.to_string());
            let found = found.into_iter().collect::<Vec<_>>();
            *unready.write().unwrap_or_else(PoisonError::into_inner) = found;
        }
    });
    let measured = Arc::clone(service);
    Probes {
        unready: Arc::new(move || {
            let found = unready
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            Box::pin(std::future::ready(found))
        }),
        metrics: Arc::new(move || measured.metrics()),
    }
}

async fn first_policy(service: &Service, directory: Option<&Path>) -> Result<(), StartError> {
    if service.in_force().is_ok() {
        return Ok(());
    }
    if let Some(directory) = directory {
        let source = read_bundle(directory)?;
        let policy = service.activate_first_policy(&source).await?;
        tracing::info!(version = %policy.version, "first policy is in force");
    }
    Ok(())
}

async fn first_operator(service: &Service, file: &Path) -> Result<(), StartError> {
    if service.has_operator().await? {
        return Ok(());
    }
    // The file first: a crash in between leaves a credential that opens nothing and is replaced.
    // The other way round it would leave an authority that nobody can operate.
    let bearer = service.draw_operator();
    write_private(file, &bearer.reveal())?;
    Ok(service.admit_operator(&bearer).await?)
}

/// Reads the files of a bundle from a directory.
///
/// # Errors
/// Why they are no bundle.
pub(crate) fn read_bundle(directory: &Path) -> Result<BundleSource, StartError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| StartError::File(path, "read", error)
    };
    let mut files = Vec::new();
    for (folder, prefix) in [
        (directory.to_owned(), ""),
        (directory.join("tests"), "tests/"),
    ] {
        if !folder.is_dir() {
            continue;
        }
        for file in fs::read_dir(&folder).map_err(failed(&folder))? {
            let path = file.map_err(failed(&folder))?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_file() && !name.starts_with('.') {
                let text = fs::read_to_string(&path).map_err(failed(&path))?;
                files.push((format!("{prefix}{name}"), text));
            }
        }
    }
    Ok(BundleSource::collect(files)?)
}

fn write_bundle(service: &Service, data: &Path) -> Result<(), StartError> {
    let path = data.join(BUNDLE_FILE);
    write_whole(&path, &service.trust_bundle().to_pem(), 0o644)
}

fn make_directory(path: &Path) -> Result<(), StartError> {
    let failed = |error| StartError::File(path.to_owned(), "make directory", error);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed)
}

/// Writes a secret that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), StartError> {
    write_whole(path, text, 0o600)
}

/// Writes a file that is never seen half written, and is durable when this returns.
fn write_whole(path: &Path, text: &str, mode: u32) -> Result<(), StartError> {
    let failed = |error| StartError::File(path.to_owned(), "write", error);
    let new = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(mode);
    let mut file = options.open(&new).map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path))
        .map_err(failed)?;
    let folder = path.parent().unwrap_or(path);
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The store's file in the data directory.
pub(crate) const STORE_FILE: &str = "protem.db";
/// Where the first operator's credential is written.
const OPERATOR_FILE: &str = "operator.token";
/// The roots, for clients.
const BUNDLE_FILE: &str = "bundle.pem";
const AUTHORITY_DIRECTORY: &str = "ca";
/// How long a stop waits for requests that are under way.
const GRACE: Duration = Duration::from_secs(20);
const SWEEP_EVERY: Duration = Duration::from_secs(1);
const FINISH_EVERY: Duration = Duration::from_secs(5);
const REMEMBER_EVERY: Duration = Duration::from_mins(1);
const ROTATE_EVERY: Duration = Duration::from_mins(1);
const PROBE_EVERY: Duration = Duration::from_secs(2);

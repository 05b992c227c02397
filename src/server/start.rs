//! From a configuration to a running server.
//!
//! Promises: see [`crate::server`]. The order below is the whole of the start-up.
//! Refuses: to serve before everything that it needs is there.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::server::ResolvesServerCert;

use crate::api::health::Probes;
use crate::api::http::{health_router, router};
use crate::api::listener::limits::Limits;
use crate::api::listener::tls::{TlsError, client_verifier, server_config};
use crate::api::listener::{Door, Transport};
use crate::api::request::Passage;
use crate::api::traffic::Traffic;
use crate::attestation::Neighbour;
use crate::config::ServerConfig;
use crate::id::entropy::Entropy;
use crate::keyset::KeySourceError;
use crate::lifecycle::{Ending, Lifecycle, StopSignals, open_files};
use crate::pki::{Authority, Setup, SetupError, Started};
use crate::policy::{BundleSource, PolicyError};
use crate::server::bundles::BundleError;
use crate::server::certificate::ServerCertificate;
use crate::server::head;
use crate::server::peers::Peers;
use crate::server::reach::{listen, local_url};
use crate::server::strangers::{Desks, bundles};
use crate::server::watch::Watch;
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
    /// How clients on this machine reach it; also in `server.url` of the data directory.
    pub url: String,
    signals: StopSignals,
    watch: Arc<Watch>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The bundle of another authority cannot be used.
    #[error("a bundle of a trust domain is refused")]
    Bundle(#[from] BundleError),
    /// A certificate cannot be read.
    #[error("a certificate cannot be read")]
    Certificate(#[from] CertificateError),
    /// Not a start that failed, but an end: requests were under way.
    #[error("stopped before everything under way was answered")]
    Cut,
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {0}; where another program has the port, name another with `--listen` of \
         `protem dev`, or `listen` and `observe` in the configuration of `protem serve`"
    )]
    Listen(SocketAddr, #[source] io::Error),
    /// The keys of a token issuer cannot be read.
    #[error("the keys of a token issuer cannot be read")]
    IssuerKeys(#[from] KeySourceError),
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
    /// [`StartError::Cut`] when a second signal came, or the time to end in was over, first.
    pub async fn wait(mut self) -> Result<(), StartError> {
        tracing::info!(address = %self.address, "serving");
        self.lifecycle.until_stop(&mut self.signals).await;
        tracing::info!("stopping");
        self.watch.stopping();
        let service = Arc::clone(&self.service);
        let data = self.data;
        let last = async move {
            told("last count of refusals", service.record_overflow().await);
            let remembered = head::remember(service.store.as_ref(), &data).await;
            told("memory of the ledger's head", remembered);
        };
        let rest = (self.service, self.watch);
        let drained = self.lifecycle.drain(&mut self.signals, GRACE, last, rest);
        match drained.await {
            Ending::Drained => {
                tracing::info!("stopped");
                Ok(())
            }
            // The next start finds what was recorded and not answered (DESIGN promise 2).
            Ending::Cut => Err(StartError::Cut),
        }
    }
}

/// Starts a server.
///
/// # Errors
/// Why it does not start.
pub async fn start(config: &ServerConfig, clock: Arc<dyn Clock>) -> Result<Running, StartError> {
    // First of all: as process 1 of a container nothing else would end a start.
    let signals = StopSignals::listen().map_err(StartError::Signals)?;
    make_directory(&config.data)?;
    let sqlite = Sqlite::open(&config.data.join(STORE_FILE))?;
    let meters = sqlite.meters();
    let store: Arc<dyn Store> = Arc::new(sqlite);
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
    let desks = Desks::open(&config.token_issuers, clock.as_ref()).await?;
    let service = Arc::new(service.with_strangers(desks.strangers(config)));
    service.record_start(env!("CARGO_PKG_VERSION")).await?;
    first_policy(&service, config.first_policy.as_deref()).await?;
    let operator_file = config.data.join(OPERATOR_FILE);
    first_operator(&service, &operator_file).await?;
    write_bundle(&service, &config.data)?;
    let names = (config.dns_names.clone(), config.ip_addresses.clone());
    let certificate = ServerCertificate::mint(&service, names).await?;
    let lifecycle = Lifecycle::default();
    desks.run(&lifecycle, &clock);
    let watch = Watch::begin(Arc::clone(&service)).await;
    let traffic = Traffic::default();
    let probes = watch.probes(Arc::clone(&certificate), meters, traffic.clone());
    let address = open_doors(
        config,
        &service,
        Arc::clone(&certificate),
        (&probes, traffic),
        &lifecycle,
        clock,
    )
    .await?;
    head::remember(store.as_ref(), &config.data).await?;
    let url = local_url(config, address);
    write_whole(&config.data.join(URL_FILE), &url, 0o600)?;
    background(&service, certificate, &config.data, &lifecycle);
    watch.go_on(&lifecycle);
    Ok(Running {
        service,
        address,
        lifecycle,
        started,
        operator_file,
        data: config.data.clone(),
        url,
        signals,
        watch,
    })
}

async fn open_doors(
    config: &ServerConfig,
    service: &Arc<Service>,
    certificate: Arc<ServerCertificate>,
    (probes, traffic): (&Probes, Traffic),
    lifecycle: &Lifecycle,
    clock: Arc<dyn Clock>,
) -> Result<SocketAddr, StartError> {
    let anchor = service.authority().anchor();
    let anchors = anchor.into_iter().map(Certificate::der);
    let verifier = Arc::new(Peers {
        webpki: client_verifier(anchors)?,
        service: Arc::clone(service),
        bundles: bundles(config, service, lifecycle)?,
    });
    let resolver: Arc<dyn ResolvesServerCert> = certificate;
    let tls = server_config(resolver, verifier, Arc::clone(&clock))?;
    let passage = Passage {
        clock: Arc::clone(&clock),
        entropy: Arc::new(Entropy::system()),
        tracker: lifecycle.tracker.clone(),
        traffic: traffic.clone(),
    };
    let door = Door {
        transport: Transport::Tls(Arc::new(tls)),
        router: router(Arc::clone(service), probes, passage.clone()),
        limits: Limits::standard().within(open_files()),
        clock,
        unproved: unproved(service),
        tracker: lifecycle.tracker.clone(),
        traffic,
        stop: lifecycle.stop.clone(),
    };
    if let Some(observe) = config.observe {
        let plain = Door {
            transport: Transport::Plain,
            // What the machine asks about health is not the API's traffic.
            router: health_router(
                probes,
                Passage {
                    traffic: Traffic::default(),
                    ..passage
                },
            ),
            ..door.clone()
        };
        let (socket, _) = listen(observe).await?;
        lifecycle.tracker.spawn(plain.serve(socket));
    }
    let (socket, address) = listen(config.listen).await?;
    lifecycle.tracker.spawn(door.serve(socket));
    Ok(address)
}

/// Counts peers that the listener refuses; what else is wrong with them is in the log.
fn unproved(service: &Arc<Service>) -> Arc<dyn Fn(IpAddr, &'static str) + Send + Sync> {
    let service = Arc::clone(service);
    Arc::new(move |from, code| {
        // The listener has answered already; whether it was one too many changes nothing.
        let _ = service.heed_unproved(Some(Neighbour::of(from)), code);
    })
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
    let (judging, stop) = (Arc::clone(service), lifecycle.stop.clone());
    lifecycle.tracker.spawn(async move {
        loop {
            tokio::select! {
                () = judging.pending_is_due() => {}
                () = stop.cancelled() => return,
            }
            told("judging of what is pending", judging.judge_pending().await);
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
    let counting = Arc::clone(service);
    lifecycle.repeat(COUNT_EVERY, move || {
        let service = Arc::clone(&counting);
        async move {
            told("count of refusals", service.record_overflow().await);
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
pub(crate) const OPERATOR_FILE: &str = "operator.token";
/// The roots, for clients.
const BUNDLE_FILE: &str = "bundle.pem";
/// Where clients beside the data directory find the server.
const URL_FILE: &str = "server.url";
pub(crate) const AUTHORITY_DIRECTORY: &str = "ca";
/// How long a stop waits for requests that are under way.
const GRACE: Duration = Duration::from_secs(20);
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often what was refused beyond recording is recorded as counts.
const COUNT_EVERY: Duration = Duration::from_mins(1);
const FINISH_EVERY: Duration = Duration::from_secs(5);
const REMEMBER_EVERY: Duration = Duration::from_mins(1);
const ROTATE_EVERY: Duration = Duration::from_mins(1);

//! What all workers of a run share: the place, the clients' files, and what came of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protem::client::{Client, ClientError, Minted, MintedError, Proof, Wanted, read_roots};
use protem::config::DEV_TRUST_DOMAIN;
use protem::id::entropy::Entropy;
use protem::time::{Clock, SystemClock};
use protem::wire::entry::EntryRequest;
use protem::wire::problem::ProblemKind;
use protem::wire::svid::SvidView;
use protem::x509::{Certificate, Fingerprint, PublicKey, read_chain};

use rusqlite::{Connection, OpenFlags};

use crate::crash::{WORKERS, write_policy};
use crate::live::Place;

/// Where it happens, and what happened.
pub(crate) struct House {
    pub(crate) place: Place,
    pub(crate) seed: u64,
    /// What clients need of the server's files, where no power is cut.
    held: PathBuf,
    /// Folders of clients, one each.
    pub(crate) folders: PathBuf,
    /// Tells the workers to end.
    pub(crate) stop: AtomicBool,
    pub(crate) tally: Mutex<Tally>,
    /// Elevations that somebody opened, newest last, for others to revoke.
    pub(crate) opened: Mutex<Vec<String>>,
}

/// What happened.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) received: Vec<Received>,
    /// The keys of requests of which only one certificate may come, however often they were made.
    pub(crate) asked_once: Vec<Fingerprint>,
    /// What was done how often.
    pub(crate) done: BTreeMap<String, u64>,
    /// What must not happen.
    pub(crate) wrong: Vec<String>,
}

/// A certificate that a client has in hands.
pub(crate) struct Received {
    pub(crate) certificate: Certificate,
    /// The elevation and the intent that the answer named, where it named any.
    pub(crate) elevation: Option<String>,
    pub(crate) event: Option<u64>,
}

/// Chance that can be repeated.
pub(crate) struct Dice(Entropy);

impl House {
    pub(crate) fn new(directory: &Path, seed: u64) -> Self {
        let policy = directory.join("policy");
        write_policy(&policy);
        let folders = directory.join("clients");
        fs::create_dir(&folders).unwrap();
        let mut place = Place::new(&directory.join("data"));
        place.policy = Some(policy);
        Self {
            place,
            seed,
            held: directory.to_owned(),
            folders,
            stop: AtomicBool::new(false),
            tally: Mutex::default(),
            opened: Mutex::default(),
        }
    }

    /// A client whose idempotency keys are drawn from `key`: the same key, the same requests.
    pub(crate) fn client(&self, proof: Proof, key: u64) -> Client {
        Client {
            address: self.place.url().parse().unwrap(),
            bundle: self.bundle(),
            proof,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Entropy::seeded(key)),
        }
    }

    pub(crate) fn operator(&self) -> Client {
        let file = self.held.join(CREDENTIALS[1]);
        self.client(Proof::BearerFile(file), 0)
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.held.join(CREDENTIALS[0])
    }

    /// Copies what clients need of the server's files.
    pub(crate) fn keep_credentials(&self) {
        for name in CREDENTIALS {
            fs::copy(self.place.directory.join(name), self.held.join(name)).unwrap();
        }
    }

    /// The server's files are those of its first start.
    pub(crate) fn credentials_are_whole(&self) {
        for name in CREDENTIALS {
            let [now, first] = [&self.place.directory, &self.held]
                .map(|folder| fs::read_to_string(folder.join(name)).unwrap());
            assert_eq!(now, first, "{name}");
        }
    }

    /// How often something was done.
    pub(crate) fn done(&self, what: &str) -> u64 {
        let tally = self.tally.lock().unwrap();
        tally.done.get(what).copied().unwrap_or_default()
    }

    /// How many certificates clients have in hands.
    pub(crate) fn received_count(&self) -> u64 {
        self.tally.lock().unwrap().received.len() as u64
    }

    /// Makes an entry for each worker.
    pub(crate) async fn register(&self) {
        for number in 0..WORKERS {
            let request = EntryRequest {
                subject: subject(number),
                obtained_by: vec!["token".to_owned()],
                owner: "crew".to_owned(),
                groups: vec!["crew".to_owned()],
                life: "3m".to_owned(),
                ..EntryRequest::default()
            };
            self.operator().put_entry(&request).await.unwrap();
        }
    }

    /// Waits a moment until an intent stands in the store without its outcome.
    pub(crate) fn is_signing(&self) -> bool {
        let store = self.place.directory.join("protem.db");
        let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut open = store.prepare("SELECT 1 FROM unfinished").unwrap();
        let end = Instant::now() + SIGNING_LONGEST;
        while Instant::now() < end {
            if open.exists([]).unwrap() {
                return true;
            }
        }
        false
    }

    pub(crate) fn did(&self, what: &str) {
        let mut tally = self.tally.lock().unwrap();
        *tally.done.entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn wrong(&self, what: String) {
        self.tally.lock().unwrap().wrong.push(what);
    }

    /// Keeps the certificate of an answer, and holds it against what was asked.
    pub(crate) fn received(&self, view: &SvidView, key: &PublicKey, scope: Option<&str>) {
        let leaf = read_chain(view.chain.as_bytes()).unwrap().swap_remove(0);
        if view.fingerprint != leaf.fingerprint().to_string() {
            self.wrong(format!("{}: not its fingerprint", view.fingerprint));
        }
        let received = Received {
            certificate: leaf,
            elevation: view.elevation.clone(),
            event: Some(view.event),
        };
        self.tally.lock().unwrap().received.push(received);
        let wanted = Wanted {
            key,
            scope,
            subject: None,
        };
        let roots = read_roots(&fs::read(self.bundle()).unwrap(), String::new).unwrap();
        match Minted::check(view, &wanted, &roots, SystemClock.now()) {
            // It may have been short already when it was asked for again.
            Ok(_) | Err(MintedError::Ended(_)) => {}
            Err(error) => self.wrong(format!("{}: {error}", view.fingerprint)),
        }
    }

    /// Keeps a refusal in mind; some must not be.
    pub(crate) fn refused(&self, act: &str, error: &ClientError) {
        let kind = error.problem();
        self.did(&match error {
            ClientError::Problem(view) => format!("{act}: {}", view.code),
            error if is_lost(error) => format!("{act}: no answer"),
            _ => format!("{act}: other"),
        });
        let expected = match kind {
            Some(kind) => matches!(
                kind,
                ProblemKind::Conflict
                    | ProblemKind::MintingStopped
                    | ProblemKind::NotFound
                    | ProblemKind::RateLimited
                    | ProblemKind::Unauthenticated
            ),
            None => is_lost(error),
        };
        if !expected {
            self.wrong(format!("{act}: {error:?}"));
        }
    }
}

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    pub(crate) fn number(&self) -> u64 {
        u64::from_be_bytes(self.0.bytes())
    }

    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.number() % bound
    }
}

/// Whether the server went away before it answered.
pub(crate) fn is_lost(error: &ClientError) -> bool {
    match error {
        ClientError::Broken { .. } | ClientError::Unreachable { .. } => true,
        // A cut while shaking hands; what TLS itself refuses is `InvalidData`.
        ClientError::Handshake { source, .. } => source.kind() != std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

pub(crate) fn subject(number: u64) -> String {
    format!("spiffe://{DEV_TRUST_DOMAIN}/ns/crash/sa/worker-{number}")
}

/// The files of the data directory that clients read.
const CREDENTIALS: [&str; 2] = ["bundle.pem", "operator.token"];
const SIGNING_LONGEST: Duration = Duration::from_secs(1);

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tally")
            .field("received", &self.received.len())
            .field("asked_once", &self.asked_once.len())
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

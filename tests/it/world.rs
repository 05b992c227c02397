//! The world of the walk's tests: a service on a real store in a directory of its own, with a
//! clock that is moved by hand and callers by name.
//!
//! Promises: what a test does not say is as `protem dev` has it: the example policy, the demo's
//! workloads. Nothing outlives the test.
//! Refuses: mocks: the store is SQLite, the policy is Cedar, the keys are real.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protem::attestation::{Caller, EntryTerms, Obtainer, PeerNames, Workload};
use protem::audit::SealedEvent;
use protem::config::DEV_TRUST_DOMAIN;
use protem::id::entropy::Entropy;
use protem::metric::Sheet;
use protem::pki::{Authority, Profiles, Setup, SetupError, Started};
use protem::policy::BundleSource;
use protem::service::elevate::ElevateRequest;
use protem::service::issue::{IssueRequest, Issued};
use protem::service::{Call, Service, ServiceError};
use protem::store::sqlite::Sqlite;
use protem::store::{ElevationRow, EventFilter, Store};
use protem::time::{Clock, ManualClock, Seconds, Timestamp};
use protem::x509::{Certificate, KeyKind, PrivateKey, write_request};
use tempfile::TempDir;

use crate::tools::repository;

/// A service with everything around it.
pub(crate) struct World {
    pub(crate) service: Arc<Service>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) operator: Call,
    /// Removed with the world.
    pub(crate) directory: TempDir,
}

/// What a world stands on; the default is `protem dev`.
pub(crate) struct Ground {
    pub(crate) policy: BundleSource,
    /// Key and chain of an issuer that the operator brings.
    pub(crate) issuer: Option<(PathBuf, PathBuf)>,
    /// What the clock shows at first.
    pub(crate) start: Timestamp,
}

/// What a start of the server comes to.
pub(crate) struct Opened {
    pub(crate) service: Arc<Service>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) started: Started,
}

/// A workload with its key and base SVID.
pub(crate) struct Holder {
    pub(crate) key: PrivateKey,
    pub(crate) call: Call,
    pub(crate) issued: Issued,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Ground::default()).await
    }

    pub(crate) async fn on(ground: Ground) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(ground.start));
        let opened = try_open(directory.path(), &clock, ground.issuer).await;
        let Opened { service, store, .. } = opened.unwrap();
        service.activate_first_policy(&ground.policy).await.unwrap();
        let bearer = service.draw_operator();
        service.admit_operator(&bearer).await.unwrap();
        let protem::attestation::Bearer::Operator(id, _) = &bearer else {
            panic!("an operator")
        };
        let caller = service
            .operator_holder(*id, &bearer.digest())
            .await
            .unwrap();
        let operator = Call {
            caller,
            source: None,
        };
        let world = Self {
            service,
            clock,
            store,
            operator,
            directory,
        };
        world.register(WEB).await;
        world.register(DB).await;
        world
    }

    /// Registers a workload of the demo group.
    pub(crate) async fn register(&self, subject: &str) {
        self.service
            .put_entry(&self.operator, terms(subject))
            .await
            .unwrap();
    }

    /// A join token's holder.
    pub(crate) async fn token(&self, subject: &str) -> Call {
        let subject = subject.parse().unwrap();
        let token = self
            .service
            .create_token(&self.operator, subject, None)
            .await
            .unwrap();
        let digest = token.bearer.digest();
        let caller = self.service.token_holder(token.id, &digest).await.unwrap();
        Call {
            caller,
            source: None,
        }
    }

    /// A workload with its base SVID.
    pub(crate) async fn holder(&self, subject: &str) -> Holder {
        let call = self.token(subject).await;
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let issued = self.service.issue(&call, base(&key)).await.unwrap();
        Holder {
            call: call_of(&issued.svid.certificate),
            key,
            issued,
        }
    }

    /// An elevation as the holder asks for it, with a reason.
    pub(crate) async fn elevate(
        &self,
        holder: &Holder,
        scope: &str,
    ) -> Result<ElevationRow, ServiceError> {
        self.service.elevate(&holder.call, asked(scope)).await
    }

    /// An elevated SVID from the open elevation.
    pub(crate) async fn mint(&self, holder: &Holder, scope: &str) -> Result<Issued, ServiceError> {
        self.service
            .issue(&holder.call, elevated(&holder.key, scope))
            .await
    }

    /// Every event's kind, in order.
    pub(crate) async fn ledger(&self) -> Vec<String> {
        let kind = |event: SealedEvent| event.event().kind().to_string();
        self.events().await.into_iter().map(kind).collect()
    }

    /// What the service measures, as text.
    pub(crate) fn metrics(&self) -> String {
        metrics(&self.service)
    }

    /// The whole ledger.
    pub(crate) async fn events(&self) -> Vec<SealedEvent> {
        let mut events: Vec<SealedEvent> = Vec::new();
        loop {
            let after = events.last().map(SealedEvent::number);
            let page = self
                .store
                .events(EventFilter::default(), after, None, 1_000)
                .await
                .unwrap();
            if page.is_empty() {
                break;
            }
            events.extend(page);
        }
        let numbers = events.iter().map(|event| event.number().value());
        assert!(
            numbers.eq(1..=u64::try_from(events.len()).unwrap()),
            "no gap"
        );
        events
    }
}

/// What a service measures, as text.
pub(crate) fn metrics(service: &Service) -> String {
    let mut sheet = Sheet::default();
    service.show_metrics(&mut sheet);
    sheet.text()
}

impl Default for Ground {
    fn default() -> Self {
        let start = Timestamp::from_unix_s(START).unwrap();
        Self {
            policy: example_policy(),
            issuer: None,
            start,
        }
    }
}

/// Opens a service on a directory, as a start of the server does, with or without an issuer that
/// the operator brings.
pub(crate) async fn try_open(
    directory: &Path,
    clock: &Arc<ManualClock>,
    issuer: Option<(PathBuf, PathBuf)>,
) -> Result<Opened, SetupError> {
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&directory.join(STORE_FILE)).unwrap());
    let setup = Setup {
        trust_domain: DEV_TRUST_DOMAIN.parse().unwrap(),
        directory: directory.join(KEYS_FOLDER),
        issuer,
        profiles: Profiles::shipped().unwrap(),
        serial_instance: 1,
    };
    let entropy = Entropy::system();
    let now = clock.now();
    let (authority, started) = Authority::open(setup, store.as_ref(), &entropy, now).await?;
    let watched = Arc::clone(clock);
    let service = Service::open(Arc::clone(&store), authority, watched, entropy)
        .await
        .unwrap();
    Ok(Opened {
        service: Arc::new(service),
        store,
        started,
    })
}

/// The example bundle of the repository, as an operator would activate it.
pub(crate) fn example_policy() -> BundleSource {
    let mut files = Vec::new();
    for folder in ["policy", "policy/tests"] {
        for file in std::fs::read_dir(repository(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(repository("policy")).unwrap();
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((name.to_str().unwrap().to_owned(), text));
            }
        }
    }
    BundleSource::collect(files).unwrap()
}

/// The example bundle with `from` replaced by `to`, once, in one file.
pub(crate) fn changed_policy(file: &str, from: &str, to: &str) -> BundleSource {
    let policy = example_policy();
    let changed = policy.files().map(|(name, text)| {
        let text = if name == file {
            text.replacen(from, to, 1)
        } else {
            text.to_owned()
        };
        (name.to_owned(), text)
    });
    let changed = BundleSource::collect(changed).unwrap();
    assert_ne!(changed, policy, "`{from}` is not in `{file}`");
    changed
}

/// What is registered of a workload of the demo group.
pub(crate) fn terms(subject: &str) -> EntryTerms {
    EntryTerms {
        subject: subject.parse().unwrap(),
        selectors: Vec::new(),
        obtained_by: vec![Obtainer::Token],
        owner: "demo".parse().unwrap(),
        groups: vec!["demo".parse().unwrap()],
        life: Seconds::new(3_600),
        hint: None,
        federates_with: Vec::new(),
    }
}

/// The caller that the holder of a certificate is.
pub(crate) fn call_of(certificate: &Certificate) -> Call {
    let names = certificate.tbs().alt_names.clone().unwrap();
    let peer = PeerNames {
        uris: names.uris,
        dns: names.dns,
        issuer_key_id: certificate.tbs().authority_key_id.clone(),
        key_sha256: *certificate.tbs().public_key.fingerprint().as_bytes(),
        not_after: certificate.tbs().not_after,
    };
    let workload = Workload::from_peer(&peer, &DEV_TRUST_DOMAIN.parse().unwrap()).unwrap();
    Call {
        caller: Caller::Workload(workload),
        source: None,
    }
}

/// A request for a base SVID.
pub(crate) fn base(key: &PrivateKey) -> IssueRequest {
    IssueRequest {
        csr: write_request(key).unwrap().into_bytes(),
        subject: None,
        scope: None,
        elevation: None,
        life: None,
        holder: None,
        idempotency_key: None,
    }
}

/// A request for an elevated SVID.
pub(crate) fn elevated(key: &PrivateKey, scope: &str) -> IssueRequest {
    IssueRequest {
        scope: Some(scope.parse().unwrap()),
        ..base(key)
    }
}

/// A request for an elevation, with a reason.
pub(crate) fn asked(scope: &str) -> ElevateRequest {
    ElevateRequest {
        subject: None,
        scope: scope.parse().unwrap(),
        duration: None,
        not_before: None,
        instances: None,
        reason: Some("a customer waits".to_owned()),
        ticket: None,
        extends: None,
        on_demand: false,
        break_glass: false,
        holder: None,
        idempotency_key: None,
    }
}

pub(crate) const WEB: &str = "spiffe://dev.protem.test/ns/demo/sa/web";
pub(crate) const DB: &str = "spiffe://dev.protem.test/ns/demo/sa/db";
/// Where a world keeps its store and its keys, in its directory.
pub(crate) const STORE_FILE: &str = "protem.db";
pub(crate) const KEYS_FOLDER: &str = "ca";
/// A Monday morning.
const START: i64 = 1_800_264_000;

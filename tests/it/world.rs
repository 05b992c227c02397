//! The world of the walk's tests: a service on a real store in a directory of its own, with a
//! clock that is moved by hand and callers by name.
//!
//! Promises: what a test does not say is as `protem dev` has it: the example policy, the demo's
//! workloads. Nothing outlives the test.
//! Refuses: mocks: the store is SQLite, the policy is Cedar, the keys are real.

use std::path::Path;
use std::sync::Arc;

use protem::attestation::{Caller, EntryTerms, Obtainer, PeerNames, Workload};
use protem::config::DEV_TRUST_DOMAIN;
use protem::id::entropy::Entropy;
use protem::pki::{Authority, Profiles, Setup};
use protem::policy::BundleSource;
use protem::service::elevate::ElevateRequest;
use protem::service::issue::{IssueRequest, Issued};
use protem::service::{Call, Service, ServiceError};
use protem::store::sqlite::Sqlite;
use protem::store::{ElevationRow, EventFilter, Store};
use protem::time::{ManualClock, Seconds, Timestamp};
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
    _directory: TempDir,
}

/// A workload with its key and base SVID.
pub(crate) struct Holder {
    pub(crate) key: PrivateKey,
    pub(crate) call: Call,
    pub(crate) issued: Issued,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with_policy(example_policy()).await
    }

    pub(crate) async fn with_policy(policy: BundleSource) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_s(START).unwrap()));
        let (service, store) = open(directory.path(), &clock).await;
        service.activate_first_policy(&policy).await.unwrap();
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
            _directory: directory,
        };
        world.register(WEB).await;
        world.register(DB).await;
        world
    }

    /// Registers a workload of the demo group.
    pub(crate) async fn register(&self, subject: &str) {
        let terms = EntryTerms {
            subject: subject.parse().unwrap(),
            selectors: Vec::new(),
            obtained_by: vec![Obtainer::Token],
            owner: "demo".parse().unwrap(),
            groups: vec!["demo".parse().unwrap()],
            life: Seconds::new(3_600),
            hint: None,
        };
        self.service.put_entry(&self.operator, terms).await.unwrap();
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

    /// Every event's kind and outcome, in order.
    pub(crate) async fn ledger(&self) -> Vec<String> {
        let events = self
            .store
            .events(EventFilter::default(), None, None, 1_000)
            .await
            .unwrap();
        let numbers: Vec<_> = events.iter().map(|event| event.number().value()).collect();
        assert!(
            numbers
                .iter()
                .copied()
                .eq(1..=u64::try_from(numbers.len()).unwrap()),
            "no gap"
        );
        events
            .iter()
            .map(|event| event.event().kind().to_string())
            .collect()
    }
}

/// Opens a service on a directory, as a start of the server does.
pub(crate) async fn open(
    directory: &Path,
    clock: &Arc<ManualClock>,
) -> (Arc<Service>, Arc<dyn Store>) {
    let store: Arc<dyn Store> = Arc::new(Sqlite::open(&directory.join("protem.db")).unwrap());
    let setup = Setup {
        trust_domain: DEV_TRUST_DOMAIN.parse().unwrap(),
        directory: directory.join("ca"),
        issuer: None,
        profiles: Profiles::shipped().unwrap(),
        serial_instance: 1,
    };
    let entropy = Entropy::system();
    let now = protem::time::Clock::now(clock.as_ref());
    let (authority, _) = Authority::open(setup, store.as_ref(), &entropy, now)
        .await
        .unwrap();
    let clock = Arc::clone(clock);
    let service = Service::open(Arc::clone(&store), authority, clock, entropy)
        .await
        .unwrap();
    (Arc::new(service), store)
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

/// The caller that the holder of a certificate is.
pub(crate) fn call_of(certificate: &Certificate) -> Call {
    let names = certificate.tbs().alt_names.clone().unwrap();
    let peer = PeerNames {
        uris: names.uris,
        dns: names.dns,
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
        idempotency_key: None,
    }
}

pub(crate) const WEB: &str = "spiffe://dev.protem.test/ns/demo/sa/web";
pub(crate) const DB: &str = "spiffe://dev.protem.test/ns/demo/sa/db";
/// A Monday morning.
const START: i64 = 1_800_264_000;

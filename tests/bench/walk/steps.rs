//! The steps of one issuance, each measured by itself, and then the whole.
//!
//! Promises: the same code that serves: no step is simplified for the measurement.
//! Refuses: warm shortcuts: every issuance records two events and waits for both.

use std::sync::Arc;

use protem::audit::{Event, EventKind, Key};
use protem::id::entropy::Entropy;
use protem::id::{ElevationId, EntryId, PolicyVersion};
use protem::policy::{
    Act, Ask, Bundle, BundleSource, ElevateAct, ElevationFact, EntryFact, FactParts, MintingFact,
    PolicyFact, Principal, suppose,
};
use protem::service::issue::IssueRequest;
use protem::time::Seconds;
use protem::x509::{CsrRules, KeyKind, PrivateKey, VerifiedCsr, write_request};

use crate::measure::{Cpu, Load, Table};
use crate::wire;
use crate::world::{WEB, World, base, example_policy};

pub(crate) async fn measure_all(parts: &[String]) -> Table {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let message = [7_u8; 700];
    let signature = key.sign(&message).unwrap();
    let mut table = Table::new(move || {
        key.public_key()
            .verify(signature.algorithm, &message, &signature.bytes)
            .unwrap();
        key.sign(&message).unwrap();
    });
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|one| one == part);
    if wanted("steps") {
        cryptography(&mut table);
        policy(&mut table);
    }
    if wanted("walks") {
        let world = World::new().await;
        records(&mut table, &world).await;
        walks(&mut table, &world).await;
    }
    if wanted("wire") {
        wire::measure(&mut table).await;
    }
    table
}

fn cryptography(table: &mut Table) {
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let csr = write_request(&key).unwrap();
    let rules = CsrRules {
        strict: false,
        keys: [KeyKind::P256].into(),
        blocked: [].into(),
    };
    table.measure("request: strict parse, proof of possession", || {
        VerifiedCsr::parse(csr.as_bytes(), &rules).unwrap();
    });
}

fn policy(table: &mut Table) {
    let example = Bundle::compile(&example_policy()).unwrap();
    verdict(table, "verdict, the example bundle", &example);
    let large = Bundle::compile(&with_other_scopes(POLICIES_OF_OTHERS)).unwrap();
    let name = format!("verdict, beside {POLICIES_OF_OTHERS} policies of other scopes");
    verdict(table, &name, &large);
}

fn verdict(table: &mut Table, name: &str, bundle: &Bundle) {
    let (ask, parts) = question(bundle);
    let now = protem::time::Timestamp::from_unix_s(1_800_264_000).unwrap();
    table.measure(name, || {
        let outlook = suppose(bundle, &ask, &parts, now, Seconds::new(59));
        assert!(outlook.last_second.is_some());
    });
}

fn question(bundle: &Bundle) -> (Ask, FactParts) {
    let subject: protem::identity::Subject = WEB.parse().unwrap();
    let principal = Principal::Workload {
        subject: subject.clone(),
        elevated: false,
    };
    let scope: protem::scope::Scope = "db.read".parse().unwrap();
    let made_up = Entropy::seeded(1);
    let parts = FactParts {
        policy: PolicyFact {
            version: PolicyVersion::FIRST,
            digest: bundle.digest(),
        },
        minting: MintingFact {
            stopped: false,
            version: 1,
        },
        entry: Some(
            EntryFact {
                id: EntryId::random(&made_up),
                version: 1,
                subject: subject.clone(),
                selectors: Vec::new(),
                owner: "demo".parse().unwrap(),
                groups: vec!["demo".parse().unwrap()],
                deputies: Vec::new(),
                life: Seconds::new(3_600),
            }
            .into(),
        ),
        elevation: Some(ElevationFact {
            id: ElevationId::random(&made_up),
            version: 1,
            subject: subject.clone(),
            scope: scope.clone(),
            approvals: [].into(),
            requester: principal.clone(),
        }),
        signals: Vec::new(),
    };
    let act = ElevateAct {
        subject,
        scope,
        asked: Seconds::new(600),
        has_reason: true,
        ticket: None,
        scheduled: false,
        on_demand: false,
        break_glass: false,
    };
    (
        Ask {
            principal,
            act: Act::Elevate(act),
            source: None,
        },
        parts,
    )
}

/// The example bundle with so many policies for scopes that nobody here asks for.
fn with_other_scopes(count: usize) -> BundleSource {
    let (mut scopes, mut policies) = (String::new(), vec![String::new()]);
    for number in 0..count {
        let (scope, place) = (number / POLICIES_OF_A_SCOPE, number % POLICIES_OF_A_SCOPE);
        if place == 0 {
            scopes += &format!(
                "[scope.\"other.s{scope}\"]\ndescription = \"d\"\nowner = \"data\"\n\
                 servers = []\nsvid_life = \"60s\"\nelevation_longest = \"30m\"\n"
            );
        }
        if policies.last().unwrap().len() > POLICY_FILE_BYTES {
            policies.push(String::new());
        }
        *policies.last_mut().unwrap() += &format!(
            "@id(\"other-{number}\") permit (principal in Group::\"demo\", \
             action == Action::\"elevate\", resource == Scope::\"other.s{scope}\")\n\
             when {{ context.has_reason }};\n"
        );
    }
    let example = example_policy();
    let mut files: Vec<(String, String)> = Vec::new();
    for (path, text) in example.files() {
        let more = if path == "scopes.toml" {
            scopes.as_str()
        } else {
            ""
        };
        files.push((path.to_owned(), format!("{text}\n{more}")));
    }
    for (number, text) in policies.into_iter().enumerate() {
        files.push((format!("others-{number}.cedar"), text));
    }
    BundleSource::collect(files).unwrap()
}

async fn records(table: &mut Table, world: &World) {
    for at_once in [1, 64] {
        let store = Arc::clone(&world.store);
        let now = world.service.now();
        table
            .measure_async(
                &format!("record: one event, durable, {at_once} waiting"),
                Cpu::Own,
                Load::Waiting(at_once),
                1,
                |_| {
                    let store = Arc::clone(&store);
                    let event = Event::new(EventKind::SvidDenied, now, "bench")
                        .with(Key::Subject, WEB)
                        .and("filling", "x".repeat(700));
                    async move {
                        store.append(event).await.unwrap();
                    }
                },
            )
            .await;
    }
}

async fn walks(table: &mut Table, world: &World) {
    let holder = Arc::new(world.holder(WEB).await);
    // Made before: a workload's own work is not the authority's.
    let csr: Arc<[u8]> = base(&holder.key).csr.into();
    for at_once in [1, 64] {
        let service = Arc::clone(&world.service);
        table
            .measure_async(
                &format!("issue in process, {at_once} waiting"),
                Cpu::Own,
                Load::Waiting(at_once),
                1,
                |_| {
                    let (service, holder) = (Arc::clone(&service), Arc::clone(&holder));
                    let request = IssueRequest {
                        csr: csr.to_vec(),
                        subject: None,
                        scope: None,
                        elevation: None,
                        life: None,
                        holder: None,
                        idempotency_key: None,
                    };
                    async move {
                        service.issue(&holder.call, request).await.unwrap();
                    }
                },
            )
            .await;
    }
}

const POLICIES_OF_OTHERS: usize = 10_000;
const POLICIES_OF_A_SCOPE: usize = 5;
const POLICY_FILE_BYTES: usize = 512 * 1024;

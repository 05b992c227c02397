//! What a start finds after a crash, and what goes on over a restart.
//!
//! A crash between the record and the signature leaves an intent without outcome. Such a ledger is
//! made here by taking the newest outcomes back with another program: the bytes of the file are
//! then those of a server that died between the two commits.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use protem::audit::{Key, SealedEvent};
use protem::id::EventNumber;
use protem::pki::{IssuerName, Started};
use protem::service::issue::{IssueRequest, Issued};
use protem::store::Store;
use protem::time::{Clock as _, Seconds};
use protem::x509::{Certificate, Fingerprint, KeyKind, PrivateKey};

use crate::interop::readers::Readers;
use crate::tools::{run, tool};
use crate::world::{Holder, Opened, STORE_FILE, WEB, World, base, elevated, terms, try_open};

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_before_the_signature_is_finished_once_from_the_recorded_bytes() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    world.elevate(&web, "db.read").await.unwrap();
    let lost = world.mint(&web, "db.read").await.unwrap();
    let crashed = crash(world);
    assert_eq!(crashed.forgotten, 1);
    let root = crashed.root.clone();

    let opened = crashed.start().await;
    assert_eq!(
        opened.started,
        Started {
            finished: 1,
            told: 0
        }
    );
    let found = certificate(&opened, lost.svid.intent.number())
        .await
        .unwrap();
    assert_eq!(found.tbs_der(), lost.svid.certificate.tbs_der());
    assert_ne!(
        found.signature(),
        lost.svid.certificate.signature(),
        "signed anew"
    );
    let told = text(&lost.svid.intent, "tbs_sha256");
    assert_eq!(Fingerprint::of(found.tbs_der()).to_string(), told);
    let issuer = opened.service.authority().issuing(IssuerName::Elevated);
    let mut readers = Readers::under(&root);
    let now = opened.service.now().unix_s();
    let chain = found.to_pem() + issuer.chain_pem();
    readers.verify("leftover", &chain, &["sslclient", "sslserver"], Some(now));

    let outcomes = outcomes(&opened, lost.svid.intent.number()).await;
    assert_eq!(outcomes.len(), 1);
    let fingerprint = found.fingerprint().to_string();
    assert_eq!(
        outcomes[0].event().key(Key::Fingerprint),
        Some(fingerprint.as_str())
    );
    assert_eq!(outcomes[0].event().key(Key::Subject), Some(WEB));

    // The elevation was activated by the recorded mint, and goes on.
    let again = opened
        .service
        .issue(&web.call, elevated(&web.key, "db.read"))
        .await
        .unwrap();
    let [first, second] = [&found, &again.svid.certificate].map(|one| one.tbs().evidence.unwrap());
    assert_eq!(first, second);

    let again = crashed.restart(opened).await;
    assert_eq!(again.started, Started::default(), "at most once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_callers_lost_together_is_finished_together() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let minted = join_all((0..16).map(|_| world.service.issue(&web.call, base(&web.key)))).await;
    let minted: Vec<Issued> = minted.into_iter().map(Result::unwrap).collect();
    let crashed = crash(world);
    assert!(0 < crashed.forgotten);
    let opened = crashed.start().await;
    assert_eq!(
        opened.started,
        Started {
            finished: crashed.forgotten,
            told: 0
        }
    );
    for issued in minted {
        let number = issued.svid.intent.number();
        let found = certificate(&opened, number).await.unwrap();
        assert_eq!(found.tbs_der(), issued.svid.certificate.tbs_der());
        assert_eq!(outcomes(&opened, number).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_at_the_start_is_told_and_never_signed() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    world.elevate(&web, "db.read").await.unwrap();
    let lost = world.mint(&web, "db.read").await.unwrap();
    let crashed = crash(world);
    crashed.world.clock.advance(Seconds::new(60));
    let opened = crashed.start().await;
    assert_eq!(
        opened.started,
        Started {
            finished: 0,
            told: 1
        }
    );
    let number = lost.svid.intent.number();
    assert!(certificate(&opened, number).await.is_none());
    let outcomes = outcomes(&opened, number).await;
    let [failed] = outcomes.as_slice() else {
        panic!("{outcomes:?}")
    };
    assert_eq!(failed.event().kind().as_str(), "svid.failed");
    assert_eq!(
        text(failed, "why"),
        "its time was over before it was signed"
    );
    let again = crashed.restart(opened).await;
    assert_eq!(again.started, Started::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_whose_key_is_gone_is_told() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    world
        .service
        .issue(&web.call, base(&web.key))
        .await
        .unwrap();
    let crashed = crash(world);
    let keys = crashed
        .world
        .directory
        .path()
        .join(crate::world::KEYS_FOLDER);
    std::fs::remove_dir_all(keys).unwrap();
    let opened = crashed.start().await;
    assert_eq!(
        opened.started,
        Started {
            finished: 0,
            told: 1
        }
    );
    let new_root = opened.service.trust_bundle().to_pem();
    assert_ne!(
        new_root, crashed.root,
        "a new root, as the operator asked for by his act"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_the_crash_finds_what_the_start_finished() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let once = || IssueRequest {
        idempotency_key: Some("once".to_owned()),
        ..base(&web.key)
    };
    let lost = world.service.issue(&web.call, once()).await.unwrap();
    let crashed = crash(world);
    let opened = crashed.start().await;
    let found = opened.service.issue(&web.call, once()).await.unwrap();
    assert_eq!(
        found.svid.certificate.tbs_der(),
        lost.svid.certificate.tbs_der()
    );
    assert_eq!(found.svid.intent.number(), lost.svid.intent.number());
}

#[tokio::test(flavor = "multi_thread")]
async fn root_and_issuers_survive_a_restart_unchanged() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let before = (issuers(&world.service), world.ledger().await.len());
    let opened = world.stop().start().await;
    assert_eq!(opened.started, Started::default());
    let events = opened.store.head().await.unwrap().unwrap().number.value();
    let after = (issuers(&opened.service), usize::try_from(events).unwrap());
    assert_eq!(after, before, "and the start made nothing");
    opened
        .service
        .issue(&web.call, base(&web.key))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn issuers_renew_before_half_their_life_and_old_leaves_stay_good() {
    let world = World::new().await;
    let mut whole_day = terms(WEB);
    whole_day.life = Seconds::new(86_400);
    world
        .service
        .put_entry(&world.operator, whole_day)
        .await
        .unwrap();
    let web: Holder = world.holder(WEB).await;
    let once = || IssueRequest {
        idempotency_key: Some("once".to_owned()),
        ..base(&web.key)
    };
    let old = world.service.issue(&web.call, once()).await.unwrap();
    let mut readers = Readers::under(&world.service.trust_bundle().to_pem());
    let first = issuers(&world.service);

    world.clock.advance(Seconds::new(10 * 3_600));
    assert!(
        world.service.rotate().await.unwrap().is_empty(),
        "not yet due"
    );
    world.clock.advance(Seconds::new(3_600));
    assert_eq!(
        world.service.rotate().await.unwrap(),
        IssuerName::INTERMEDIATES
    );
    assert!(
        world.service.rotate().await.unwrap().is_empty(),
        "once is enough"
    );
    let second = issuers(&world.service);
    assert_eq!(first[0], second[0], "the root stays");
    assert!(
        first[1..]
            .iter()
            .zip(&second[1..])
            .all(|(old, new)| old != new)
    );

    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let new = world.service.issue(&web.call, base(&key)).await.unwrap();
    let now = world.clock.now().unix_s();
    let both = &["sslclient", "sslserver"];
    readers.verify("old", &old.svid.chain_pem, both, Some(now));
    readers.verify("new", &new.svid.chain_pem, both, Some(now));
    // To OpenSSL the last second, which RFC 5280 counts in, is over.
    let last = old.svid.certificate.tbs().not_after.unix_s() - 1;
    assert!(now + 12 * 3_600 < last, "the old leaf lives on");
    readers.verify("old, at its end", &old.svid.chain_pem, both, Some(last));

    // An older generation still answers for what it signed, before and after a restart.
    let again = world.service.issue(&web.call, once()).await.unwrap();
    assert_eq!(again.svid.chain_pem, old.svid.chain_pem);
    let opened = world.stop().start().await;
    assert_eq!(issuers(&opened.service), second);
    let again = opened.service.issue(&web.call, once()).await.unwrap();
    assert_eq!(again.svid.chain_pem, old.svid.chain_pem);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leftover_of_a_generation_that_is_due_is_finished_by_it() {
    let world = World::new().await;
    let mut whole_day = terms(WEB);
    whole_day.life = Seconds::new(86_400);
    world
        .service
        .put_entry(&world.operator, whole_day)
        .await
        .unwrap();
    let web = world.holder(WEB).await;
    let old = issuers(&world.service);
    let crashed = crash(world);
    crashed.world.clock.advance(Seconds::new(11 * 3_600));
    let opened = crashed.start().await;
    assert_eq!(
        opened.started,
        Started {
            finished: 1,
            told: 0
        }
    );
    assert_ne!(
        issuers(&opened.service)[1..],
        old[1..],
        "the start renewed them"
    );
    let number = web.issued.svid.intent.number();
    let found = certificate(&opened, number).await.unwrap();
    let signer = Certificate::parse(&old[1]).unwrap();
    assert_eq!(found.verify_signed_by(&signer.tbs().public_key), Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_dead_generations_do_not_pile_up() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    for _ in 0..6 {
        world.clock.advance(Seconds::new(11 * 3_600));
        assert_eq!(world.service.rotate().await.unwrap().len(), 3);
        world
            .service
            .issue(&web.call, base(&web.key))
            .await
            .unwrap();
    }
    let keys = world.directory.path().join(crate::world::KEYS_FOLDER);
    let files = std::fs::read_dir(keys).unwrap().count();
    assert_eq!(
        files,
        2 + 3 * 3 * 2,
        "root and three generations of three, key and certificate"
    );
}

/// A world whose server has ended; its files remain.
struct Stopped {
    world: Remains,
    root: String,
    /// How many outcomes the crash lost.
    forgotten: u32,
}

struct Remains {
    clock: Arc<protem::time::ManualClock>,
    directory: tempfile::TempDir,
}

impl World {
    /// Ends the server in order.
    fn stop(self) -> Stopped {
        let root = self.service.trust_bundle().to_pem();
        let Self {
            service,
            store,
            clock,
            directory,
            ..
        } = self;
        drop((service, store));
        Stopped {
            world: Remains { clock, directory },
            root,
            forgotten: 0,
        }
    }
}

impl Stopped {
    async fn start(&self) -> Opened {
        let directory = self.world.directory.path();
        try_open(directory, &self.world.clock, None).await.unwrap()
    }

    async fn restart(&self, opened: Opened) -> Opened {
        drop(opened);
        self.start().await
    }
}

/// Ends the server as if it had died before the newest outcomes became durable.
fn crash(world: World) -> Stopped {
    let mut stopped = world.stop();
    stopped.forgotten = forget_outcomes(&stopped.world.directory.path().join(STORE_FILE));
    stopped
}

fn forget_outcomes(store: &Path) -> u32 {
    let said = run(tool("python").args(["-c", FORGET]).arg(store)).expect_success();
    said.trim().parse().unwrap()
}

/// Root, base, elevated, service: the newest certificate of each.
fn issuers(service: &protem::service::Service) -> Vec<Vec<u8>> {
    let authority = service.authority();
    let below = IssuerName::INTERMEDIATES.map(|name| authority.issuing(name));
    let below = below.iter().map(|issuing| issuing.certificate().unwrap());
    authority
        .root()
        .into_iter()
        .chain(below)
        .map(|one| one.der().to_vec())
        .collect()
}

async fn certificate(opened: &Opened, intent: EventNumber) -> Option<Certificate> {
    let row = opened.store.certificate(intent).await.unwrap()?;
    Some(Certificate::parse(&row.der).unwrap())
}

/// The events that say how an intent came out.
async fn outcomes(opened: &Opened, intent: EventNumber) -> Vec<SealedEvent> {
    let store: &dyn Store = opened.store.as_ref();
    let events = store.events(protem::store::EventFilter::default(), None, None, 1_000);
    let of_it =
        |event: &SealedEvent| event.event().key(Key::Intent) == Some(intent.to_string().as_str());
    events.await.unwrap().into_iter().filter(of_it).collect()
}

fn text(event: &SealedEvent, name: &str) -> String {
    event
        .event()
        .field(name)
        .and_then(|value| value.as_text())
        .unwrap()
        .to_owned()
}

/// Takes back the outcomes at the end of the ledger, and says how many they were.
const FORGET: &str = "
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
[(guard,)] = db.execute(\"SELECT sql FROM sqlite_master WHERE name = 'events_never_go'\")
db.execute('DROP TRIGGER events_never_go')
forgotten = 0
while True:
    [(last,)] = db.execute('SELECT max(number) FROM events')
    row = db.execute('SELECT intent FROM outcomes WHERE number = ?', (last,)).fetchone()
    if row is None:
        break
    db.execute('DELETE FROM outcomes WHERE intent = ?', row)
    db.execute('INSERT INTO unfinished VALUES (?)', row)
    db.execute('DELETE FROM events WHERE number = ?', (last,))
    forgotten += 1
db.execute(guard)
db.commit()
print(forgotten)
";

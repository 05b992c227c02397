//! Real Envoys: what they take, present, refuse and report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::agent::deny_list::{Denied, DenyList};
use crate::agent::holdings::{Generation, Holdings, Svid, Wants};
use crate::agent::sds::Options;
use crate::proto::agent::StreamStatus;
use crate::scope::SvidName;

use super::forge::Forge;
use super::held::{
    elevated, elevated_name, identity, in_seconds, of_web, pending, refused, scope, subject,
};
use super::mesh::{Http, Mesh, until};
use super::stage::{Stage, soon};

const WEB: &str = "spiffe://td.test/ns/demo/sa/web";
const DB: &str = "spiffe://td.test/ns/demo/sa/db";

/// What a subject holds: its base SVID and the forge's root.
fn of(forge: &Forge, generation: u64, id: &str) -> Holdings {
    let svid = forge.svid(generation, SvidName::Base(subject(id)), 600);
    Holdings {
        identities: vec![identity(id, Some(svid))],
        bundles: forge.bundles(2),
        ..of_web()
    }
}

fn denying(generation: u64, svids: &[&Svid]) -> Arc<DenyList> {
    let denied = Denied {
        revoked: true,
        until: in_seconds(600),
    };
    let digests = svids.iter().map(|svid| (svid.sha256, denied));
    Arc::new(DenyList::new(Generation(generation), digests.collect()))
}

fn wants_to_open(name: &str) -> impl Fn(&BTreeMap<u64, Wants>) -> bool {
    let of = (subject(WEB), scope(name));
    move |all| {
        all.values().any(|one| match one {
            Wants::Some { scopes, .. } => scopes.get(&of) == Some(&true),
            Wants::Nothing | Wants::Everything => false,
        })
    }
}

fn on_demand() -> Options {
    Options {
        on_demand: ["db.read", "db.later", "db.never"].map(scope).into(),
        hold: Duration::from_secs(2),
        ..Options::default()
    }
}

struct House {
    forge: Forge,
    mesh: Mesh,
    web: Stage,
    db: Stage,
    base: Holdings,
    port: u16,
}

/// Both Envoys of the demo, each on its agent.
async fn house() -> House {
    let mut mesh = Mesh::new();
    let forge = Forge::new(&mesh.path(""));
    let base = of(&forge, 10, WEB);
    let web = Stage::new(base.clone(), on_demand());
    let db = Stage::new(of(&forge, 11, DB), Options::default());
    let echo = mesh.start_echo().await;
    mesh.start_demo("server", &db.socket(), echo, |text| text);
    db.deny_list.send_replace(denying(1, &[]));
    let server = mesh.port("server").await;
    mesh.start_demo("client", &web.socket(), server, |text| text);
    let port = mesh.port("client").await;
    House {
        forge,
        mesh,
        web,
        db,
        base,
        port,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_shows_the_identity_that_it_asks_for_and_no_other() {
    let mut house = house().await;
    let mut http = Http::connect(house.port).await;
    let (status, body) = http.get("/base", None).await;
    assert_eq!(status, 403, "{body}");
    let line = house.mesh.logged_of("server", "/base").await;
    assert_eq!(line["peer"], WEB);
    assert_eq!(line["details"], "rbac_access_denied_matched_policy[none]");

    // The first request for the scope opens it, is held, and passes.
    let svid = house.forge.svid(20, elevated_name(WEB, "db.read"), 300);
    let elevated_web = Holdings {
        elevated: vec![elevated(WEB, "db.read", Some(svid.clone()))],
        ..house.base.clone()
    };
    let asked = house.web.answer(wants_to_open("db.read"), elevated_web);
    let ((status, body), ()) = tokio::join!(http.get("/elevated", Some("db.read")), asked);
    assert_eq!(status, 200, "{body}");
    let elevated_id = format!("{WEB}/scope/db.read");
    assert_eq!(body, format!("{elevated_id} asked for /elevated\n"));

    // The other way round is the trap: a pool that does not know names apart.
    for round in 0..20 {
        let (status, _) = http.get(&format!("/plain-{round}"), None).await;
        assert_eq!(status, 403);
        let (status, body) = http.get(&format!("/scope-{round}"), Some("db.read")).await;
        assert_eq!(
            (status, body.starts_with(&elevated_id)),
            (200, true),
            "{body}"
        );
    }
    let line = house.mesh.logged_of("server", "/plain-19").await;
    assert_eq!(line["peer"], WEB);
    let lines = house.mesh.logged("server");
    let of_path = |start: &str| {
        let lines = lines
            .iter()
            .filter(|line| line["path"].as_str().unwrap().starts_with(start));
        let peers: std::collections::BTreeSet<_> =
            lines.map(|line| line["peer"].as_str()).collect();
        peers.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(of_path("/plain-"), [Some(WEB)]);
    assert_eq!(of_path("/scope-"), [Some(elevated_id.as_str())]);

    // Uses: each that was let in, none of those turned away.
    let key = (subject(WEB), scope("db.read"));
    let mut count = 0;
    until(async || {
        let uses = house.db.uses.take().into_values().flatten();
        for (of, one) in uses {
            assert_eq!(of, key);
            count += one.count;
        }
        (count == 21).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_is_refused_undecided_or_unknown_is_a_503_and_comes_when_it_is_approved() {
    let mut house = house().await;
    let mut http = Http::connect(house.port).await;
    // Not opted in, and no name at all.
    for name in ["db.write", "No Such"] {
        let (status, body) = http.get("/x", Some(name)).await;
        assert_eq!(status, 503, "{body}");
    }
    // Refused, at once.
    let asks = |name: &str, ask| Holdings {
        asks: [((subject(WEB), scope(name)), ask)].into(),
        ..house.base.clone()
    };
    let no = asks("db.never", refused(in_seconds(60)));
    let refuse = house.web.answer(wants_to_open("db.never"), no);
    let ((status, _), ()) = tokio::join!(http.get("/never", Some("db.never")), refuse);
    assert_eq!(status, 503);
    // People decide: the first request is held in vain, and a later one passes.
    let ask = asks("db.later", pending());
    let decide = house.web.answer(wants_to_open("db.later"), ask);
    let ((status, _), ()) = tokio::join!(http.get("/early", Some("db.later")), decide);
    assert_eq!(status, 503);
    let (status, _) = http.get("/early-too", Some("db.later")).await;
    assert_eq!(status, 503);
    let svid = house.forge.svid(20, elevated_name(WEB, "db.later"), 300);
    house.web.hold(Holdings {
        elevated: vec![elevated(WEB, "db.later", Some(svid))],
        ..house.base.clone()
    });
    let (status, _) = http.get("/late", Some("db.later")).await;
    assert_eq!(status, 403, "the server, which opens for db.read alone");
    let line = house.mesh.logged_of("server", "/late").await;
    assert_eq!(line["peer"], format!("{WEB}/scope/db.later"));
    // The base SVID was never disturbed.
    assert_eq!(http.get("/base", None).await.0, 403);
    assert_eq!(house.mesh.logged_of("server", "/base").await["peer"], WEB);
    // It ends: it is removed, and asked for anew with the next connection.
    house.web.hold(house.base.clone());
    let gone = |row: &StreamStatus| row.names == ["scope/db.later"];
    until(async || (!house.web.streams.rows().iter().any(gone)).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_certificate_is_turned_away_on_its_living_connection_and_no_other_is() {
    let house = house().await;
    let mut http = Http::connect(house.port).await;
    let svid = house.forge.svid(20, elevated_name(WEB, "db.read"), 300);
    let other = house.forge.svid(21, elevated_name(WEB, "db.read"), 300);
    house.web.hold(Holdings {
        elevated: vec![elevated(WEB, "db.read", Some(svid.clone()))],
        ..house.base.clone()
    });
    assert_eq!(http.get("/before", Some("db.read")).await.0, 200);
    for (round, (denied, wanted)) in [
        (vec![&*other], 200),
        (vec![&*svid, &*other], 403),
        (vec![], 200),
    ]
    .iter()
    .enumerate()
    {
        let generation = 10 + u64::try_from(round).unwrap();
        house.db.deny_list.send_replace(denying(generation, denied));
        let version = format!("{generation}-");
        let is_used = |row: &StreamStatus| {
            row.names == ["protem.deny_list"] && row.acked_version.starts_with(&version)
        };
        until(async || house.db.streams.rows().iter().any(is_used).then_some(())).await;
        // Envoy answers before its workers have the list.
        let path = format!("/round-{round}");
        until(async || {
            let (status, _) = http.get(&path, Some("db.read")).await;
            (status == *wanted).then_some(())
        })
        .await;
    }
    let denied = until(async || {
        let lines = house.mesh.logged("server").into_iter();
        lines
            .rev()
            .find(|line| line["path"] == "/round-1" && line["status"] == 403)
    })
    .await;
    let before = house.mesh.logged_of("server", "/before").await;
    assert_eq!(denied["connection"], before["connection"], "it was alive");
    let details = denied["details"].as_str().unwrap();
    assert!(details.contains("protem.denied_certificate"), "{details}");
    house.web.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_a_denied_certificate_opens_no_connection_and_keeps_the_one_that_it_has() {
    let mut mesh = Mesh::new();
    let forge = Forge::new(&mesh.path(""));
    let db = Stage::new(of(&forge, 11, DB), Options::default());
    let echo = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = echo.local_addr().unwrap().port();
    let life = crate::lifecycle::Lifecycle::default();
    let tracker = life.tracker.clone();
    life.tracker.spawn(async move {
        while let Ok((mut stream, _)) = echo.accept().await {
            tracker.spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    mesh.start_envoy("server", &db.socket(), port, TCP);
    // Until the list is told the listener does not open: an Envoy never stands without one.
    let has_list = |row: &StreamStatus| row.names == ["protem.deny_list.tcp"];
    until(async || db.streams.rows().iter().any(has_list).then_some(())).await;
    db.deny_list.send_replace(denying(1, &[]));
    let port = mesh.port("server").await;
    let svid = forge.svid(20, elevated_name(WEB, "db.read"), 300);
    let mut tls = connect(port, &svid, &forge).await;
    assert_eq!(echoed(&mut tls).await, Some(*b"ping"));
    db.deny_list.send_replace(denying(2, &[&svid]));
    // Envoy answers before its workers have the list.
    let mut let_in = 1;
    loop {
        let mut other = connect(port, &svid, &forge).await;
        if echoed(&mut other).await.is_none() {
            break;
        }
        let_in += 1;
    }
    // A filter of a connection is made with it: what comes later by ECDS does not reach it.
    assert_eq!(echoed(&mut tls).await, Some(*b"ping"));
    drop(tls);
    // What was refused is no use, though its upstream was tried.
    let key = (subject(WEB), scope("db.read"));
    let mut used = 0;
    until(async || {
        let uses = db.uses.take().into_values().flatten();
        let of_web = uses.filter(|(of, _)| *of == key);
        used += of_web.map(|(_, one)| one.count).sum::<u64>();
        (let_in <= used).then_some(())
    })
    .await;
    assert_eq!(used, let_in);
}

type Tls = tokio_rustls::client::TlsStream<tokio::net::TcpStream>;

async fn connect(port: u16, svid: &Svid, forge: &Forge) -> Tls {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
    let key = PrivateKeyDer::from_pem_slice(svid.key_pem.as_bytes()).unwrap();
    let chain = vec![CertificateDer::from(svid.chain_der.to_vec())];
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(forge.roots())
        .with_client_auth_cert(chain, key)
        .unwrap();
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port))
        .await
        .unwrap();
    let name = ServerName::try_from("host.test").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.unwrap()
}

/// What comes back of a word; nothing when the connection was closed.
async fn echoed(tls: &mut Tls) -> Option<[u8; 4]> {
    let mut word = [0; 4];
    let exchange = async {
        tls.write_all(b"ping").await.ok()?;
        tls.flush().await.ok()?;
        tls.read_exact(&mut word).await.ok()
    };
    soon(exchange).await.map(|_| word)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_svid_is_taken_and_a_broken_one_is_refused_with_words() {
    for api in ["DELTA_GRPC", "GRPC"] {
        let mut mesh = Mesh::new();
        let forge = Forge::new(&mesh.path(""));
        let db = Stage::new(of(&forge, 11, DB), Options::default());
        db.deny_list.send_replace(denying(1, &[]));
        mesh.start_demo("server", &db.socket(), 1, |text| {
            let other = text.replace("api_type: DELTA_GRPC", &format!("api_type: {api}"));
            assert!(api == "DELTA_GRPC" || other != text);
            other
        });
        mesh.port("server").await;
        let serial = |held: &Holdings| held.identities[0].svid.as_ref().unwrap().serial.clone();
        mesh.until_in_use("server", &serial(&db.holdings.borrow().clone()))
            .await;
        let next = of(&forge, 30, DB);
        db.hold(next.clone());
        mesh.until_in_use("server", &serial(&next)).await;

        let mut broken = Arc::try_unwrap(forge.svid(40, SvidName::Base(subject(DB)), 600)).unwrap();
        broken.key_pem = forge
            .svid(41, SvidName::Base(subject(DB)), 600)
            .key_pem
            .clone();
        let broken = Holdings {
            identities: vec![identity(DB, Some(Arc::new(broken)))],
            ..next.clone()
        };
        db.hold(broken);
        let row = |names: &str| {
            let rows = db.streams.rows();
            rows.into_iter().find(|row| row.names == [names]).unwrap()
        };
        let refused = until(async || Some(row("default")).filter(|row| !row.nack.is_empty())).await;
        assert!(
            refused.nack.contains("KEY_VALUES_MISMATCH"),
            "{api}: {}",
            refused.nack
        );
        assert_eq!((refused.node.as_str(), refused.pid), ("demo-server", 7));
        assert!(refused.acked_version.starts_with("30-"), "{refused:?}");
        assert_eq!(row("ROOTCA").nack, "", "no other name is disturbed");
        mesh.until_in_use("server", &serial(&next)).await;
        // The next whole one is taken.
        let last = of(&forge, 50, DB);
        db.hold(last.clone());
        mesh.until_in_use("server", &serial(&last)).await;
        until(async || row("default").nack.is_empty().then_some(())).await;
    }
}

/// Before a TCP service, with the deny list alone.
const TCP: &str = include_str!("../../../tests/envoy/deny_tcp.yaml");

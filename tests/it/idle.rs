//! Many connections that do nothing, against a real server: what each costs, and that the server
//! answers all the same.
//!
//! Some in every run. `tests/soak MINUTES idle` opens 10,000 against a release build and prints the
//! figure; `PROTEM_SOAK_CONNECTIONS` is how many.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use protem::attestation::Bearer;
use protem::client::{Client, Proof};
use protem::id::entropy::Entropy;
use protem::time::SystemClock;
use protem::wire::svid::SvidRequest;
use protem::wire::token::TokenRequest;
use protem::x509::{KeyKind, PrivateKey, read_chain, write_request};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::live::Place;
use crate::world::WEB;

type Connection = SendRequest<Empty<Bytes>>;

#[test]
fn idle_connections_cost_little_and_hold_up_nobody() {
    let wanted = std::env::var("PROTEM_SOAK_CONNECTIONS").ok();
    let wanted: usize = wanted.map_or(CONNECTIONS, |text| text.parse().unwrap());
    may_open(wanted + 100);
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(&directory.path().join("data"));
    let live = place.serve();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = Arc::new(workload(&place).await);
        let address: SocketAddr = ([127, 0, 0, 1], place.port).into();
        // The first ones make what the server makes once.
        let mut open = opened(&config, address, 0..WARM).await;
        let before_kib = live.memory_kib();
        open.extend(opened(&config, address, WARM..WARM + wanted).await);
        let after_kib = live.memory_kib();
        let each_kib = after_kib.saturating_sub(before_kib) / u64::try_from(wanted).unwrap();
        println!(
            "{wanted} idle mTLS connections over HTTP/2: {before_kib} KiB before, {after_kib} KiB \
             after, {each_kib} KiB each"
        );
        assert!(each_kib <= EACH_KIB_MAX, "{each_kib} KiB each");
        // The oldest and the newest are still there, and a newcomer comes in.
        asked(open.first_mut().unwrap()).await;
        asked(open.last_mut().unwrap()).await;
        opened(&config, address, 0..1).await;
    });
}

/// Opens connections, some at a time, each used once.
async fn opened(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    numbers: std::ops::Range<usize>,
) -> Vec<Connection> {
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let mut openers = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (config, next) = (Arc::clone(config), Arc::clone(&next));
        openers.spawn(async move {
            let mut open = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if numbers.end <= number {
                    return open;
                }
                let mut connection = connect(&config, address, number).await;
                asked(&mut connection).await;
                open.push(connection);
            }
        });
    }
    openers.join_all().await.into_iter().flatten().collect()
}

async fn connect(config: &Arc<ClientConfig>, address: SocketAddr, number: usize) -> Connection {
    // A neighbour has a limit of his own; all of 127.0.0.0/8 is this machine.
    let neighbour = u8::try_from(2 + number / PER_NEIGHBOUR).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket
        .bind((Ipv4Addr::new(127, 0, 0, neighbour), 0).into())
        .unwrap();
    let stream = socket.connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::clone(config));
    let stream = connector.connect(name, stream).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(async move {
        // It ends with the test.
        let _ = connection.await;
    });
    sender
}

async fn asked(connection: &mut Connection) {
    let request = Request::get("https://localhost/v1/bundle").body(Empty::new());
    connection.ready().await.unwrap();
    let answer = connection.send_request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.into_body().collect().await.unwrap();
}

/// A TLS client with a base SVID.
async fn workload(place: &Place) -> ClientConfig {
    let client = |proof| Client {
        address: place.url().parse().unwrap(),
        bundle: place.directory.join("bundle.pem"),
        proof,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(Entropy::system()),
    };
    let operator = client(Proof::BearerFile(place.directory.join("operator.token")));
    let request = TokenRequest {
        subject: WEB.to_owned(),
        ttl: None,
    };
    let made = operator.create_token(&request).await.unwrap();
    let token = Proof::Bearer(Bearer::parse(&made.token).unwrap());
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let request = SvidRequest {
        csr: write_request(&key).unwrap(),
        scope: None,
        elevation: None,
        subject: None,
        ttl: None,
        holder: None,
    };
    let minted = client(token).mint(&request).await.unwrap();
    let mut roots = RootCertStore::empty();
    let bundle = std::fs::read(place.directory.join("bundle.pem")).unwrap();
    for root in read_chain(&bundle).unwrap() {
        roots
            .add(CertificateDer::from(root.der().to_vec()))
            .unwrap();
    }
    let chain = read_chain(minted.chain.as_bytes()).unwrap();
    let chain = chain
        .iter()
        .map(|one| CertificateDer::from(one.der().to_vec()));
    let key = PrivatePkcs8KeyDer::from(key.to_pkcs8_der().unwrap().to_vec());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain.collect(), PrivateKeyDer::Pkcs8(key))
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Raises what this process may open; the server raises its own.
fn may_open(files: usize) {
    let files = u64::try_from(files).unwrap();
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < files) {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).unwrap();
        let enough = limit.maximum.is_none_or(|maximum| files <= maximum);
        assert!(
            enough,
            "the system lets a process open {limit:?} files, {files} are needed"
        );
    }
}

/// In `tests/run`.
const CONNECTIONS: usize = 400;
/// Before anything is measured.
const WARM: usize = 100;
const AT_ONCE: usize = 16;
/// Below what one neighbour may have, with room for others on this machine.
const PER_NEIGHBOUR: usize = 900;
/// Of a build without optimisation, whose tasks are larger; a release stays well below.
const EACH_KIB_MAX: u64 = 96;

//! The whole walk as a caller has it: mutual TLS on loopback, HTTP/2, JSON.
//!
//! Promises: a real server in a process of its own, whose processor time is what is counted; the
//! callers run beside it on the same machine. Connections stay open, as an agent's do.
//! Refuses: to count handshakes: they are another figure.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use protem::x509::{KeyKind, PrivateKey, read_chain, write_request};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::live::Place;
use crate::measure::{Cpu, Load, Table};
use crate::tools::run;
use crate::world::WEB;

type Connection = SendRequest<Full<Bytes>>;

pub(crate) async fn measure(table: &mut Table) {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(directory.path());
    let server = place.serve();
    let cpu = Cpu::Of(server.pid().as_raw_nonzero().get().unsigned_abs());
    let address: SocketAddr = format!("127.0.0.1:{}", place.port).parse().unwrap();
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let csr = write_request(&key).unwrap();
    let caller = Caller {
        address,
        bundle: std::fs::read_to_string(directory.path().join("bundle.pem")).unwrap(),
        chain: None,
        key,
    };
    let caller = caller.with_first_svid(directory.path(), &csr).await;
    let connections = caller.connections(8).await;
    let base = json!({ "csr": csr });
    let ask = json!({ "scope": SCOPE, "duration": "30m", "reason": "to measure" });
    post(
        connections[0].clone(),
        "/v1/elevations",
        &[],
        ask.to_string(),
    )
    .await;
    let elevated = json!({ "csr": csr, "scope": SCOPE });
    let many = json!({ "items": vec![base.clone(); BATCH] });

    let ask = |path: &'static str, body: &Value, over: usize| {
        let body = Bytes::from(body.to_string());
        let connections = connections.clone();
        move |turn: usize| {
            let connection = connections[turn % over].clone();
            let body = body.clone();
            async move {
                post(connection, path, &[], body).await;
            }
        }
    };
    let single = ask("/v1/svids", &base, 8);
    let alone = ask("/v1/svids", &base, 1);
    let one = Load::Waiting(1);
    let name = "issue over mTLS, HTTP/2, 1 waiting";
    table.measure_async(name, cpu, one, 1, alone).await;
    let name = "issue over mTLS, HTTP/2, 64 waiting on 8";
    let most = table
        .measure_async(name, cpu, Load::Waiting(64), 1, &single)
        .await;
    let name = "issue over mTLS, HTTP/2, 256 waiting on 8";
    let at_once = Load::Waiting(256);
    table.measure_async(name, cpu, at_once, 1, &single).await;
    let name = "issue over mTLS, HTTP/2, at half of what 64 waiting reached";
    let half = Load::Each(most / 2.0);
    table.measure_async(name, cpu, half, 1, &single).await;
    let name = "elevated, over mTLS, HTTP/2, 64 waiting on 8";
    let scoped = ask("/v1/svids", &elevated, 8);
    table
        .measure_async(name, cpu, Load::Waiting(64), 1, scoped)
        .await;
    let name = "issue in batches of 64, each figure but p50 and p99 for one SVID, 4 waiting";
    let batch = ask("/v1/svids/batch", &many, 4);
    table
        .measure_async(name, cpu, Load::Waiting(4), BATCH, batch)
        .await;
    drop(server);
}

/// A workload with what it needs to be one.
struct Caller {
    address: SocketAddr,
    bundle: String,
    chain: Option<String>,
    key: PrivateKey,
}

impl Caller {
    /// Pays the first SVID with a join token.
    async fn with_first_svid(mut self, directory: &Path, csr: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_protem"));
        command.arg("--dir").arg(directory);
        let token = run(command.args(["token", "create", WEB])).expect_success();
        let bearer = format!("Bearer {}", token.trim());
        let body = json!({ "csr": csr }).to_string();
        let header = [("authorization", bearer.as_str())];
        let answer = post(self.connect().await, "/v1/svids", &header, body).await;
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        self.chain = Some(answer["chain"].as_str().unwrap().to_owned());
        self
    }

    async fn connections(&self, count: usize) -> Arc<[Connection]> {
        let mut open = Vec::new();
        for _ in 0..count {
            open.push(self.connect().await);
        }
        open.into()
    }

    async fn connect(&self) -> Connection {
        let mut roots = RootCertStore::empty();
        for root in read_chain(self.bundle.as_bytes()).unwrap() {
            let root = CertificateDer::from(root.der().to_vec());
            roots.add(root).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.chain {
            None => builder.with_no_client_auth(),
            Some(chain) => {
                let chain = read_chain(chain.as_bytes()).unwrap();
                let chain = chain
                    .iter()
                    .map(|one| CertificateDer::from(one.der().to_vec()));
                let key = PrivatePkcs8KeyDer::from(self.key.to_pkcs8_der().unwrap().to_vec());
                builder
                    .with_client_auth_cert(chain.collect(), PrivateKeyDer::Pkcs8(key))
                    .unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        let executor = TokioExecutor::new();
        let io = TokioIo::new(stream);
        let (send, connection) = hyper::client::conn::http2::handshake(executor, io)
            .await
            .unwrap();
        tokio::spawn(async move {
            // It ends with the measurement.
            let _ = connection.await;
        });
        send
    }
}

async fn post(
    mut connection: Connection,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Bytes {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("https://localhost{path}"))
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    connection.ready().await.unwrap();
    let answer = connection.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(
        status.is_success(),
        "{status}: {}",
        String::from_utf8_lossy(&body)
    );
    body
}

const SCOPE: &str = "db.read";
const BATCH: usize = 64;

//! The whole walk as a caller has it: mutual TLS on loopback, HTTP/2, JSON.
//!
//! Promises: a real server with its doors; connections stay open, as those of a proxy's keeper do.
//! Refuses: to count handshakes: they are another figure.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use protem::server::{DevOptions, DevServer, dev};
use protem::time::SystemClock;
use protem::x509::{KeyKind, PrivateKey, read_chain, write_request};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::measure::Table;
use crate::world::WEB;

type Connection = SendRequest<Full<Bytes>>;

pub(crate) async fn measure(table: &mut Table) {
    let directory = tempfile::tempdir().unwrap();
    let options = DevOptions {
        directory: directory.path().to_owned(),
        listen: "127.0.0.1:0".parse().unwrap(),
        policy: None,
    };
    let server = dev(&options, Arc::new(SystemClock)).await.unwrap();
    let address = server.running.address;
    let key = PrivateKey::generate(KeyKind::P256).unwrap();
    let csr = write_request(&key).unwrap();
    let body = serde_json::json!({ "csr": csr }).to_string();
    let chain = first(&server, &csr).await;
    for (at_once, connections) in [(1, 1), (64, 8)] {
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(connect(address, &server, Some((&chain, &key))).await);
        }
        let name = format!("issue over mTLS, HTTP/2, {at_once} waiting on {connections}");
        table
            .measure_async(&name, at_once, |turn| {
                let connection = open.get(turn % connections).unwrap().clone();
                let body = body.clone();
                async move {
                    post(connection, &[], body).await;
                }
            })
            .await;
    }
    server.running.lifecycle.stop.cancel();
}

/// The first SVID, paid with a join token.
async fn first(server: &DevServer, csr: &str) -> String {
    let operator = operator(server).await;
    let token = server
        .running
        .service
        .create_token(&operator, WEB.parse().unwrap(), None)
        .await
        .unwrap();
    let connection = connect(server.running.address, server, None).await;
    let bearer = format!("Bearer {}", token.bearer.reveal().as_str());
    let body = serde_json::json!({ "csr": csr }).to_string();
    let answer = post(connection, &[("authorization", &bearer)], body).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer).unwrap();
    answer.get("chain").unwrap().as_str().unwrap().to_owned()
}

async fn operator(server: &DevServer) -> protem::service::Call {
    let text = std::fs::read_to_string(&server.running.operator_file).unwrap();
    let bearer = protem::attestation::Bearer::parse(&text).unwrap();
    let protem::attestation::Bearer::Operator(id, _) = &bearer else {
        unreachable!()
    };
    let caller = server
        .running
        .service
        .operator_holder(*id, &bearer.digest())
        .await
        .unwrap();
    protem::service::Call {
        caller,
        source: None,
    }
}

async fn connect(
    address: SocketAddr,
    server: &DevServer,
    proof: Option<(&str, &PrivateKey)>,
) -> Connection {
    let mut roots = RootCertStore::empty();
    for root in read_chain(server.running.service.trust_bundle().to_pem().as_bytes()).unwrap() {
        roots
            .add(CertificateDer::from(root.der().to_vec()))
            .unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match proof {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = read_chain(chain.as_bytes()).unwrap();
            let chain = chain
                .iter()
                .map(|one| CertificateDer::from(one.der().to_vec()));
            let key = PrivatePkcs8KeyDer::from(key.to_pkcs8_der().unwrap().to_vec());
            builder
                .with_client_auth_cert(chain.collect(), PrivateKeyDer::Pkcs8(key))
                .unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
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

async fn post(mut connection: Connection, headers: &[(&str, &str)], body: String) -> Bytes {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri("https://localhost/v1/svids")
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    connection.ready().await.unwrap();
    let answer = connection.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(&body));
    body
}

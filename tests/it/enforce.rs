//! Services without a mesh: the examples of `tests/examples`, and whether a right ends there.

#[path = "../examples/axum_service.rs"]
#[expect(dead_code, reason = "a test has its own start")]
mod axum_service;
#[path = "../examples/tonic_service.rs"]
#[expect(dead_code, reason = "a test has its own start")]
mod tonic_service;

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use hyper_util::rt::TokioIo;
use protem::time::{Clock as _, Seconds, SystemClock, Timestamp};
use protem::x509::{Certificate, PrivateKey, write_chain};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::doors::peer::{Authority, Client, Leaf};

/// A service that runs, and who may call it.
struct Service {
    authority: Authority,
    address: SocketAddr,
    folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    runs: JoinHandle<()>,
}

#[derive(Clone, Copy)]
enum Example {
    Axum,
    Tonic,
}

impl Service {
    async fn start(example: Example) -> Self {
        let authority = Authority::new();
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &authority);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let path = folder.path().to_owned();
        let runs = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            match example {
                Example::Axum => axum_service::run(listener, path, stopped).await,
                Example::Tonic => tonic_service::run(listener, path, stopped).await,
            }
            .unwrap();
        });
        Self {
            authority,
            address,
            folder,
            stop,
            runs,
        }
    }

    /// A client with a certificate for this id that lives for so long from now on.
    fn client(&self, id: &str, life_s: u32) -> (Client, Timestamp) {
        let now = SystemClock.now();
        let from = now.minus(Seconds::new(30));
        let life = Seconds::new(30 + life_s);
        let leaf = self.authority.svid(id, from, life);
        let client = Client::new(self.address, &self.authority, Some(leaf));
        (client, from.plus(life).whole_second())
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.runs.await.unwrap();
    }
}

/// Puts an SVID of the service into its folder, as `protem agent write` does.
fn put(folder: &Path, authority: &Authority) {
    let Leaf { chain, key } = authority.server_leaf();
    let pem = |der: &[u8]| write_chain(&[Certificate::parse(der).unwrap()]);
    let key = PrivateKey::from_pkcs8_der(key.secret_der()).unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    file("svid.key", &key.to_pkcs8_pem().unwrap());
    file("bundle.pem", &pem(authority.root_der()));
    file("svid.pem", &pem(&chain[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_opens_a_route_of_axum_and_nothing_else_does() {
    let service = Service::start(Example::Axum).await;
    for (id, status) in [
        (MAY, 200),
        (BASE, 403),
        (
            "spiffe://dev.protem.test/ns/demo/sa/web/scope/db.write",
            403,
        ),
        (
            "spiffe://dev.protem.test/ns/demo/sa/webx/scope/db.read",
            403,
        ),
        ("spiffe://other.test/ns/demo/sa/web/scope/db.read", 403),
    ] {
        let (client, _) = service.client(id, 60);
        let answer = client.http1().await.unwrap().get("/orders").await;
        assert_eq!(answer.status, status, "{id}");
        let hello = client.http2().await.unwrap().get("/hello").await.unwrap();
        assert_eq!(hello.status, 200);
        if id == MAY {
            assert_eq!(answer.body, format!("orders for {BASE} by db.read\n"));
        }
    }
    // Who shows no certificate is not heard, and no session is kept for later.
    let nobody = Client::new(service.address, &service.authority, None);
    let heard = match nobody.http1().await {
        Some(mut http) => http.try_get("/hello").await,
        None => None,
    };
    assert!(heard.is_none());
    service.end().await;
}

/// By the certificate's own end: what was answered was asked for before it, and nothing after it.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_ends_with_its_certificate_and_none_begins_after() {
    let service = Service::start(Example::Axum).await;
    let (client, end) = service.client(MAY, 3);
    let (mut busy, mut idle) = (client.http1().await.unwrap(), client.http1().await.unwrap());
    let multiplexed = client.http2().await.unwrap();
    assert_eq!(idle.get("/orders").await.status, 200);
    let mut served = 0;
    loop {
        let asked = SystemClock.now();
        let (Some(one), Some(two)) = (
            busy.try_get("/orders").await,
            multiplexed.get("/orders").await,
        ) else {
            break;
        };
        if one.status != 200 || two.status != 200 {
            break;
        }
        assert!(asked < end, "asked at {asked}, ended at {end}");
        served += 1;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(0 < served);
    assert!(end <= SystemClock.now(), "not before its end");
    assert_eq!(idle.rest().await, "", "who says nothing is cut off too");
    // Nor by what the client remembers of the sessions before.
    let late = loop {
        let late = match client.http1().await {
            Some(mut http) => http.try_get("/orders").await,
            None => None,
        };
        match late {
            // The certificate's last second counts in a handshake (RFC 5280 4.1.2.5).
            Some(answer) => assert_eq!(answer.status, 403),
            None => break None::<()>,
        }
    };
    assert!(late.is_none());
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_svid_is_shown_by_the_next_connection() {
    let service = Service::start(Example::Axum).await;
    let (client, _) = service.client(MAY, 60);
    let shown = async || {
        let stream = client.connect("http/1.1").await.unwrap();
        let (_, connection) = stream.get_ref();
        connection.peer_certificates().unwrap()[0].to_vec()
    };
    let first = shown().await;
    put(service.folder.path(), &service.authority);
    while shown().await == first {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_opens_a_method_of_tonic_and_a_refusal_is_grpcs() {
    let service = Service::start(Example::Tonic).await;
    let ask = async |id: &str| {
        let (client, _) = service.client(id, 60);
        let stream = client.connect("h2").await.unwrap();
        let mut stream = Some(TokioIo::new(stream));
        let connector = tower::service_fn(move |_| {
            std::future::ready(stream.take().ok_or_else(|| io::Error::other("once")))
        });
        let endpoint = Endpoint::from_static("http://protem.test");
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        let mut client = HealthClient::new(channel);
        let check = client.check(HealthCheckRequest::default());
        check.await.map(|answer| answer.into_inner().status)
    };
    assert_eq!(ask(MAY).await.unwrap(), 1, "serving");
    let refused = ask(BASE).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    assert!(refused.message().contains("SPIFFE ID"), "{refused}");
    service.end().await;
}

const BASE: &str = "spiffe://dev.protem.test/ns/demo/sa/web";
const MAY: &str = "spiffe://dev.protem.test/ns/demo/sa/web/scope/db.read";

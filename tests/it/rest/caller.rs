//! Callers of the REST door: a router over the world's service, and who is connected to it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, Version};
use http_body_util::BodyExt as _;
use protem::api::health::Probes;
use protem::api::http::router;
use protem::api::listener::{Lane, Peer};
use protem::api::request::Passage;
use protem::api::traffic::Traffic;
use protem::attestation::PeerNames;
use protem::id::entropy::Entropy;
use protem::x509::{Certificate, KeyKind, PrivateKey, read_chain, write_request};
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::world::World;

/// The door without its walls.
pub(crate) struct Rest {
    router: Router,
    pub(crate) world: World,
    operator: String,
}

/// Somebody who is connected.
#[derive(Clone)]
pub(crate) struct Caller {
    router: Router,
    certificate: Option<Arc<PeerNames>>,
    headers: Vec<(String, String)>,
    key: Arc<PrivateKey>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) json: Value,
    headers: http::HeaderMap,
}

impl Rest {
    pub(crate) async fn new() -> Self {
        let world = World::new().await;
        let passage = Passage {
            clock: world.clock.clone(),
            entropy: Arc::new(Entropy::seeded(1)),
            tracker: TaskTracker::new(),
            traffic: Traffic::default(),
        };
        let probes = Probes {
            unready: Arc::new(|| Box::pin(std::future::ready(Vec::new()))),
            metrics: Arc::new(String::new),
        };
        let router = router(Arc::clone(&world.service), &probes, passage);
        let operator = world.service.draw_operator();
        world.service.admit_operator(&operator).await.unwrap();
        let operator = operator.reveal().to_string();
        Self {
            router,
            world,
            operator,
        }
    }

    pub(crate) fn stranger(&self) -> Caller {
        Caller {
            router: self.router.clone(),
            certificate: None,
            headers: Vec::new(),
            key: Arc::new(PrivateKey::generate(KeyKind::P256).unwrap()),
        }
    }

    pub(crate) fn operator_header(&self) -> String {
        format!("Bearer {}", self.operator)
    }

    pub(crate) fn operator(&self) -> Caller {
        self.bearer(&self.operator)
    }

    pub(crate) fn bearer(&self, secret: &str) -> Caller {
        self.stranger()
            .with_header("authorization", &format!("Bearer {secret}"))
    }

    /// The holder of a fresh join token.
    pub(crate) async fn token(&self, subject: &str) -> Caller {
        let body = json!({ "subject": subject });
        let made = self.operator().send("POST", "/v1/tokens", &body).await;
        self.bearer(made.json["token"].as_str().unwrap())
    }

    /// How many events of a kind there are.
    pub(crate) async fn events(&self, kind: &str) -> usize {
        let ledger = self.world.ledger().await;
        ledger.iter().filter(|one| *one == kind).count()
    }

    /// The holder of a base SVID.
    pub(crate) async fn workload(&self, subject: &str) -> Caller {
        let holder = self.world.holder(subject).await;
        let names = names(&holder.issued.svid.certificate);
        Caller {
            certificate: Some(Arc::new(names)),
            key: Arc::new(holder.key),
            ..self.stranger()
        }
    }

    /// The holder of a certificate that names somebody of another trust domain.
    pub(crate) fn foreign(&self) -> Caller {
        let names = PeerNames {
            uris: vec!["spiffe://other.test/web".to_owned()],
            dns: Vec::new(),
            issuer_key_id: None,
            key_sha256: [0; 32],
            not_after: "9999-01-01T00:00:00Z".parse().unwrap(),
        };
        Caller {
            certificate: Some(Arc::new(names)),
            ..self.stranger()
        }
    }
}

impl Caller {
    /// The same, with a header set.
    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut caller = self.clone();
        caller.headers.retain(|(other, _)| other != name);
        caller.headers.push((name.to_owned(), value.to_owned()));
        caller
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send("GET", target, &Value::Null).await
    }

    /// Sends JSON; null is no body.
    pub(crate) async fn send(&self, method: &str, target: &str, body: &Value) -> Answer {
        match body {
            Value::Null => self.request(method, target, None, String::new()).await,
            _ => {
                self.request(method, target, Some("application/json"), body.to_string())
                    .await
            }
        }
    }

    /// Asks for an SVID for the caller's key.
    pub(crate) async fn mint(&self, more: &Value) -> Answer {
        let mut body = more.clone();
        body["csr"] = write_request(&self.key).unwrap().into();
        self.send("POST", "/v1/svids", &body).await
    }

    /// The same workload, connected with an elevated SVID that it minted.
    pub(crate) async fn elevated(&self, scope: &str) -> Self {
        let minted = self.mint(&json!({ "scope": scope })).await;
        let chain = read_chain(minted.json["chain"].as_str().unwrap().as_bytes()).unwrap();
        Self {
            certificate: Some(Arc::new(names(&chain[0]))),
            ..self.clone()
        }
    }

    /// Asks for an SVID as curl and openssl do.
    pub(crate) async fn mint_raw(&self, target: &str) -> Answer {
        let csr = write_request(&self.key).unwrap();
        let pem = self.with_header("accept", "application/pem-certificate-chain");
        pem.request("POST", target, Some("application/x-pem-file"), csr)
            .await
    }

    async fn request(
        &self,
        method: &str,
        target: &str,
        content_type: Option<&str>,
        body: String,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        request = request.header("host", "protem.test");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        self.perform(request.body(Body::from(body)).unwrap()).await
    }

    /// Sends bytes in this version of HTTP.
    pub(crate) async fn send_bytes(
        &self,
        version: Version,
        target: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Answer {
        let request = Request::builder().method("POST").uri(target);
        let request = request.version(version).header("host", "protem.test");
        let mut request = request.header("content-type", content_type);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        self.perform(request.body(Body::from(body)).unwrap()).await
    }

    async fn perform(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Peer {
            address: SocketAddr::from(([127, 0, 0, 1], 4_000)),
            certificate: self.certificate.clone(),
            lane: Lane::Served,
        });
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer {
            status,
            text,
            json,
            headers,
        }
    }
}

impl Answer {
    /// The `code` of the problem that the answer is; empty for any other.
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

fn names(certificate: &Certificate) -> PeerNames {
    let tbs = certificate.tbs();
    let names = tbs.alt_names.clone().unwrap();
    PeerNames {
        uris: names.uris,
        dns: names.dns,
        issuer_key_id: tbs.authority_key_id.clone(),
        key_sha256: *tbs.public_key.fingerprint().as_bytes(),
        not_after: tbs.not_after,
    }
}

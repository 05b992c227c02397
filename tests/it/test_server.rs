//! A server by hand: real TLS, real certificates, answers that a test chooses.
//!
//! It stands in for protem where a test wants the client to meet what protem never does.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use protem::time::{Clock as _, Seconds, SystemClock, Timestamp};
use protem::x509::{Certificate, CsrRules, KeyKind, PublicKey, VerifiedCsr};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A root and one intermediate.
pub(crate) struct TestAuthority {
    root: Vec<u8>,
    intermediate: Vec<u8>,
    issuer: Issuer<'static, KeyPair>,
}

impl TestAuthority {
    pub(crate) fn new() -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root_params = authority_params("root");
        let root = root_params.self_signed(&root_key).unwrap().der().to_vec();
        let key = KeyPair::generate().unwrap();
        let params = authority_params("intermediate");
        let above = Issuer::new(root_params, root_key);
        let intermediate = params.signed_by(&key, &above).unwrap().der().to_vec();
        Self {
            root,
            intermediate,
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn root_pem(&self) -> String {
        Certificate::parse(&self.root).unwrap().to_pem()
    }

    /// The answer of `POST /v1/svids` to this body, naming `spiffe_id` for `life`.
    pub(crate) fn svid(&self, body: &Value, spiffe_id: &str, life: Seconds) -> Value {
        let rules = CsrRules {
            strict: true,
            keys: [KeyKind::P256].into(),
            blocked: [].into(),
        };
        let csr = VerifiedCsr::parse(body["csr"].as_str().unwrap().as_bytes(), &rules).unwrap();
        let now = SystemClock.now();
        let names = [SanType::URI(spiffe_id.try_into().unwrap())];
        let leaf = self.leaf(&Point::of(csr.public_key()), &names, now.plus(life));
        let leaf = Certificate::parse(&leaf).unwrap();
        let above = Certificate::parse(&self.intermediate).unwrap();
        json!({
            "spiffe_id": spiffe_id,
            "subject": spiffe_id,
            "serial": "01",
            "fingerprint": leaf.fingerprint().to_string(),
            "not_before": leaf.tbs().not_before.rfc3339(),
            "not_after": leaf.tbs().not_after.rfc3339(),
            "chain": leaf.to_pem() + &above.to_pem(),
            "event": 1,
        })
    }

    fn leaf(&self, key: &impl PublicKeyData, names: &[SanType], end: Timestamp) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.not_before = SystemClock.now().minus(Seconds::new(30)).date_time();
        params.not_after = end.date_time();
        params.subject_alt_names = names.to_vec();
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.signed_by(key, &self.issuer).unwrap().der().to_vec()
    }
}

/// One request as it arrived.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) idempotency_key: Option<String>,
    /// The caller's certificate.
    pub(crate) certificate: Option<Certificate>,
    pub(crate) body: Value,
}

/// What to answer.
pub(crate) enum Reply {
    Json(u16, Value),
    Text(&'static str, String),
}

/// A listening server; every request that came is kept.
pub(crate) struct TestServer {
    pub(crate) url: String,
    pub(crate) log: Arc<Mutex<Vec<Asked>>>,
    _runtime: tokio::runtime::Runtime,
}

impl TestServer {
    /// Listens on a free port of loopback; writes `server.url` and `bundle.pem` into `directory`.
    pub(crate) fn start(
        authority: &TestAuthority,
        directory: &Path,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let acceptor = TlsAcceptor::from(Arc::new(tls(authority)));
        let (kept, answer) = (log.clone(), Arc::new(answer));
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, kept, answer) = (acceptor.clone(), kept.clone(), answer.clone());
                tokio::spawn(async move {
                    // A client that does not believe us goes away here, as some tests want.
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let peer = stream.get_ref().1.peer_certificates();
                    let peer = peer.map(|chain| Certificate::parse(&chain[0]).unwrap());
                    let service = service_fn(|request| {
                        let (kept, answer, peer) = (kept.clone(), answer.clone(), peer.clone());
                        async move {
                            let asked = read(request, peer).await;
                            let reply = write(answer(&asked));
                            kept.lock().unwrap().push(asked);
                            Ok::<_, Infallible>(reply)
                        }
                    });
                    let connection = http1::Builder::new();
                    let _ = connection
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        std::fs::write(directory.join("server.url"), &url).unwrap();
        std::fs::write(directory.join("bundle.pem"), authority.root_pem()).unwrap();
        Self {
            url,
            log,
            _runtime: runtime,
        }
    }
}

async fn read(request: Request<Incoming>, certificate: Option<Certificate>) -> Asked {
    let header = |name: &str| {
        let value = request.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (authorization, idempotency_key) =
        (header(AUTHORIZATION.as_str()), header("idempotency-key"));
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Asked {
        method,
        path,
        authorization,
        idempotency_key,
        certificate,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

fn write(reply: Reply) -> Response<Full<Bytes>> {
    let (status, kind, body) = match reply {
        Reply::Json(status, value) => (status, "application/json", value.to_string()),
        Reply::Text(kind, text) => (200, kind, text),
    };
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .body(Full::new(Bytes::from(body)))
        .unwrap()
}

fn tls(authority: &TestAuthority) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(authority.root.clone()))
        .unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .allow_unauthenticated()
        .build()
        .unwrap();
    let key = KeyPair::generate().unwrap();
    let names = [SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let leaf = authority.leaf(&key, &names, SystemClock.now().plus(Seconds::new(3_600)));
    let chain = [leaf, authority.intermediate.clone()].map(CertificateDer::from);
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(
            chain.to_vec(),
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap()
}

fn authority_params(name: &str) -> CertificateParams {
    let now = SystemClock.now();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = now.minus(Seconds::new(60)).date_time();
    params.not_after = now.plus(Seconds::new(86_400)).date_time();
    params.use_authority_key_identifier_extension = true;
    params
}

/// A P-256 public key as rcgen wants it: the point alone.
struct Point(Vec<u8>);

impl Point {
    fn of(key: &PublicKey) -> Self {
        let spki = key.spki_der();
        Self(spki[spki.len() - 65..].to_vec())
    }
}

impl PublicKeyData for Point {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

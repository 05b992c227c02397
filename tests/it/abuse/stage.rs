//! One server, as an operator runs it, and everybody who attacks it.
//!
//! Promises: a process of its own with the shipped configuration, but for base SVIDs of 5 s, so
//! that an attack can outlive its certificate; every SVID that was answered is counted.
//! Refuses: to know more than an attacker on the machine: it has the CA's keys and reads the log
//! after the end.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use protem::x509::{Certificate, KeyKind, PrivateKey, read_chain, write_request};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::doors::peer::{Client, Leaf};
use crate::doors::wire::{Answer, Bare};
use crate::live::{Live, free_port};
use crate::tools::repository;
use crate::world::{DB, WEB};

/// The server, and who is known to it.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) observe: SocketAddr,
    pub(crate) directory: TempDir,
    pub(crate) root: Vec<u8>,
    pub(crate) operator: Caller,
    pub(crate) stranger: Caller,
    pub(crate) web: Caller,
    pub(crate) db: Caller,
    minted: AtomicUsize,
    /// Only its end touches it.
    live: Mutex<Live>,
}

/// Somebody: a way to connect, what he shows, and his key.
pub(crate) struct Caller {
    pub(crate) client: Client,
    pub(crate) bearer: Option<String>,
    pub(crate) key: PrivateKey,
}

impl Stage {
    pub(crate) async fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [api, observe] = [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())));
        let config = write_config(directory.path(), api, observe);
        let mut command = Command::new(env!("CARGO_BIN_EXE_protem"));
        command.arg("serve").arg("--config").arg(config);
        let mut live = Live::start(command);
        live.until(|line| line.contains("\"serving\""));
        let bundle = fs::read(directory.path().join("data/bundle.pem")).unwrap();
        let root = read_chain(&bundle).unwrap().remove(0).der().to_vec();
        let bearer = fs::read_to_string(directory.path().join("data/operator.token")).unwrap();
        let nobody = || Caller {
            client: Client::trusting(api, &root, None),
            bearer: None,
            key: PrivateKey::generate(KeyKind::P256).unwrap(),
        };
        let operator = Caller {
            bearer: Some(bearer.trim().to_owned()),
            ..nobody()
        };
        let mut stage = Self {
            address: api,
            observe,
            operator,
            stranger: nobody(),
            web: nobody(),
            db: nobody(),
            minted: AtomicUsize::new(0),
            live: Mutex::new(live),
            directory,
            root,
        };
        stage.register(WEB).await;
        stage.register(DB).await;
        stage.web = stage.workload(WEB).await;
        stage.db = stage.workload(DB).await;
        stage
    }

    /// Registers a workload of the demo group.
    pub(crate) async fn register(&self, subject: &str) {
        let entry = entry(subject);
        let put = self
            .json(&self.operator, "PUT", "/v1/entries", &entry)
            .await
            .unwrap();
        assert!(matches!(put.status, 200 | 201), "{}", put.body);
    }

    /// The holder of a fresh join token.
    pub(crate) async fn token(&self, subject: &str) -> Caller {
        let body = json!({ "subject": subject });
        let made = self
            .json(&self.operator, "POST", "/v1/tokens", &body)
            .await
            .unwrap();
        let made: Value = serde_json::from_str(&made.body).unwrap();
        self.bearer(made["token"].as_str().unwrap())
    }

    /// The holder of a secret.
    pub(crate) fn bearer(&self, secret: &str) -> Caller {
        Caller {
            bearer: Some(secret.to_owned()),
            ..self.with(None)
        }
    }

    /// Somebody with this certificate.
    pub(crate) fn with(&self, leaf: Option<Leaf>) -> Caller {
        Caller {
            client: Client::trusting(self.address, &self.root, leaf),
            bearer: None,
            key: PrivateKey::generate(KeyKind::P256).unwrap(),
        }
    }

    /// The holder of a base SVID of a day's work.
    pub(crate) async fn workload(&self, subject: &str) -> Caller {
        self.workload_for(subject, "1h").await
    }

    /// The holder of a base SVID of this life.
    pub(crate) async fn workload_for(&self, subject: &str, life: &str) -> Caller {
        let token = self.token(subject).await;
        let chain = self.mint(&token, &json!({ "ttl": life })).await.unwrap();
        self.holding(chain, token.key)
    }

    /// The same workload, with an elevated SVID.
    pub(crate) async fn elevated(&self, caller: &Caller, scope: &str) -> Caller {
        let ask = json!({ "scope": scope, "reason": "a customer waits" });
        let opened = self
            .json(caller, "POST", "/v1/elevations", &ask)
            .await
            .unwrap();
        assert_eq!(opened.status, 201, "{}", opened.body);
        let chain = self.mint(caller, &json!({ "scope": scope })).await.unwrap();
        let key = PrivateKey::from_pkcs8_pem(&caller.key.to_pkcs8_pem().unwrap()).unwrap();
        self.holding(chain, key)
    }

    fn holding(&self, chain: Vec<Certificate>, key: PrivateKey) -> Caller {
        let chain = chain
            .iter()
            .map(|one| CertificateDer::from(one.der().to_vec()));
        let leaf = Leaf {
            chain: chain.collect(),
            key: key_der(&key),
        };
        Caller {
            key,
            ..self.with(Some(leaf))
        }
    }

    /// An SVID for the caller's key.
    pub(crate) async fn mint(
        &self,
        caller: &Caller,
        more: &Value,
    ) -> Result<Vec<Certificate>, Option<Answer>> {
        let mut body = more.clone();
        body["csr"] = write_request(&caller.key).unwrap().into();
        let answer = self.json(caller, "POST", "/v1/svids", &body).await;
        match answer {
            Some(answer) if answer.status == 201 => {
                let view: Value = serde_json::from_str(&answer.body).unwrap();
                Ok(read_chain(view["chain"].as_str().unwrap().as_bytes()).unwrap())
            }
            refused => Err(refused),
        }
    }

    /// Asks with a JSON body; null is none.
    pub(crate) async fn json(
        &self,
        caller: &Caller,
        method: &str,
        target: &str,
        body: &Value,
    ) -> Option<Answer> {
        let text = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let json = "content-type: application/json\r\n";
        self.ask(caller, method, target, json, text.as_bytes())
            .await
    }

    /// Asks with these header lines and this body, over a connection of its own.
    pub(crate) async fn ask(
        &self,
        caller: &Caller,
        method: &str,
        target: &str,
        lines: &str,
        body: &[u8],
    ) -> Option<Answer> {
        let bearer = caller.bearer.as_ref();
        let bearer = bearer.map(|secret| format!("authorization: Bearer {secret}\r\n"));
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: protem.test\r\n{}{lines}\
             content-length: {}\r\n\r\n",
            bearer.unwrap_or_default(),
            body.len(),
        );
        self.raw(caller, &[head.as_bytes(), body].concat()).await
    }

    /// Sends bytes as they are; the first answer, none where the connection ends without one.
    pub(crate) async fn raw(&self, caller: &Caller, bytes: &[u8]) -> Option<Answer> {
        let mut connection = caller.client.http1().await?;
        connection.send(bytes).await;
        let answer = connection.answer().await;
        let minted = bytes.starts_with(b"POST /v1/svids")
            && answer.as_ref().is_some_and(|answer| answer.status == 201);
        self.minted
            .fetch_add(usize::from(minted), Ordering::Relaxed);
        answer
    }

    /// Asks the plain door of health and metrics.
    pub(crate) async fn observe(&self, target: &str) -> Option<Answer> {
        let mut connection = Bare::over(TcpStream::connect(self.observe).await.unwrap());
        connection.try_get(target).await
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// How many SVIDs were answered.
    pub(crate) fn minted(&self) -> usize {
        self.minted.load(Ordering::Relaxed)
    }

    /// Takes back what was counted twice.
    pub(crate) fn uncount(&self, minted: usize) {
        self.minted.fetch_sub(minted, Ordering::Relaxed);
    }

    /// Ends the server, and answers its log.
    pub(crate) fn end(self) -> (TempDir, Vec<String>) {
        let (status, said) = self.live.into_inner().unwrap().terminate();
        assert_eq!(status.code(), Some(0), "{said:#?}");
        (self.directory, said)
    }
}

/// What is registered of a workload of the demo group.
pub(crate) fn entry(subject: &str) -> Value {
    json!({
        "subject": subject, "obtained_by": ["token"], "owner": "demo", "groups": ["demo"],
        "life": "1h",
    })
}

/// What came back, in few words: a status with the code of its problem, or that nothing did.
pub(crate) fn said(answer: Option<Answer>) -> String {
    match answer {
        None => "connection ended".to_owned(),
        Some(answer) => format!("{} {}", answer.status, answer.code())
            .trim()
            .to_owned(),
    }
}

pub(crate) fn key_der(key: &PrivateKey) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.to_pkcs8_der().unwrap().to_vec()).into()
}

/// The configuration of a server in `directory`, as a file.
pub(crate) fn write_config(directory: &Path, api: SocketAddr, observe: SocketAddr) -> PathBuf {
    let profiles = directory.join("profiles");
    fs::create_dir_all(&profiles).unwrap();
    for name in ["base", "elevated", "intermediate", "root", "service"] {
        let text = fs::read_to_string(repository(&format!("pki/profiles/{name}.toml"))).unwrap();
        let text = if name == "base" {
            let text = text.replace("life_shortest = \"1m\"", "life_shortest = \"5s\"");
            text.replace("backdate = \"30s\"", "backdate = \"2s\"")
        } else {
            text
        };
        fs::write(profiles.join(format!("{name}.toml")), text).unwrap();
    }
    let text = format!(
        "trust_domain = \"dev.protem.test\"\ndata = \"{data}\"\nlisten = \"{api}\"\n\
         observe = \"{observe}\"\ndns_names = [\"protem.test\", \"localhost\"]\n\
         profiles = \"{profiles}\"\nfirst_policy = \"{policy}\"\nlog = \"info\"\nlog_json = true\n",
        data = directory.join("data").display(),
        profiles = profiles.display(),
        policy = repository("policy").display(),
    );
    let path = directory.join("server.toml");
    fs::write(&path, text).unwrap();
    path
}

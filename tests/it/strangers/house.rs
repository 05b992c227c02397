//! A whole server in this process: its configuration as an operator writes it, its doors on real
//! sockets, a clock moved by hand.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protem::attestation::Bearer;
use protem::client::{Client, ClientError, Proof, ServerAddress};
use protem::config::ServerConfig;
use protem::id::entropy::Entropy;
use protem::server::{Running, StartError, start};
use protem::time::{Clock as _, ManualClock, SystemClock};
use protem::wire::entry::EntryRequest;
use protem::wire::event::{EventDetail, EventQuery};
use protem::wire::svid::{SvidRequest, SvidView};
use protem::wire::token::TokenRequest;
use protem::x509::{KeyKind, PrivateKey, write_request};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::tools::repository;

/// A server that serves until it is dropped.
pub(crate) struct House {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) folder: TempDir,
    runtime: Runtime,
    running: Running,
}

impl House {
    /// With these tables in its configuration.
    pub(crate) fn new(tables: &str) -> Self {
        Self::with("", tables).unwrap()
    }

    /// With these keys at the top, and these tables.
    pub(crate) fn with(keys: &str, tables: &str) -> Result<Self, StartError> {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let text = format!(
            "trust_domain = \"dev.protem.test\"\ndata = \"{}\"\nlisten = \"127.0.0.1:0\"\n\
             ip_addresses = [\"127.0.0.1\"]\nfirst_policy = \"{}\"\n{keys}\n{tables}",
            folder.path().join("data").display(),
            repository("policy").display(),
        );
        let file = folder.path().join("server.toml");
        std::fs::write(&file, text).unwrap();
        let config = ServerConfig::read(&file).unwrap();
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let running = runtime.block_on(start(&config, Arc::clone(&clock) as _))?;
        Ok(Self {
            clock,
            folder,
            runtime,
            running,
        })
    }

    pub(crate) fn at(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn run<T>(&self, act: impl Future<Output = T>) -> T {
        self.runtime.block_on(act)
    }

    pub(crate) fn client(&self, proof: Proof) -> Client {
        let url = format!("https://{}", self.running.address);
        Client {
            address: url.parse::<ServerAddress>().unwrap(),
            bundle: self.at("data/bundle.pem"),
            proof,
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::new(Entropy::system()),
        }
    }

    pub(crate) fn operator(&self) -> Client {
        self.client(Proof::BearerFile(self.running.operator_file.clone()))
    }

    /// Tells the server to end.
    pub(crate) fn stop(&self) {
        self.running.lifecycle.stop.cancel();
    }

    /// A base SVID for the holder of a fresh join token, in a folder of this name.
    pub(crate) fn arrive(&self, subject: &str, name: &str) -> Client {
        let wanted = TokenRequest {
            subject: subject.to_owned(),
            ttl: None,
        };
        let token = self.run(self.operator().create_token(&wanted)).unwrap();
        let bearer = Bearer::parse(&token.token).unwrap();
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        let minted = self.mint(&self.client(Proof::Bearer(bearer)), &key, None);
        let pem = key.to_pkcs8_pem().unwrap();
        self.client(svid_folder(&self.at(name), &minted.unwrap().chain, &pem))
    }

    /// Registers a workload of the demo group.
    pub(crate) fn register(&self, subject: &str, obtained_by: &str) {
        let entry = EntryRequest {
            subject: subject.to_owned(),
            obtained_by: vec![obtained_by.to_owned()],
            owner: "demo".to_owned(),
            groups: vec!["demo".to_owned()],
            life: "1h".to_owned(),
            ..EntryRequest::default()
        };
        self.run(self.operator().put_entry(&entry)).unwrap();
    }

    /// What the holder of a token gets for a new key.
    pub(crate) fn mint_by_token(&self, token: &str) -> Result<SvidView, String> {
        let file = self.at("token");
        std::fs::write(&file, token).unwrap();
        let client = self.client(Proof::TokenFile(file));
        self.mint(&client, &PrivateKey::generate(KeyKind::P256).unwrap(), None)
    }

    /// An SVID for this key, or the code of the refusal.
    pub(crate) fn mint(
        &self,
        client: &Client,
        key: &PrivateKey,
        scope: Option<&str>,
    ) -> Result<SvidView, String> {
        let request = SvidRequest {
            csr: write_request(key).unwrap(),
            scope: scope.map(str::to_owned),
            elevation: None,
            subject: None,
            ttl: None,
            holder: None,
        };
        self.run(client.mint(&request)).map_err(code)
    }

    /// The newest event of a kind.
    pub(crate) fn newest(&self, kind: &str) -> EventDetail {
        let query = EventQuery {
            kind: Some(kind.to_owned()),
            ..EventQuery::default()
        };
        let operator = self.operator();
        let found = self.run(operator.events(&query)).unwrap().items;
        self.run(operator.event(found.last().unwrap().number))
            .unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.running.lifecycle.stop.cancel();
        self.running.lifecycle.tracker.close();
        let tracker = self.running.lifecycle.tracker.clone();
        self.runtime.block_on(tracker.wait());
    }
}

/// What a refusal is called; `connection` where the door did not even listen.
pub(crate) fn code(error: ClientError) -> String {
    match error {
        ClientError::Problem(problem) => problem.code,
        ClientError::Broken { .. } | ClientError::Handshake { .. } => "connection".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// A key and a chain as the client reads them.
pub(crate) fn svid_folder(folder: &Path, chain: &str, key: &str) -> Proof {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join("svid.pem"), chain).unwrap();
    std::fs::write(folder.join("svid.key"), key).unwrap();
    Proof::Svid(folder.to_owned())
}

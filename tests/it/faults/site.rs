//! One workload with a server of its own, which can be started under any condition.

use std::fs;
use std::path::PathBuf;

use protem::attestation::Bearer;
use protem::client::{Client, ClientError, Proof, SVID_KEY, SVID_PEM};
use protem::wire::svid::{SvidRequest, SvidView};
use protem::wire::token::TokenRequest;
use protem::x509::{KeyKind, PrivateKey, write_request};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::crash::house::{House, subject};
use crate::live::{Live, Place};
use crate::tools::{run, tool};

/// A data directory, what clients need of it, and a workload that holds a base SVID.
pub(crate) struct Site {
    pub(crate) house: House,
    runtime: Runtime,
    folder: PathBuf,
    pub(crate) directory: TempDir,
}

/// One request that can be made again and again and is one request all the same.
pub(crate) struct Wish {
    key: PrivateKey,
    once: u64,
    /// A join token; the workload's SVID when there is none.
    token: Option<String>,
}

impl Wish {
    /// A base SVID for a new key, paid with the one that is held; another `once`, another wish.
    pub(crate) fn new(once: u64) -> Self {
        Self {
            key: PrivateKey::generate(KeyKind::P256).unwrap(),
            once,
            token: None,
        }
    }
}

impl Site {
    /// A site and its server, which serves.
    pub(crate) fn new() -> (Self, Live) {
        Self::in_place(|_| {})
    }

    /// A site whose data directory is made ready before the first start.
    pub(crate) fn in_place(ready: impl FnOnce(&Place)) -> (Self, Live) {
        let directory = tempfile::tempdir().unwrap();
        let house = House::new(directory.path(), 0);
        ready(&house.place);
        let live = house.place.serve();
        house.keep_credentials();
        let folder = directory.path().join("workload");
        fs::create_dir(&folder).unwrap();
        let site = Self {
            house,
            runtime: Runtime::new().unwrap(),
            folder,
            directory,
        };
        site.runtime.block_on(site.house.register());
        site.renew(0);
        (site, live)
    }

    /// A new base SVID for the workload, which lives for three minutes.
    pub(crate) fn renew(&self, once: u64) {
        let wish = self.wish_by_token(once);
        let view = self.ask(&wish).unwrap();
        let pem = wish.key.to_pkcs8_pem().unwrap();
        fs::write(self.folder.join(SVID_KEY), pem.as_bytes()).unwrap();
        fs::write(self.folder.join(SVID_PEM), &view.chain).unwrap();
    }

    /// The place with something in the server's environment.
    pub(crate) fn with(&self, name: &'static str, value: &str) -> Place {
        let mut place = self.house.place.clone();
        place.environment.push((name, value.to_owned()));
        place
    }

    /// A base SVID for a new key, paid with a new join token.
    pub(crate) fn wish_by_token(&self, once: u64) -> Wish {
        let request = TokenRequest {
            subject: subject(0),
            ttl: None,
        };
        let made = self.house.operator();
        let made = self.runtime.block_on(made.create_token(&request)).unwrap();
        Wish {
            token: Some(made.token),
            ..Wish::new(once)
        }
    }

    /// Has the operator do something.
    pub(crate) fn operate<T>(
        &self,
        act: impl AsyncFnOnce(Client) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.runtime.block_on(act(self.house.operator()))
    }

    pub(crate) fn ask(&self, wish: &Wish) -> Result<SvidView, ClientError> {
        let proof = match &wish.token {
            Some(token) => Proof::Bearer(Bearer::parse(token).unwrap()),
            None => Proof::Svid(self.folder.clone()),
        };
        let request = SvidRequest {
            csr: write_request(&wish.key).unwrap(),
            scope: None,
            elevation: None,
            subject: None,
            ttl: None,
            holder: None,
        };
        let client = self.house.client(proof, wish.once);
        let view = self.runtime.block_on(client.mint(&request))?;
        self.house.received(&view, wish.key.public_key(), None);
        Ok(view)
    }

    /// What `/readyz` says: nothing when the server is ready.
    pub(crate) fn unready(&self) -> Option<String> {
        let url = format!("{}/readyz", self.house.place.url());
        let mut curl = tool("curl");
        curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]);
        let said = run(curl.arg(self.house.bundle()).arg(url)).expect_success();
        (said != "ok\n").then_some(said)
    }

    /// Waits until `/readyz` says so, or that all is well; the server looks in rounds.
    #[track_caller]
    pub(crate) fn until_unready(&self, because: Option<&str>) {
        let mut said = None;
        for _ in 0..LOOKS_MAX {
            said = self.unready();
            let so = match (&said, because) {
                (None, None) => true,
                (Some(said), Some(because)) => said.contains(because),
                (Some(_), None) | (None, Some(_)) => false,
            };
            if so {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(250));
        }
        panic!("not {because:?} but {said:?}");
    }

    /// A number that another program reads from the store.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        let store = self.house.place.directory.join("protem.db");
        let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        store.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Everything that was received is in the ledger, exactly once, and nothing is half done;
    /// the server must be at rest.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        assert_eq!(self.count("SELECT count(*) FROM unfinished"), 0);
        assert_eq!(self.count(GAPS), 0, "the ledger has a gap");
        assert_eq!(self.count(WITHOUT_INTENT), 0, "an outcome without intent");
        let tally = self.house.tally.lock().unwrap();
        assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
        for one in &tally.received {
            let fingerprint = one.certificate.fingerprint();
            let rows = format!(
                "SELECT count(*) FROM events WHERE kind = 'svid.issued' \
                 AND fingerprint = '{fingerprint}'"
            );
            assert_eq!(self.count(&rows), 1, "{fingerprint}");
        }
    }
}

/// Of a quarter of a second each.
const LOOKS_MAX: u32 = 120;
pub(crate) const INTENTS: &str = "SELECT count(*) FROM events WHERE kind = 'svid.intent'";
const GAPS: &str = "SELECT max(number) - count(*) FROM events";
const WITHOUT_INTENT: &str = "SELECT count(*) FROM outcomes \
    WHERE intent NOT IN (SELECT number FROM intents)";

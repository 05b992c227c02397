//! A real agent beside a real server, each a process of its own, on one host.
//!
//! Promises: every user may enter the folder of the agent's sockets, and its configuration is the
//! shipped one but for what the caller adds. Nothing outlives the place.
//! Refuses: an agent that the server has not told everything.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use protem::client::{Client, Proof};
use protem::id::entropy::Entropy;
use protem::time::SystemClock;
use protem::wire::entry::EntryRequest;
use protem::wire::token::TokenRequest;

use crate::live::{Live, Place};

/// Where both live.
pub(crate) struct AgentPlace {
    pub(crate) server: Place,
    folder: PathBuf,
}

impl AgentPlace {
    pub(crate) fn new(folder: &Path) -> Self {
        let all = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder, all).unwrap();
        Self {
            server: Place::new(&folder.join("server")),
            folder: folder.to_owned(),
        }
    }

    /// A client with every right.
    pub(crate) fn operator(&self) -> Client {
        let directory = &self.server.directory;
        Client {
            address: self.server.url().parse().unwrap(),
            bundle: directory.join("bundle.pem"),
            proof: Proof::BearerFile(directory.join("operator.token")),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(Entropy::system()),
        }
    }

    /// Registers a workload of the demo group for the processes that show this.
    pub(crate) async fn register(&self, subject: &str, selector: &str, life: &str) {
        let entry = EntryRequest {
            selectors: vec![selector.to_owned()],
            obtained_by: vec![AGENT.to_owned()],
            ..terms(subject, life)
        };
        self.operator().put_entry(&entry).await.unwrap();
    }

    /// Registers the agent, starts it, and waits until it was told everything.
    pub(crate) async fn start_agent(&self, settings: &str) -> Live {
        let entry = EntryRequest {
            obtained_by: vec!["token".to_owned()],
            ..terms(AGENT, "1h")
        };
        self.operator().put_entry(&entry).await.unwrap();
        let request = TokenRequest {
            subject: AGENT.to_owned(),
            ttl: None,
        };
        let made = self.operator().create_token(&request).await.unwrap();
        std::fs::write(self.path("join.token"), &made.token).unwrap();
        let path = |name: &str| self.path(name).display().to_string();
        let config = format!(
            "server = \"{}\"\nbundle = \"{}\"\nstate = \"{}\"\nsubject = \"{AGENT}\"\n\
             join_token_file = \"{}\"\nworkload_socket = \"{}\"\n\
             [sds]\nsocket = \"{}\"\n{settings}\n",
            self.server.url(),
            self.server.directory.join("bundle.pem").display(),
            path("state"),
            path("join.token"),
            self.workload_socket().display(),
            self.sds_socket().display(),
        );
        std::fs::write(self.path("agent.toml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_protem"));
        command.args(["agent", "run", "--config"]);
        let mut agent = Live::start({
            command.arg(self.path("agent.toml"));
            command
        });
        agent.until_said("the server told everything");
        agent
    }

    pub(crate) fn workload_socket(&self) -> PathBuf {
        self.path("run/workload.sock")
    }

    pub(crate) fn sds_socket(&self) -> PathBuf {
        self.path("run/sds.sock")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn terms(subject: &str, life: &str) -> EntryRequest {
    EntryRequest {
        subject: subject.to_owned(),
        owner: "demo".to_owned(),
        groups: vec!["demo".to_owned()],
        life: life.to_owned(),
        ..EntryRequest::default()
    }
}

pub(crate) const AGENT: &str = "spiffe://dev.protem.test/agent/host-1";

//! Two hosts on one machine: an agent each, `web` with the client Envoy, `db` with the server one.
//!
//! Promises: agents are real processes on a configuration of their own; Envoys run on `deploy/demo`
//! as shipped, but for what a test says that it changes. Everybody has one user here, so each agent
//! serves one workload: the entry of the other does not name it.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::bench::{Bench, DB, WEB, until};
use crate::tools::repository;

/// Where the Envoys listen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doors {
    pub(crate) client: u16,
    pub(crate) server: u16,
    pub(crate) echo: u16,
}

/// `agent-HOST`, as processes are called.
pub(crate) const WEB_AGENT: &str = "agent-web";
pub(crate) const DB_AGENT: &str = "agent-db";

impl Bench {
    /// Registers both hosts and starts their agents, that of web with this in its table `[sds]`.
    pub(crate) fn start_agents(&self, sds_of_web: &str) {
        self.register("web", WEB, sds_of_web);
        self.register("db", DB, "report_uses = true");
        self.start_agent(WEB_AGENT);
        self.start_agent(DB_AGENT);
    }

    /// Registers a host's agent and the workload that it serves.
    pub(crate) fn register(&self, host: &str, workload: &str, sds: &str) {
        let agent = format!("spiffe://dev.protem.test/agent/{host}");
        let who = format!("--subject {agent} --obtained-by token --owner ops");
        self.protem(&format!("entry put {who} --life 1h"));
        let uid = rustix::process::getuid().as_raw();
        let who = format!("--subject {workload} --obtained-by {agent} --selector unix:uid:{uid}");
        self.protem(&format!(
            "entry put {who} --owner demo --group demo --life 60s"
        ));
        let token = self.protem(&format!("token create {agent}"));
        fs::write(self.path(&format!("{host}.token")), token).unwrap();
        self.configure(host, sds);
    }

    /// Writes the configuration of the agent of a host.
    pub(crate) fn configure(&self, host: &str, sds: &str) {
        let place = |name: &str| self.path(name).display().to_string();
        let text = format!(
            "server = \"https://{}\"\nbundle = \"{}\"\nstate = \"{}\"\n\
             subject = \"spiffe://dev.protem.test/agent/{host}\"\n\
             join_token_file = \"{}\"\nworkload_socket = \"{}\"\n\
             [sds]\nsocket = \"{}\"\n{sds}\n",
            self.authority(),
            place(".protem/bundle.pem"),
            place(&format!("{host}.state")),
            place(&format!("{host}.token")),
            self.workload_socket(host),
            self.sds_socket(host).display(),
        );
        fs::write(self.path(&format!("{host}.toml")), text).unwrap();
    }

    /// Starts an agent and waits until it knows all that the server told.
    pub(crate) fn start_agent(&self, name: &'static str) {
        self.run_agent(name);
        let host = host_of(name);
        until(name, || {
            (self.agent_status(host)?["connected"] == true).then_some(())
        });
    }

    /// Starts an agent.
    pub(crate) fn run_agent(&self, name: &'static str) {
        let host = host_of(name);
        self.keep(name, &format!("agent run --config {host}.toml"));
    }

    /// What the agent of a host says of itself.
    pub(crate) fn agent_status(&self, host: &str) -> Option<Value> {
        let socket = self.workload_socket(host);
        let output = self.attempt(&format!("agent status --json --socket {socket}"));
        serde_json::from_slice(&output.stdout).ok()
    }

    /// Asks through the agent of web; returns the elevation's id.
    #[track_caller]
    pub(crate) fn elevate(&self, scope: &str, duration: &str) -> String {
        let socket = self.workload_socket("web");
        let how = format!("--reason test --duration {duration}");
        let answer = self.json(&format!("elevate {scope} --socket {socket} {how}"));
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Every elevation for a scope that there ever was.
    pub(crate) fn elevations(&self, scope: &str) -> Vec<Value> {
        let list = self.json(&format!("elevation list --scope {scope}"));
        list["items"].as_array().unwrap().clone()
    }

    /// Starts echo and both Envoys of `deploy/demo`, that of the client changed.
    pub(crate) fn start_envoys(&self, change: &dyn Fn(String) -> String) -> Doors {
        let mut doors = Doors {
            client: 0,
            server: 0,
            echo: self.start_echo(),
        };
        doors.server = self.start_server(doors);
        doors.client = self.start_client(doors, change);
        doors
    }

    /// Starts the server Envoy, on the port that it had.
    pub(crate) fn start_server(&self, doors: Doors) -> u16 {
        let text = fs::read_to_string(repository("deploy/demo/server.yaml")).unwrap();
        self.start_on_agent("server", "db", doors, text)
    }

    /// Starts the client Envoy, on a port of its choice.
    pub(crate) fn start_client(&self, doors: Doors, change: &dyn Fn(String) -> String) -> u16 {
        let text = fs::read_to_string(repository("deploy/demo/client.yaml")).unwrap();
        self.start_on_agent("client", "web", doors, change(text))
    }

    /// Starts an Envoy on the agent of a host.
    pub(crate) fn start_on_agent(
        &self,
        name: &'static str,
        host: &str,
        doors: Doors,
        text: String,
    ) -> u16 {
        let places = [
            ("AGENT_SOCKET", self.sds_socket(host).display().to_string()),
            ("SERVER_PORT", doors.server.to_string()),
            ("ECHO_PORT", doors.echo.to_string()),
        ];
        self.start_envoy_on(name, &self.fill_in(name, text, &places))
    }

    pub(crate) fn workload_socket(&self, host: &str) -> String {
        let path = self.path(&format!("{host}.run/workload.sock"));
        path.display().to_string()
    }

    pub(crate) fn sds_socket(&self, host: &str) -> PathBuf {
        self.path(&format!("{host}.run/sds.sock"))
    }
}

/// The client Envoy as it is shipped, but for the greatest age of its connections.
pub(crate) fn connections_of(age: &'static str) -> impl Fn(String) -> String {
    move |text| {
        let shipped = "max_connection_duration: 15s";
        assert!(text.contains(shipped), "the greatest age stands elsewhere");
        text.replacen(shipped, &format!("max_connection_duration: {age}"), 1)
    }
}

/// The client Envoy as it is shipped.
pub(crate) const fn as_shipped(text: String) -> String {
    text
}

fn host_of(agent: &str) -> &str {
    agent.trim_start_matches("agent-")
}

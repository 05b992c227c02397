//! The bench of printed configurations: one agent for the server's host, keepers for who asks.
//!
//! Promises: an Envoy starts on what the program printed, byte for byte; where resources for a
//! control plane were printed, Envoy reads them as such a one would send them.

use std::fs;
use std::path::PathBuf;

use crate::envoy::bench::{Bench, DB, WEB, lives, until};
use crate::envoy::hosts::DB_AGENT;
use crate::tools::{repository, tool};

pub(crate) const OPS: &str = "spiffe://dev.protem.test/ns/demo/sa/ops";

/// How a scope is written, and how the text is read.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Bootstrap,
    Xds,
}

pub(crate) struct Stand {
    pub(crate) bench: Bench,
}

impl Stand {
    /// A bench where `db.read` is written so.
    pub(crate) fn open(encoding: &'static str) -> Self {
        let bench = Bench::serving(&move |name, text| {
            let text = lives(name, text, LIFE);
            let life = format!("svid_life = \"{LIFE}\"");
            let said = format!("encoding = \"{encoding}\"\n{life}");
            match encoding {
                // An idle time cannot be seen there.
                "dns" => text
                    .replacen(&life, &said, 1)
                    .replacen("idle_longest = \"10m\"\n", "", 1),
                _ => text.replacen(&life, &said, 1),
            }
        });
        Self { bench }
    }

    /// The server's host with its agent, and keepers of the base SVIDs `web` and `ops`.
    pub(crate) fn start_server_host(&self) {
        self.bench.register("db", DB, "report_uses = true");
        self.bench.start_agent(DB_AGENT);
        for (name, subject) in [("web", WEB), ("ops", OPS)] {
            let who = format!("--subject {subject} --owner demo --group demo");
            self.bench.protem(&format!("entry put {who} --life 14m"));
            self.bench.keep_base(name, subject);
        }
    }

    /// An SVID that nobody renews, in a folder of its name.
    pub(crate) fn elevate(&self, name: &'static str) -> String {
        let how = format!("--reason test --duration {LIFE}");
        self.bench.keep(
            name,
            &format!("elevate db.read --svid web --out {name} {how}"),
        );
        self.bench.wait_for_svid(name);
        self.bench.not_after(name)
    }

    /// Starts a service of `tests/envoy/behind.py`.
    pub(crate) fn behind(&self, name: &'static str, kind: &str) -> u16 {
        let script = repository("tests/envoy/behind.py");
        let bench = &self.bench;
        bench.start(name, tool("python").arg("-B").arg(script).arg(kind));
        let out = format!("{name}.out");
        until(name, || bench.text(&out).trim().parse().ok())
    }

    /// Prints an Envoy of this name and starts it.
    pub(crate) fn envoy(
        &self,
        (name, host): (&'static str, &str),
        upstream: u16,
        form: Form,
        more: &str,
    ) -> u16 {
        let text = self.print((name, host), upstream, form, more);
        let path = match form {
            Form::Bootstrap => self.write(&format!("{name}.yaml"), &text),
            Form::Xds => self.bootstrap_of(name, &text),
        };
        self.bench.start_envoy_on(name, &path)
    }

    /// Prints an Envoy of this name, for this host's agent.
    pub(crate) fn print(
        &self,
        (name, host): (&str, &str),
        upstream: u16,
        form: Form,
        more: &str,
    ) -> String {
        let bench = &self.bench;
        let word = match form {
            Form::Bootstrap => "bootstrap",
            Form::Xds => "xds",
        };
        let socket = bench.sds_socket(host);
        let log = bench.path(&format!("{name}.log"));
        bench.protem(&format!(
            "mesh envoy --scope db.read --policy policy --subject {WEB} --base-rights {OPS} \
             --listen 127.0.0.1:0 --admin 127.0.0.1:0 --upstream 127.0.0.1:{upstream} \
             --agent-socket {} --access-log {} --form {word} {more}",
            socket.display(),
            log.display(),
        ))
    }

    /// All that `mesh.py http` tries against the Envoy that these options lead to.
    pub(crate) fn http_kinds(&self, to: &str) {
        let line = format!("http {to} {WITH} {BOUND}");
        self.bench.drive_by("mesh", &line, &HTTP);
    }

    /// What a control plane would send lies in two files; the rest is the proxy's own.
    fn bootstrap_of(&self, name: &str, text: &str) -> PathBuf {
        let documents: Vec<_> = text.split("\n---\n").collect();
        let [listener, cluster, own] = documents[..] else {
            panic!("three documents: {text}");
        };
        let listener = self.write(&format!("{name}.lds.yaml"), listener);
        let cluster = self.write(&format!("{name}.cds.yaml"), cluster);
        let source = |path: &PathBuf| {
            format!(
                "{{resource_api_version: V3, path_config_source: {{path: \"{}\"}}}}",
                path.display()
            )
        };
        let text = format!(
            "{own}\nnode: {{id: {name}, cluster: test}}\n\
             admin: {{address: {{socket_address: {{address: 127.0.0.1, port_value: 0}}}}}}\n\
             dynamic_resources:\n  lds_config: {}\n  cds_config: {}\n",
            source(&listener),
            source(&cluster),
        );
        self.write(&format!("{name}.yaml"), &text)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.bench.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

/// Long enough that a connection may live for 6 s.
pub(crate) const LIFE: &str = "20s";
pub(crate) const WITH: &str = "--base web --elevated elevated --right ops";
/// 0.45 of 20 s, less the drain and the margin.
pub(crate) const BOUND: &str = "--bound-ms 6000";
const HTTP: [&str; 7] = [
    "aged",
    "base_svid",
    "duplex_ends",
    "late_refused",
    "right_svid",
    "websocket_ends",
    "websocket_h2_ends",
];

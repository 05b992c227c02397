//! `protem mesh`: what a mesh must be told so that it enforces a scope and its end.
//!
//! Promises: standard output is the text alone, ready for a file; no server is asked.
//! Refuses: to write files, and to print anything for options that contradict the catalogue.

mod lint;
mod others;
mod right;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::exit::{Exit, UsageError};
use crate::cli::mesh::others::{Consul, HaProxy, Istio, Linkerd, Nginx};
use crate::cli::mesh::right::RightOptions;
use crate::cli::screen::Screen;
use crate::identity::Subject;
use crate::mesh::{self, Address, Form, MeshError, Protocol, Side, SocketPath, TextPath};

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Print an Envoy for one scope, commented: RBAC, expiry, bounds, deny list, access log
    Envoy(Envoy),
    /// Print Istio's resources for one scope, both sides: policy, credential, patches
    Istio(Istio),
    /// Print Linkerd's resources for one scope, at the server
    Linkerd(Linkerd),
    /// Print Consul's intentions for one folded scope
    Consul(Consul),
    /// Print what nginx can do for one scope, and say what it cannot
    Nginx(Nginx),
    /// Print a HAProxy for one scope, and say what it cannot
    #[command(name = "haproxy")]
    HaProxy(HaProxy),
    /// Name every hole of a mesh's configuration
    ///
    /// Reads Envoy bootstraps, `/config_dump`, and the YAML of Istio, Linkerd and Consul, offline.
    /// Name files together that are in force together: a hole may be two halves of two files.
    Lint(lint::Lint),
}

#[derive(Args)]
pub(crate) struct Envoy {
    #[command(flatten)]
    right: RightOptions,
    /// On whose side it stands
    #[arg(long, value_enum)]
    side: SideWord,
    /// Where it forwards to: the service behind it (server), the server's Envoy (client)
    #[arg(long, value_name = "HOST:PORT")]
    upstream: Address,
    /// Where it listens; 0.0.0.0:8443 (server) or 127.0.0.1:15001 (client) when absent
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<Address>,
    /// The agent's socket for Envoy
    #[arg(long, value_name = "PATH", default_value = "/run/protem/sds.sock")]
    agent_socket: SocketPath,
    /// The server's SPIFFE ID: what a client expects, what a server shows; that of `--policy`
    #[arg(long, value_name = "SPIFFE_ID")]
    service_id: Option<Subject>,
    /// What it carries
    #[arg(long, value_enum, default_value = "http")]
    protocol: ProtocolWord,
    /// As what it is printed
    #[arg(long, value_enum, default_value = "bootstrap")]
    form: FormWord,
    /// Its own admin page
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9901")]
    admin: Address,
    /// Where its access log goes
    #[arg(long, value_name = "PATH", default_value = "/dev/stdout")]
    access_log: TextPath,
    /// Leave out the list of certificates that were denied before their end (server)
    #[arg(long)]
    no_deny_list: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum SideWord {
    /// Before the service that is asked
    Server,
    /// Before the application that asks
    Client,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolWord {
    /// HTTP, WebSocket included, to a service that speaks HTTP/1.1
    Http,
    /// HTTP to a service that speaks HTTP/2 alone, such as gRPC
    Grpc,
    /// Bytes; an end at notAfter is then not to be had, only one by age
    Tcp,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormWord {
    /// A whole configuration that starts
    Bootstrap,
    /// Listener and Cluster for a control plane, and what the bootstrap needs beside them
    Xds,
}

impl Verb {
    pub(crate) fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let text = match self {
            Self::Consul(consul) => consul.text()?,
            Self::Envoy(envoy) => envoy.text()?,
            Self::HaProxy(haproxy) => haproxy.text()?,
            Self::Istio(istio) => istio.text()?,
            Self::Linkerd(linkerd) => linkerd.text()?,
            Self::Lint(lint) => return lint.run(screen),
            Self::Nginx(nginx) => nginx.text()?,
        };
        screen.text(&text)?;
        Ok(Exit::Done)
    }
}

impl Envoy {
    fn text(self) -> anyhow::Result<String> {
        let (right, servers) = self.right.read()?;
        let side = Side::from(self.side);
        let listen = match (self.listen, side) {
            (Some(listen), _) => listen,
            (None, Side::Client) => CLIENT_LISTEN.parse().map_err(usage)?,
            (None, Side::Server) => SERVER_LISTEN.parse().map_err(usage)?,
        };
        let service = match (self.service_id, side, servers.as_slice()) {
            (None, Side::Client, [only]) => Some(only.clone()),
            (given, _, _) => given,
        };
        let envoy = mesh::Envoy {
            right,
            side,
            form: self.form.into(),
            protocol: self.protocol.into(),
            listen,
            upstream: self.upstream,
            admin: self.admin,
            agent_socket: self.agent_socket,
            access_log: self.access_log,
            service,
            deny_list: !self.no_deny_list,
        };
        Ok(envoy.print().map_err(usage)?)
    }
}

impl From<SideWord> for Side {
    fn from(word: SideWord) -> Self {
        match word {
            SideWord::Client => Self::Client,
            SideWord::Server => Self::Server,
        }
    }
}

impl From<ProtocolWord> for Protocol {
    fn from(word: ProtocolWord) -> Self {
        match word {
            ProtocolWord::Grpc => Self::Grpc,
            ProtocolWord::Http => Self::Http,
            ProtocolWord::Tcp => Self::Tcp,
        }
    }
}

impl From<FormWord> for Form {
    fn from(word: FormWord) -> Self {
        match word {
            FormWord::Bootstrap => Self::Bootstrap,
            FormWord::Xds => Self::Xds,
        }
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
pub(super) fn usage(error: MeshError) -> UsageError {
    UsageError(error.to_string())
}

const SERVER_LISTEN: &str = "0.0.0.0:8443";
const CLIENT_LISTEN: &str = "127.0.0.1:15001";

//! `protem mesh istio`, `linkerd`, `consul`, `nginx` and `haproxy`.
//!
//! Promises: the server's SPIFFE ID comes from the catalogue where that names one.
//! Refuses: to guess it where there are several.

use clap::{Args, ValueEnum};

use crate::cli::exit::UsageError;
use crate::cli::mesh::right::RightOptions;
use crate::cli::mesh::usage;
use crate::identity::Subject;
use crate::mesh::{self, Address, Label, MeshError, Right, TextPath};

/// The options of all meshes whose rules name the server.
#[derive(Args)]
pub(crate) struct Server {
    #[command(flatten)]
    right: RightOptions,
    /// The server's SPIFFE ID; that of `--policy` when it names one
    #[arg(long, value_name = "SPIFFE_ID")]
    service_id: Option<Subject>,
}

/// The options of all that select pods.
#[derive(Args)]
pub(crate) struct Pods {
    /// What selects the server's pods; `app=<account>` when absent; may be repeated
    #[arg(long = "server-label", value_name = "KEY=VALUE")]
    server_labels: Vec<Label>,
    /// The port of the server's pods
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    target_port: u16,
    /// What it carries
    #[arg(long, value_enum, default_value = "http")]
    protocol: PodProtocol,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PodProtocol {
    /// HTTP, gRPC and WebSocket included
    Http,
    /// Bytes
    Tcp,
}

#[derive(Args)]
pub(crate) struct Istio {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    pods: Pods,
    /// How clients call the server, with the port of its service
    #[arg(long, value_name = "HOST:PORT")]
    upstream: Address,
    /// What selects each client's pods; `app=<account>` when absent; may be repeated
    #[arg(long = "client-label", value_name = "KEY=VALUE")]
    client_labels: Vec<Label>,
}

#[derive(Args)]
pub(crate) struct Linkerd {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    pods: Pods,
}

#[derive(Args)]
pub(crate) struct Consul {
    #[command(flatten)]
    server: Server,
}

/// The options of a proxy that stands before one service.
#[derive(Args)]
pub(crate) struct Proxy {
    #[command(flatten)]
    right: RightOptions,
    /// The service behind
    #[arg(long, value_name = "HOST:PORT")]
    upstream: Address,
    /// Where it listens
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:8443")]
    listen: Address,
    /// The folder that `protem svid write` keeps for it
    #[arg(long, value_name = "DIR", default_value = "/var/lib/protem/svid")]
    svid_dir: TextPath,
}

#[derive(Args)]
pub(crate) struct Nginx {
    #[command(flatten)]
    proxy: Proxy,
}

#[derive(Args)]
pub(crate) struct HaProxy {
    #[command(flatten)]
    proxy: Proxy,
}

impl Server {
    fn read(self) -> Result<(Right, Subject), UsageError> {
        let (right, servers) = self.right.read()?;
        let service = match (self.service_id, servers.as_slice()) {
            (Some(given), _) => given,
            (None, [only]) => only.clone(),
            (None, _) => {
                return Err(usage(MeshError::Missing {
                    what: "the server's SPIFFE ID",
                    remedy: "`--service-id SPIFFE_ID`, or `--policy DIR` that names one server",
                }));
            }
        };
        Ok((right, service))
    }
}

impl Istio {
    pub(crate) fn text(self) -> Result<String, UsageError> {
        let (right, service) = self.server.read()?;
        let istio = mesh::Istio {
            right,
            service,
            host: self.upstream,
            target_port: self.pods.target_port,
            server_labels: self.pods.server_labels,
            client_labels: self.client_labels,
            is_tcp: self.pods.protocol == PodProtocol::Tcp,
        };
        istio.print().map_err(usage)
    }
}

impl Linkerd {
    pub(crate) fn text(self) -> Result<String, UsageError> {
        let (right, service) = self.server.read()?;
        let linkerd = mesh::Linkerd {
            right,
            service,
            target_port: self.pods.target_port,
            server_labels: self.pods.server_labels,
            is_tcp: self.pods.protocol == PodProtocol::Tcp,
        };
        linkerd.print().map_err(usage)
    }
}

impl Consul {
    pub(crate) fn text(self) -> Result<String, UsageError> {
        let (right, service) = self.server.read()?;
        mesh::Consul { right, service }.print().map_err(usage)
    }
}

impl Nginx {
    pub(crate) fn text(self) -> Result<String, UsageError> {
        let (right, _) = self.proxy.right.read()?;
        let nginx = mesh::Nginx {
            right,
            listen: self.proxy.listen,
            upstream: self.proxy.upstream,
            svid: self.proxy.svid_dir,
        };
        Ok(nginx.print())
    }
}

impl HaProxy {
    pub(crate) fn text(self) -> Result<String, UsageError> {
        let (right, _) = self.proxy.right.read()?;
        let haproxy = mesh::HaProxy {
            right,
            listen: self.proxy.listen,
            upstream: self.proxy.upstream,
            svid: self.proxy.svid_dir,
        };
        haproxy.print().map_err(usage)
    }
}

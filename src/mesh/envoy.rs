//! A whole Envoy for one scope, for the server's side or the client's.
//!
//! The templates beside this file hold the text; this file fills them in.
//!
//! Promises: what is printed starts (Envoy 1.40) and ends HTTP at notAfter; rules name whole
//! SPIFFE IDs; sessions are not resumed; only the hashable factory names a secret.
//! Refuses: a client that does not know the server's name.

mod rbac;

use crate::identity::Subject;
use crate::mesh::address::{Address, SocketPath, TextPath};
use crate::mesh::bounds::Bounds;
use crate::mesh::error::MeshError;
use crate::mesh::promise::{Outlives, Promise, RECIPE_MS, Tier};
use crate::mesh::right::Right;
use crate::mesh::template::fill;
use crate::scope::Encoding;

/// An Envoy, told in full.
#[derive(Clone, Debug)]
pub struct Envoy {
    /// What it enforces or shows.
    pub right: Right,
    /// On whose side it stands.
    pub side: Side,
    /// As what it is printed.
    pub form: Form,
    /// What it carries.
    pub protocol: Protocol,
    /// Where it listens.
    pub listen: Address,
    /// On the server's side the service behind, on the client's the server's Envoy.
    pub upstream: Address,
    /// Its own admin page.
    pub admin: Address,
    /// The agent's socket for Envoy.
    pub agent_socket: SocketPath,
    /// Where its access log goes.
    pub access_log: TextPath,
    /// The server's SPIFFE ID. The server's side shows its default SVID when it is not said.
    pub service: Option<Subject>,
    /// Whether the server's side asks for the list of certificates that were denied.
    pub deny_list: bool,
}

/// On whose side a proxy stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Before the application that asks.
    Client,
    /// Before the service that is asked.
    Server,
}

/// As what a configuration is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A bootstrap that starts.
    Bootstrap,
    /// Resources for a control plane.
    Xds,
}

/// What a proxy carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP to a service that speaks HTTP/2 alone, such as gRPC.
    Grpc,
    /// HTTP to a service that speaks HTTP/1.1.
    Http,
    /// Bytes.
    Tcp,
}

impl Envoy {
    /// The configuration as commented YAML.
    ///
    /// # Errors
    /// [`MeshError::Missing`] for a client without the server's SPIFFE ID, [`MeshError::Encoding`]
    /// for a server of raw TCP that would have to look at two names.
    pub fn print(&self) -> Result<String, MeshError> {
        self.check_encoding()?;
        let (listener, cluster) = match self.side {
            Side::Client => (self.client_listener(), self.server_cluster()?),
            Side::Server => (self.server_listener(), self.service_cluster()),
        };
        let template = match self.form {
            Form::Bootstrap => include_str!("envoy/bootstrap.yaml"),
            Form::Xds => include_str!("envoy/xds.yaml"),
        };
        Ok(fill(
            template,
            &[
                ("head", &self.head()),
                ("side", self.side.word()),
                ("admin_host", self.admin.host()),
                ("admin_port", &self.admin.port().to_string()),
                ("listener", &listener),
                ("cluster", &cluster),
                ("agent", &self.agent_cluster()),
            ],
        ))
    }

    /// What it reaches.
    #[must_use]
    pub fn promise(&self) -> Promise {
        match (self.side, self.protocol) {
            (Side::Client, _) => self.promise_of_client(),
            (Side::Server, Protocol::Tcp) => self.promise_of_tcp(),
            (Side::Server, Protocol::Grpc | Protocol::Http) => self.promise_of_http(),
        }
    }

    /// Names in the handshake are alternatives: "this URI and this DNS name" cannot be said there.
    fn check_encoding(&self) -> Result<(), MeshError> {
        let asks = (self.side, self.protocol) == (Side::Server, Protocol::Tcp);
        if asks && self.right.encoding() == Encoding::Dns {
            return Err(MeshError::Encoding {
                mesh: "an Envoy for raw TCP",
                encoding: Encoding::Dns,
                because: "the handshake knows names as alternatives only, and whoever passes it is \
                          heard by a service that speaks first",
                remedy: "`path` or `folded`",
            });
        }
        Ok(())
    }

    fn head(&self) -> String {
        let title = format!(
            "Envoy on the {}'s side of the scope `{}` ({}); printed by `protem mesh envoy`, for \
             Envoy 1.40.",
            self.side.word(),
            self.right.scope(),
            self.protocol.word(),
        );
        let mut text = self.promise().head(&title, &self.right);
        if (self.side, self.protocol == Protocol::Tcp) == (Side::Client, false) {
            let places = [
                ("scope", self.right.scope().as_str()),
                ("listen", &self.listen.to_string()),
            ];
            text.push_str(&fill(include_str!("envoy/self_test.yaml"), &places));
        }
        text
    }

    fn promise_of_http(&self) -> Promise {
        let bounds = self.right.bounds();
        let mut not_enforced = vec![
            "What the scope opens: every request through this listener. Add permissions to the \
             policy where it is less."
                .to_owned(),
        ];
        self.note_always(&mut not_enforced);
        Promise {
            tier: Tier::Cut,
            outlives: Outlives::Ms(RECIPE_MS),
            because: format!(
                "The recipe below asks again for each request and limits each stream. Were it \
                 lost in an edit, the ages of connections and streams bound it: {}.",
                bounds.backstop()
            ),
            not_enforced,
        }
    }

    fn promise_of_tcp(&self) -> Promise {
        let bounds = self.right.bounds();
        let mut not_enforced = vec![
            "The end of a connection at notAfter: no configuration of Envoy 1.40 knows it for raw \
             TCP. The age of the connection ends it."
                .to_owned(),
            "A denial on a connection that is open: it keeps the list that it began with."
                .to_owned(),
        ];
        self.note_always(&mut not_enforced);
        Promise {
            tier: Tier::Bounded,
            outlives: Outlives::Ms(bounds.connection_ms()),
            because: format!(
                "A connection that begins at the last moment lives for {}, idle or busy.",
                bounds.connection()
            ),
            not_enforced,
        }
    }

    fn promise_of_client(&self) -> Promise {
        let bounds = self.right.bounds();
        Promise {
            tier: Tier::Open,
            outlives: Outlives::Unbounded,
            because: format!(
                "A client enforces nothing: the server's side does (`--side server`). The bound \
                 below ({} of a life of {}) keeps honest connections from meeting their end.",
                bounds.connection(),
                bounds.life(),
            ),
            not_enforced: vec![
                "Who on this host uses the listener: whoever reaches its port.".to_owned(),
                "That the header x-protem-scope comes from whom you think: it names a \
                 certificate, and the agent decides whether there is one."
                    .to_owned(),
            ],
        }
    }

    fn note_always(&self, not_enforced: &mut Vec<String>) {
        not_enforced.push(
            "Who reaches the service past this proxy, and what its clock is behind the \
             authority's: that much is added."
                .to_owned(),
        );
        if !self.deny_list {
            not_enforced.push(
                "A denial before the end of a certificate (--no-deny-list): it lives on until \
                 notAfter."
                    .to_owned(),
            );
        }
        if self.right.encoding() == Encoding::Dns {
            not_enforced.push(
                "The end of a right that nobody uses: Envoy's log tells the agent URI names \
                 alone, and this scope is a DNS name."
                    .to_owned(),
            );
        }
    }

    fn server_listener(&self) -> String {
        let is_tcp = self.protocol == Protocol::Tcp;
        let template = if is_tcp {
            include_str!("envoy/server_tcp.yaml")
        } else {
            include_str!("envoy/server_http.yaml")
        };
        let deny_list = match (self.deny_list, is_tcp) {
            (false, _) => "",
            (true, true) => include_str!("envoy/deny_list_tcp.yaml"),
            (true, false) => include_str!("envoy/deny_list_http.yaml"),
        };
        let log = self.access_log.to_string();
        let log = fill(
            include_str!("envoy/connection_log.yaml"),
            &[("access_log", &log)],
        );
        let policies = rbac::policies(&self.right, is_tcp);
        let own = [
            ("connection_log", log.as_str()),
            ("server_tls", &self.server_tls(is_tcp)),
            ("deny_list", deny_list),
            ("recipe", include_str!("envoy/recipe.yaml")),
            ("policies", &policies),
        ];
        self.listener(template, &own)
    }

    fn client_listener(&self) -> String {
        let template = if self.protocol == Protocol::Tcp {
            include_str!("envoy/client_tcp.yaml")
        } else {
            include_str!("envoy/client_http.yaml")
        };
        self.listener(template, &[])
    }

    fn listener(&self, template: &str, own: &[(&str, &str)]) -> String {
        let bounds = self.right.bounds();
        let shared = [
            ("scope", self.right.scope().to_string()),
            ("listen_host", self.listen.host().to_owned()),
            ("listen_port", self.listen.port().to_string()),
            ("access_log", self.access_log.to_string()),
            ("life", bounds.life().to_string()),
            ("connection", bounds.connection().to_string()),
            ("stream", bounds.stream().to_string()),
            ("drain", Bounds::drain().to_string()),
        ];
        let shared = shared.iter().map(|(name, value)| (*name, value.as_str()));
        let places: Vec<_> = own.iter().copied().chain(shared).collect();
        fill(template, &places)
    }

    fn server_tls(&self, is_tcp: bool) -> String {
        let secret = match &self.service {
            Some(service) => service.to_string(),
            None => "default".to_owned(),
        };
        let alpn = if is_tcp {
            ""
        } else {
            "alpn_protocols: [h2, http/1.1]"
        };
        let validation = if is_tcp {
            fill(
                include_str!("envoy/validation_tcp.yaml"),
                &[("names", &rbac::names(&self.right))],
            )
        } else {
            include_str!("envoy/validation_http.yaml").to_owned()
        };
        fill(
            include_str!("envoy/server_tls.yaml"),
            &[
                ("alpn", alpn),
                ("validation", &validation),
                ("server_secret", &secret),
                ("agent_source", include_str!("envoy/agent_source.yaml")),
            ],
        )
    }

    fn service_cluster(&self) -> String {
        let options = match self.protocol {
            Protocol::Grpc => include_str!("envoy/http2_options.yaml"),
            Protocol::Http | Protocol::Tcp => "",
        };
        let own = [("options", options)];
        self.cluster(include_str!("envoy/service_cluster.yaml"), &own)
    }

    fn server_cluster(&self) -> Result<String, MeshError> {
        let service = self.service.as_ref().ok_or(MeshError::Missing {
            what: "the server's SPIFFE ID, without which every workload could play the server",
            remedy: "`--service-id SPIFFE_ID`",
        })?;
        let bounds = self.right.bounds();
        let (life, connection) = (bounds.life().to_string(), bounds.connection().to_string());
        let options = fill(
            include_str!("envoy/client_options.yaml"),
            &[("life", &life), ("connection", &connection)],
        );
        let (options, secret, prefetch) = match self.protocol {
            Protocol::Tcp => ("", include_str!("envoy/default_secret_tcp.yaml"), ""),
            Protocol::Grpc | Protocol::Http => (
                options.as_str(),
                include_str!("envoy/default_secret_http.yaml"),
                include_str!("envoy/prefetch.yaml"),
            ),
        };
        let secret = fill(secret, &[("scope", self.right.scope().as_str())]);
        let service = service.to_string();
        let own = [
            ("options", options),
            ("default_secret", &secret),
            ("prefetch", prefetch),
            ("service_id", &service),
            ("agent_source", include_str!("envoy/agent_source.yaml")),
        ];
        Ok(self.cluster(include_str!("envoy/server_cluster.yaml"), &own))
    }

    fn cluster(&self, template: &str, own: &[(&str, &str)]) -> String {
        let kind = if self.upstream.is_ip() {
            "STATIC"
        } else {
            "STRICT_DNS"
        };
        let port = self.upstream.port().to_string();
        let shared = [
            ("type", kind),
            ("upstream_host", self.upstream.host()),
            ("upstream_port", &port),
        ];
        fill(template, &[own, &shared].concat())
    }

    fn agent_cluster(&self) -> String {
        let socket = self.agent_socket.to_string();
        fill(
            include_str!("envoy/agent_cluster.yaml"),
            &[
                ("agent_socket", &socket),
                ("options", include_str!("envoy/http2_options.yaml")),
            ],
        )
    }
}

impl Side {
    const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl Protocol {
    const fn word(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

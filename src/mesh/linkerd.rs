//! Linkerd: who may, at the server. The rest Linkerd has no words for.
//!
//! Promises: identities are whole SPIFFE IDs; nothing else is let in at this port.
//! Refuses: the `dns` encoding: Linkerd's identity of a client is the first name of its
//! certificate, and one name cannot be two.

use crate::identity::Subject;
use crate::mesh::error::MeshError;
use crate::mesh::istio::labels;
use crate::mesh::kubernetes::{Label, Place};
use crate::mesh::promise::{Outlives, Promise, Tier};
use crate::mesh::right::Right;
use crate::mesh::template::{fill, quoted};
use crate::scope::Encoding;

/// A scope in Linkerd, at the server.
#[derive(Clone, Debug)]
pub struct Linkerd {
    /// What it enforces.
    pub right: Right,
    /// The server's SPIFFE ID.
    pub service: Subject,
    /// The port of its pods.
    pub target_port: u16,
    /// What selects its pods; `app=<account>` when nothing does.
    pub server_labels: Vec<Label>,
    /// Whether the proxy takes it for bytes.
    pub is_tcp: bool,
}

impl Linkerd {
    /// The resources as commented YAML.
    ///
    /// # Errors
    /// [`MeshError::Encoding`] under `dns`, [`MeshError::Place`] for a server without a namespace.
    pub fn print(&self) -> Result<String, MeshError> {
        if self.right.encoding() == Encoding::Dns {
            return Err(MeshError::Encoding {
                mesh: "Linkerd",
                encoding: Encoding::Dns,
                because: "it takes the first name of a certificate for the whole identity",
                remedy: "`path` or `folded`",
            });
        }
        let place = Place::of(&self.service, "Linkerd")?;
        let title = format!(
            "The scope `{}` at {} in Linkerd; printed by `protem mesh linkerd`.",
            self.right.scope(),
            self.service,
        );
        let elevated = self.right.holders().iter().map(|holder| &holder.sans.uri);
        let base = self.right.base().iter().map(Subject::id);
        let identities = quoted(elevated.chain(base).map(ToString::to_string));
        let text = fill(
            include_str!("linkerd/server.yaml"),
            &[
                ("scope", self.right.scope().as_str()),
                ("account", &place.account),
                ("namespace", &place.namespace),
                ("labels", &labels(&self.server_labels, &place)),
                ("port", &self.target_port.to_string()),
                ("protocol", if self.is_tcp { "opaque" } else { "unknown" }),
                ("identities", &identities),
            ],
        );
        Ok(self.promise().head(&title, &self.right) + &text)
    }

    /// What it reaches.
    #[must_use]
    pub fn promise(&self) -> Promise {
        Promise {
            tier: Tier::Open,
            outlives: Outlives::Unbounded,
            because: "New connections are refused from notAfter on. Bound what is open at the \
                      client: an Envoy (`protem mesh envoy --side client`) or a go-spiffe program \
                      with a timer."
                .to_owned(),
            not_enforced: vec![
                "The end of a certificate on a connection that is open: Linkerd closes none, at \
                 expiry or renewal."
                    .to_owned(),
                "Resumption by clients that are not Linkerd's: a session can be resumed until the \
                 server's own certificate is renewed."
                    .to_owned(),
                "A denial before the end of a certificate.".to_owned(),
                "The client's side: Linkerd's proxy holds one certificate, its own; it cannot show \
                 an elevated one."
                    .to_owned(),
                "No Linkerd was run; that identities match as whole URIs is from its code."
                    .to_owned(),
            ],
        }
    }
}

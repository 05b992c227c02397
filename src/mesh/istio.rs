//! Istio's sidecars: who may, as Istio says it, and what Istio cannot say, as patches of Envoy.
//!
//! Promises: principals are whole names under the real trust domain; the server refuses plain text;
//! the patches hold what `protem mesh envoy` prints, with the client's retry headers taken away,
//! because Istio trusts them.
//! Refuses: the `dns` encoding, which no principal of Istio sees.

use crate::identity::{SpiffeId, Subject};
use crate::mesh::address::Address;
use crate::mesh::bounds::Bounds;
use crate::mesh::error::MeshError;
use crate::mesh::kubernetes::{Label, Place};
use crate::mesh::promise::{Outlives, Promise, RECIPE_MS, Tier};
use crate::mesh::right::Right;
use crate::mesh::template::{fill, quoted};
use crate::scope::Encoding;

/// A scope in Istio, for both sides.
#[derive(Clone, Debug)]
pub struct Istio {
    /// What it enforces.
    pub right: Right,
    /// The server's SPIFFE ID.
    pub service: Subject,
    /// How clients call it, with the port of the service.
    pub host: Address,
    /// The port of its pods.
    pub target_port: u16,
    /// What selects its pods; `app=<account>` when nothing does.
    pub server_labels: Vec<Label>,
    /// What selects each client's pods; `app=<account>` when nothing does.
    pub client_labels: Vec<Label>,
    /// Whether the sidecar takes it for bytes.
    pub is_tcp: bool,
}

impl Istio {
    /// The resources as commented YAML.
    ///
    /// # Errors
    /// [`MeshError::Encoding`] under `dns`, [`MeshError::Place`] where a SPIFFE ID is not Istio's.
    pub fn print(&self) -> Result<String, MeshError> {
        if self.right.encoding() == Encoding::Dns {
            return Err(MeshError::Encoding {
                mesh: "Istio",
                encoding: Encoding::Dns,
                because: "its principals see the URI name alone, which is the base identity",
                remedy: "`path`, or `folded` where ztunnel stands before the server",
            });
        }
        let place = Place::of(&self.service, MESH)?;
        let title = format!(
            "The scope `{}` at {} in Istio, sidecars on both sides; printed by `protem mesh \
             istio`.",
            self.right.scope(),
            self.host,
        );
        let mut text = self.promise().head(&title, &self.right);
        text.push_str(&self.server(&place));
        for holder in self.right.holders() {
            text.push_str(&self.client(&holder.subject)?);
        }
        Ok(text)
    }

    /// What it reaches.
    #[must_use]
    pub fn promise(&self) -> Promise {
        let bounds = self.right.bounds();
        let mut not_enforced = vec![
            "No Istio was run: these filters run in Envoy by tests, their places in Istio's own \
             listeners are from its code."
                .to_owned(),
            "Other ALLOW policies of the same pods: each of them lets in as well.".to_owned(),
            "A denial before the end of a certificate: there is no deny list here.".to_owned(),
            "Waypoints and ztunnel: they see the base identity, or the `folded` one.".to_owned(),
            "Which requests of a client are elevated: with the DestinationRule all of its pods to \
             this host are, and none gets through while there is no right."
                .to_owned(),
        ];
        if !self.is_tcp {
            return Promise {
                tier: Tier::Cut,
                outlives: Outlives::Ms(RECIPE_MS),
                because: format!(
                    "By the EnvoyFilter. Without it tier 0; were its recipe lost alone, {}.",
                    bounds.backstop()
                ),
                not_enforced,
            };
        }
        not_enforced.push(
            "Who hears what the service says first: Istio's rules for TCP are asked at the \
             client's first byte."
                .to_owned(),
        );
        Promise {
            tier: Tier::Bounded,
            outlives: Outlives::Ms(bounds.connection_ms()),
            because: "By the EnvoyFilter, by age. Without it tier 0.".to_owned(),
            not_enforced,
        }
    }

    fn server(&self, place: &Place) -> String {
        let elevated = self.right.holders().iter().map(|holder| &holder.sans.uri);
        let base = self.right.base().iter().map(Subject::id);
        let whole = |id: &SpiffeId| format!("{}{}", id.trust_domain(), id.path());
        let principals = quoted(elevated.chain(base).map(whole));
        let bounds = self.right.bounds();
        let patches = if self.is_tcp {
            include_str!("istio/patches_tcp.yaml")
        } else {
            include_str!("istio/patches_http.yaml")
        };
        let port = self.target_port.to_string();
        let patches = fill(
            patches,
            &[
                ("port", &port),
                ("recipe", include_str!("istio/recipe.yaml")),
                ("connection", &bounds.connection().to_string()),
                ("stream", &bounds.stream().to_string()),
                ("drain", &Bounds::drain().to_string()),
            ],
        );
        fill(
            include_str!("istio/server.yaml"),
            &[
                ("scope", self.right.scope().as_str()),
                ("account", &place.account),
                ("namespace", &place.namespace),
                ("labels", &labels(&self.server_labels, place)),
                ("principals", &principals),
                ("port", &port),
                ("patches", &patches),
            ],
        )
    }

    fn client(&self, subject: &Subject) -> Result<String, MeshError> {
        let place = Place::of(subject, MESH)?;
        Ok(fill(
            include_str!("istio/client.yaml"),
            &[
                ("scope", self.right.scope().as_str()),
                ("account", &place.account),
                ("namespace", &place.namespace),
                ("labels", &labels(&self.client_labels, &place)),
                ("host", self.host.host()),
                ("port", &self.host.port().to_string()),
                ("service", &self.service.to_string()),
                ("connection", &self.right.bounds().connection().to_string()),
            ],
        ))
    }
}

/// A flow of labels, for one line.
pub(crate) fn labels(given: &[Label], place: &Place) -> String {
    let usual = [place.usual_label()];
    let labels = if given.is_empty() { &usual } else { given };
    let labels: Vec<_> = labels.iter().map(ToString::to_string).collect();
    format!("{{{}}}", labels.join(", "))
}

const MESH: &str = "Istio";

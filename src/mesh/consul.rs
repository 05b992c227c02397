//! Consul: an intention for the name that subject and scope are folded into.
//!
//! Promises: one source for each identity, and a denial for all others.
//! Refuses: encodings that Consul's matcher does not see; SPIFFE IDs that are not Consul's.

use crate::identity::{SpiffeId, Subject};
use crate::mesh::error::MeshError;
use crate::mesh::promise::{Outlives, Promise, Tier};
use crate::mesh::right::Right;
use crate::mesh::template::fill;
use crate::scope::Encoding;

/// A scope in Consul, at the server.
#[derive(Clone, Debug)]
pub struct Consul {
    /// What it enforces.
    pub right: Right,
    /// The server's SPIFFE ID.
    pub service: Subject,
}

impl Consul {
    /// The resource as commented YAML.
    ///
    /// # Errors
    /// [`MeshError::Encoding`] for all but `folded`, [`MeshError::Place`] for names that are not
    /// Consul's.
    pub fn print(&self) -> Result<String, MeshError> {
        if self.right.encoding() != Encoding::Folded {
            return Err(MeshError::Encoding {
                mesh: "Consul",
                encoding: self.right.encoding(),
                because: "its intentions match `/svc/<name>` to the end of the URI name, and \
                          nothing after or beside it",
                remedy: "`folded`",
            });
        }
        let destination = service_of(self.service.id())?;
        let mut sources = String::new();
        for holder in self.right.holders() {
            sources.push_str(&source(&holder.sans.uri)?);
        }
        for subject in self.right.base() {
            sources.push_str(&source(subject.id())?);
        }
        let title = format!(
            "The scope `{}` at the service `{destination}` in Consul; printed by `protem mesh \
             consul`.",
            self.right.scope(),
        );
        let text = fill(
            include_str!("consul/intentions.yaml"),
            &[("destination", destination), ("sources", &sources)],
        );
        Ok(self.promise().head(&title, &self.right) + &text)
    }

    /// What it reaches.
    #[must_use]
    pub fn promise(&self) -> Promise {
        Promise {
            tier: Tier::Open,
            outlives: Outlives::Unbounded,
            because: "Consul's proxies are Envoys: the listener and cluster of `protem mesh envoy \
                      --form xds`, as escape hatches, reach tier 2."
                .to_owned(),
            not_enforced: vec![
                "The end of a certificate on connections that are open, and resumed sessions: \
                 Consul switches nothing off."
                    .to_owned(),
                "The trust domain: an intention matches the service's name in each that is trusted."
                    .to_owned(),
                "That Consul mints such a certificate: its own lives an hour at least. protem's \
                 reach its proxies as files or over SDS, with protem's roots in the bundle."
                    .to_owned(),
                "A denial before the end of a certificate.".to_owned(),
                "No Consul was run: the rules that it makes of this were, in Envoy.".to_owned(),
            ],
        }
    }
}

/// The service's name, the last part of a SPIFFE ID of Consul's.
fn service_of(id: &SpiffeId) -> Result<&str, MeshError> {
    let segments: Vec<_> = id.segments_from_last().collect();
    match segments.as_slice() {
        [name, "svc", _, "dc", _, "ns", ..] => Ok(name),
        _ => Err(MeshError::Place {
            id: id.to_string(),
            form: "spiffe://<trust domain>/ns/<namespace>/dc/<datacenter>/svc/<service>",
            mesh: "Consul",
            remedy: "name the workload as Consul does",
        }),
    }
}

fn source(id: &SpiffeId) -> Result<String, MeshError> {
    Ok(format!(
        "- name: \"{}\"\n  action: allow\n",
        service_of(id)?
    ))
}

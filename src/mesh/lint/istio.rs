//! Rules on Istio's own resources. The rules on Envoy look at what an `EnvoyFilter` patches in.
//!
//! Resources belong together by namespace: those of the root namespace are in force everywhere.
//!
//! Refuses: to read a mesh's defaults; what is in force must stand in the files.

mod authorization;
mod destination;

use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::tree::At;
use crate::mesh::lint::{Named, Run};

/// Asks all rules; how many documents are Istio's.
pub(super) fn lint<'a>(
    documents: &[At<'a>],
    run: &Run<'_>,
    findings: &mut Findings,
    named: &mut Named<'a>,
) -> usize {
    let resources: Vec<Resource<'a>> = documents
        .iter()
        .filter_map(|at| Resource::of(*at))
        .collect();
    authorization::lint(&resources, run, findings, named);
    destination::lint(&resources, run, findings);
    resources.iter().filter(|one| one.is_istio()).count()
}

/// A resource of Kubernetes.
#[derive(Clone, Copy)]
struct Resource<'a> {
    at: At<'a>,
    kind: &'a str,
    group: &'a str,
    namespace: &'a str,
}

impl<'a> Resource<'a> {
    fn of(at: At<'a>) -> Option<Self> {
        let (group, _) = at.word("apiVersion")?.split_once('/').unwrap_or(("", ""));
        let metadata = at.field("metadata");
        let namespace = metadata.and_then(|metadata| metadata.word("namespace"));
        Some(Self {
            at,
            kind: at.word("kind")?,
            group,
            namespace: namespace.unwrap_or("default"),
        })
    }

    fn is_istio(&self) -> bool {
        self.group.ends_with("istio.io")
    }

    /// Whether it is Istio's and of a kind.
    fn is(&self, kind: &str) -> bool {
        self.kind == kind && self.is_istio()
    }

    fn spec(&self) -> Option<At<'a>> {
        self.at.field("spec")
    }

    /// Whether it is in force in a namespace.
    fn reaches(&self, namespace: &str) -> bool {
        self.namespace == namespace || self.namespace == ROOT
    }

    /// Where it is named.
    fn head(&self) -> At<'a> {
        let name = self
            .at
            .field("metadata")
            .and_then(|metadata| metadata.field("name"));
        name.unwrap_or(self.at)
    }

    fn label(&self, name: &str) -> Option<&'a str> {
        self.at.fields(&["metadata", "labels"])?.word(name)
    }

    fn annotation(&self, name: &str) -> Option<At<'a>> {
        self.at.fields(&["metadata", "annotations"])?.field(name)
    }
}

/// The namespace whose resources are in force in all, when not told otherwise.
const ROOT: &str = "istio-system";

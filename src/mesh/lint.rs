//! `protem mesh lint`: every hole of a mesh's configuration, named offline.
//!
//! Reads Envoy's bootstraps and `/config_dump`, and the YAML of Istio, Linkerd and Consul. What a
//! rule says happens was measured, or read in the mesh's own code: `manual` and `facts` tell.
//!
//! Promises: pure, text in and findings out; bounded in bytes, documents, depth, aliases and
//! findings; a hole is told at the line that has to change; silence on a file without a mesh.
//! Refuses: to guess what other files hold (they are told together), to connect, to change a file.
//! No finding is no proof: a filter of somebody's own is not looked into.

mod catalogue;
mod consul;
mod envoy;
mod finding;
mod istio;
mod linkerd;
mod name;
mod principal;
mod reading;
mod rule;
mod sarif;
mod told;
mod tree;

pub use crate::mesh::lint::catalogue::{Catalogue, CatalogueError};
pub use crate::mesh::lint::finding::{Finding, Report};
pub use crate::mesh::lint::rule::{Rule, Severity, UnknownSeverity, rules};
pub use crate::mesh::lint::sarif::sarif;
pub use crate::mesh::lint::told::{Json, told};

use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name::Elevated;
use crate::mesh::lint::rule::{TWICE, UNREADABLE};
use crate::mesh::lint::tree::{At, Tree};

/// A file to look at.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its name in findings.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// The longest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = reading::FILE_BYTES_MAX;

/// Names every hole of files that are in force together.
#[must_use]
pub fn lint(texts: &[Text], catalogue: Option<&Catalogue>) -> Report {
    let mut findings = Findings::default();
    let trees = read(texts, &mut findings);
    let documents = documents(&trees);
    let run = Run {
        scoped: catalogue.is_some() || documents.iter().any(|one| speaks_of_scope(*one)),
    };
    let mut known = 0;
    let mut named = Vec::new();
    for tree in &trees {
        known += envoy::lint(tree, &run, &mut findings, &mut named);
    }
    known += istio::lint(&documents, &run, &mut findings, &mut named);
    known += linkerd::lint(&documents, &mut findings, &mut named);
    known += consul::lint(&documents, &mut findings, &mut named);
    if let Some(catalogue) = catalogue {
        catalogue.compare(&named, &mut findings);
    }
    let text_of = |name: &str| {
        let mut texts = texts.iter();
        texts.find(|text| text.name == name).map(|text| &*text.text)
    };
    Report {
        files: texts.len(),
        documents: known,
        ..findings.report(text_of)
    }
}

/// What all rules of a run know.
struct Run {
    /// Whether anything here speaks of scopes: rules on what only an elevated name can do are
    /// silent where there are none.
    scoped: bool,
}

/// The elevated names that rules hold, each at its place.
type Named<'a> = Vec<(Elevated<'a>, At<'a>)>;

fn read(texts: &[Text], findings: &mut Findings) -> Vec<Tree> {
    let mut trees = Vec::new();
    for text in texts {
        match reading::read(&text.name, &text.text) {
            Ok(read) => {
                for (line, key) in read.twice {
                    let words = format!("key `{key}` stands twice in one map");
                    findings.tell_line(&TWICE, &text.name, line, String::new(), words);
                }
                trees.push(read.tree);
            }
            Err(error) => {
                let place = String::new();
                findings.tell_line(&UNREADABLE, &text.name, error.line, place, error.words);
            }
        }
    }
    trees
}

/// All documents, with the items of Kubernetes lists each as one.
fn documents(trees: &[Tree]) -> Vec<At<'_>> {
    let mut found = Vec::new();
    for document in trees.iter().flat_map(Tree::documents) {
        if document.word("kind") == Some("List") {
            found.extend(document.list("items"));
        } else {
            found.push(document);
        }
    }
    found
}

fn speaks_of_scope(document: At<'_>) -> bool {
    document.everything().any(|at| {
        at.text().is_some_and(|text| {
            name::is_scope_secret(text)
                || (text.len() < NAME_BYTES_MAX && name::speaks_of_scope(text))
        })
    })
}

/// A SPIFFE ID is no longer; longer texts are scripts and certificates.
const NAME_BYTES_MAX: usize = 2048;

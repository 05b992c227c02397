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
use crate::mesh::lint::rule::{TEMPLATE, TWICE, UNREADABLE};
use crate::mesh::lint::tree::{At, Tree};

/// A file to look at.
#[derive(Clone, Debug)]
pub struct Text {
    /// Its name in findings.
    pub name: String,
    /// What stands in it.
    pub text: String,
    /// Whether it was named itself; one that was found in a directory, cannot be read and speaks
    /// of no mesh is passed over.
    pub meant: bool,
}

/// The longest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = reading::FILE_BYTES_MAX;

/// Names every hole of files that are in force together.
#[must_use]
pub fn lint(texts: &[Text], catalogue: Option<&Catalogue>) -> Report {
    let mut findings = Findings::default();
    let (trees, passed_over) = read(texts, &mut findings);
    let documents = documents(&trees);
    let run = Run {
        catalogue,
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
    Report {
        files: texts.len(),
        documents: known,
        passed_over,
        ..findings.report(texts)
    }
}

/// What all rules of a run know.
struct Run<'a> {
    catalogue: Option<&'a Catalogue>,
    /// Whether anything here speaks of scopes: rules on what only an elevated name can do are
    /// silent where there are none.
    scoped: bool,
}

impl Run<'_> {
    /// The longest life of a connection that shows a secret, in milliseconds: half of the life of
    /// its SVIDs, at most half of the longest life there is.
    fn pool_ms_longest(&self, secret: Option<&str>) -> u64 {
        let catalogue = self.catalogue;
        let life = catalogue.and_then(|catalogue| catalogue.svid_life(secret));
        let life = life.map_or(SVID_LIFE_S_MAX, |life| u64::from(life.count()));
        life.min(SVID_LIFE_S_MAX) * 500
    }
}

/// The elevated names that rules hold, each at its place.
type Named<'a> = Vec<(Elevated<'a>, At<'a>)>;

fn read(texts: &[Text], findings: &mut Findings) -> (Vec<Tree>, usize) {
    let mut trees = Vec::new();
    let mut passed_over = 0;
    for text in texts {
        match reading::read(&text.name, &text.text) {
            Ok(read) => {
                for (line, key) in read.twice {
                    let words = format!("key `{key}` stands twice in one map");
                    findings.tell_line(&TWICE, &text.name, line, String::new(), words);
                }
                trees.push(read.tree);
            }
            Err(_) if !text.meant && !speaks_of_mesh(&text.text) => passed_over += 1,
            Err(error) => {
                let template = !text.meant && text.text.contains("{{");
                let rule = if template { &TEMPLATE } else { &UNREADABLE };
                let place = String::new();
                findings.tell_line(rule, &text.name, error.line, place, error.words);
            }
        }
    }
    (trees, passed_over)
}

/// Whether a text that cannot be read may be the configuration of a mesh.
fn speaks_of_mesh(text: &str) -> bool {
    MESHES.iter().any(|word| text.contains(word))
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

/// Words of the files that are looked at.
const MESHES: [&str; 6] = [
    "istio.io/",
    "policy.linkerd.io/",
    "consul.hashicorp.com/",
    "envoy.extensions.",
    "service-intentions",
    "static_resources",
];

/// The longest life of an elevated SVID.
const SVID_LIFE_S_MAX: u64 = 900;
/// A SPIFFE ID is no longer; longer texts are scripts and certificates.
const NAME_BYTES_MAX: usize = 2048;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, Strategy, prop, prop_assert, prop_oneof, proptest};

    use super::*;

    fn alone(text: &str) -> Report {
        let text = Text {
            name: "f.yaml".to_owned(),
            text: text.to_owned(),
            meant: true,
        };
        lint(&[text], None)
    }

    fn ids(report: &Report) -> Vec<(&'static str, usize)> {
        let findings = report.findings.iter();
        findings.map(|one| (one.rule.id, one.line)).collect()
    }

    #[test]
    fn what_is_no_mesh_is_silent() {
        for text in ["", "# nothing\n", "a: [b, c]\n", "{}", "- 1\n- 2\n", "text"] {
            assert_eq!(ids(&alone(text)), [], "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_where_it_was_meant() {
        let mut text = Text {
            name: "f.json".to_owned(),
            text: "{\"a\": 1}\n{\"b\": 2}\n".to_owned(),
            meant: false,
        };
        let report = lint(std::slice::from_ref(&text), None);
        assert_eq!((ids(&report), report.passed_over), (vec![], 1));
        text.text = "kind: {{ .Kind }} # networking.istio.io/v1".to_owned();
        assert_eq!(
            ids(&lint(std::slice::from_ref(&text), None)),
            [("PM004", 1)]
        );
        text.meant = true;
        assert_eq!(
            ids(&lint(std::slice::from_ref(&text), None)),
            [("PM001", 1)]
        );
        text.text = "{\"a\": 1}\n{\"b\": 2}\n".to_owned();
        assert_eq!(ids(&lint(&[text], None)), [("PM001", 2)]);
    }

    #[test]
    fn an_allowance_holds_for_its_line_and_the_next() {
        let of = |before: &str, behind: &str| {
            let text =
                format!("validation_context:\n{before}  allow_expired_certificate: true{behind}\n");
            ids(&alone(&text))
        };
        assert_eq!(of("", ""), [("PM106", 2)]);
        assert_eq!(of("", " # protem: allow PM106 until May"), []);
        assert_eq!(of("  # protem: allow PM106 until May\n", ""), []);
        assert_eq!(
            of("  # protem: allow PM106 until May\n  a: 1\n", ""),
            [("PM106", 4)]
        );
        assert_eq!(
            of("  # protem: allow PM101 until May\n", ""),
            [("PM106", 3)]
        );
        assert_eq!(
            of("  a: 1 # protem: allow PM106 until May\n", ""),
            [("PM106", 3)]
        );
        assert_eq!(of("", " # protem: allow PM106"), [("PM003", 2)]);
    }

    /// YAML of keys and words that rules look for, in any order and depth.
    fn meshes() -> impl Strategy<Value = String> {
        let words = prop::sample::select(WORDS.to_vec());
        let leaf = prop_oneof![
            words.clone().prop_map(|word| format!("\"{word}\"")),
            Just("true".to_owned()),
            Just("{}".to_owned()),
        ];
        leaf.prop_recursive(8, 128, 6, move |inner| {
            let pair = (words.clone(), inner.clone());
            let pair = pair.prop_map(|(key, value)| format!("\"{key}\": {value}"));
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(|all| format!("[{}]", all.join(","))),
                prop::collection::vec(pair, 0..6).prop_map(|all| format!("{{{}}}", all.join(","))),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at(text in "[ -~\\n\u{e9}]{0,300}") {
            let report = alone(&text);
            prop_assert!(told(&report).ends_with("notes\n") || !report.findings.is_empty());
        }

        #[test]
        fn any_tree_is_looked_at_the_same_way_twice(text in meshes()) {
            let report = alone(&text);
            prop_assert!(report == alone(&text));
            let sarif = sarif(&report);
            let results = sarif.pointer("/runs/0/results").and_then(|all| all.as_array());
            prop_assert!(results.map(Vec::len) == Some(report.findings.len()));
        }
    }

    const WORDS: [&str; 44] = [
        "@type",
        "action",
        "action",
        "ALLOW",
        "DENY",
        "and_ids",
        "apiVersion",
        "append",
        "authenticated",
        "common_tls_context",
        "configs",
        "connection_pool",
        "custom",
        "exact",
        "filter_chains",
        "filters",
        "from",
        "header",
        "http_filters",
        "ids",
        "kind",
        "matcher",
        "metadata",
        "name",
        "networking.istio.io/v1",
        "not_id",
        "permissions",
        "policies",
        "principal_name",
        "principals",
        "rules",
        "san_matcher",
        "security.istio.io/v1",
        "source",
        "spec",
        "spiffe://td/ns/a/sa/b/scope/c",
        "sds://scope/c",
        "tls",
        "transport_socket",
        "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "typed_config",
        "validation_context",
        "AuthorizationPolicy",
        "DestinationRule",
    ];
}

//! The scopes that exist, from `scopes.toml`: names, encodings and lines.
//!
//! Promises: reads the same file that the server reads, and of it only what a rule of a mesh can
//! agree with.
//! Refuses: to check the rest; `protem policy check` does.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name::Elevated;
use crate::mesh::lint::rule::identity::{ENCODED_OTHERWISE, UNGUARDED, UNKNOWN_SCOPE};
use crate::mesh::lint::tree::At;
use crate::scope::{Encoding, Scope};

/// The scopes that exist.
#[derive(Clone, Debug)]
pub struct Catalogue {
    file: String,
    scopes: BTreeMap<Scope, Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    line: usize,
    encoding: Option<Encoding>,
}

/// The catalogue cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A name that is no scope.
    #[error("`{0}` is no name of a scope")]
    Name(String),
    /// Not TOML of the catalogue's shape.
    #[error("the catalogue cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    scope: BTreeMap<Spanned<String>, Row>,
}

#[derive(Deserialize)]
struct Row {
    encoding: Option<String>,
}

impl Catalogue {
    /// Reads `scopes.toml`; `file` is its name in findings.
    ///
    /// # Errors
    /// [`CatalogueError`]: not TOML, or a name that is no scope.
    pub fn read(file: &str, text: &str) -> Result<Self, CatalogueError> {
        let rows: File = toml::from_str(text)?;
        let mut scopes = BTreeMap::new();
        for (name, row) in rows.scope {
            let before = text.get(..name.span().start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let encoding = row.encoding.and_then(|word| word.parse().ok());
            let scope = name.get_ref().parse();
            let scope = scope.map_err(|_| CatalogueError::Name(name.into_inner()))?;
            scopes.insert(scope, Entry { line, encoding });
        }
        Ok(Self {
            file: file.to_owned(),
            scopes,
        })
    }

    /// Compares the scopes that exist with those that rules name.
    pub(super) fn compare(&self, named: &[(Elevated<'_>, At<'_>)], findings: &mut Findings) {
        for (elevated, at) in named {
            let scope = &elevated.scope;
            match self.scopes.get(scope) {
                None => {
                    let words = format!("scope `{scope}` is not in `{}`", self.file);
                    findings.tell(&UNKNOWN_SCOPE, *at, words);
                }
                Some(Entry {
                    encoding: Some(encoding),
                    ..
                }) if *encoding != elevated.encoding => {
                    let written = elevated.encoding;
                    let words = format!(
                        "scope `{scope}` is minted with `{encoding}` and written with `{written}`"
                    );
                    findings.tell(&ENCODED_OTHERWISE, *at, words);
                }
                Some(_) => {}
            }
        }
        for (scope, entry) in &self.scopes {
            if !named.iter().any(|(elevated, _)| elevated.scope == *scope) {
                let words = format!("no rule in these files names scope `{scope}`");
                let place = format!("scope.\"{scope}\"");
                findings.tell_line(&UNGUARDED, &self.file, entry.line, place, words);
            }
        }
    }
}

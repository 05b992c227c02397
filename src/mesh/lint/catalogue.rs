//! The scopes that exist, from `scopes.toml`: names, encodings and lines.
//!
//! Promises: reads the same file that the server reads, and of it only what a rule of a mesh can
//! agree with.
//! Refuses: to check the rest; `protem policy check` does.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use toml::Spanned;

use crate::mesh::lint::finding::Findings;
use crate::mesh::lint::name::Elevated;
use crate::mesh::lint::rule::identity::{ENCODED_OTHERWISE, UNGUARDED, UNKNOWN_SCOPE};
use crate::mesh::lint::tree::At;
use crate::scope::{Encoding, Scope};
use crate::time::Seconds;

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
    svid_life: Option<Seconds>,
    on_demand: bool,
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
    svid_life: Option<String>,
    #[serde(default)]
    on_demand: bool,
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
            let entry = Entry {
                line,
                encoding,
                svid_life: row.svid_life.and_then(|text| text.parse().ok()),
                on_demand: row.on_demand,
            };
            scopes.insert(scope, entry);
        }
        Ok(Self {
            file: file.to_owned(),
            scopes,
        })
    }

    /// The shortest life of the SVIDs that go out under a secret's name; of those that proxies may
    /// ask for when none is named.
    pub(super) fn svid_life(&self, secret: Option<&str>) -> Option<Seconds> {
        let of = |(scope, entry): (&Scope, &Entry)| {
            let meant = match secret {
                Some(secret) => secret.rsplit('/').next() == Some(scope.as_str()),
                None => entry.on_demand,
            };
            entry.svid_life.filter(|_| meant)
        };
        self.scopes.iter().filter_map(of).min()
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
        let guarded: BTreeSet<&Scope> = named.iter().map(|(elevated, _)| &elevated.scope).collect();
        for (scope, entry) in &self.scopes {
            if !guarded.contains(scope) {
                let words = format!("no rule in these files names scope `{scope}`");
                let place = format!("scope.\"{scope}\"");
                findings.tell_line(&UNGUARDED, &self.file, entry.line, place, words);
            }
        }
    }
}

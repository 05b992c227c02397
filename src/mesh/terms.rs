//! What `scopes.toml` says of one scope, as far as a mesh must know it.
//!
//! Promises: a file that `protem policy check` accepts is read.
//! Refuses: nothing that it does not need to know: other keys, other scopes, and terms out of their
//! bounds are for the check of the bundle.

use crate::identity::Subject;
use crate::mesh::MeshError;
use crate::scope::{Encoding, Scope};
use crate::time::Seconds;

/// The terms of one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How it is written into the SAN.
    pub encoding: Encoding,
    /// The longest life of one elevated SVID.
    pub svid_life: Seconds,
    /// The servers that it opens.
    pub servers: Vec<Subject>,
}

impl Terms {
    /// Reads the terms of a scope from the text of `scopes.toml`.
    ///
    /// # Errors
    /// [`MeshError::UnknownScope`], or [`MeshError::Terms`] with the key that cannot be read.
    pub fn read(text: &str, scope: &Scope) -> Result<Self, MeshError> {
        let file: toml::Table = text.parse().map_err(|wrong: toml::de::Error| {
            let begin = wrong.span().map_or(0, |span| span.start);
            let lines = text.bytes().take(begin).filter(|byte| *byte == b'\n');
            MeshError::Terms {
                place: format!("line {}", lines.count() + 1),
                what: wrong.message().replace('\n', " "),
            }
        })?;
        let scopes = file.get("scope").and_then(toml::Value::as_table);
        let table = scopes
            .and_then(|scopes| scopes.get(scope.as_str()))
            .and_then(toml::Value::as_table)
            .ok_or_else(|| unknown(scope, scopes))?;
        Ok(Self {
            encoding: word(table, scope, "encoding")?.unwrap_or_default(),
            svid_life: word(table, scope, "svid_life")?
                .ok_or_else(|| wrong(scope, "`svid_life` is missing".to_owned()))?,
            servers: servers(table, scope)?,
        })
    }
}

fn unknown(scope: &Scope, scopes: Option<&toml::Table>) -> MeshError {
    let names: Vec<_> = scopes
        .into_iter()
        .flat_map(toml::Table::keys)
        .take(NAMES_SHOWN_MAX)
        .map(|name| format!("`{name}`"))
        .collect();
    MeshError::UnknownScope {
        scope: scope.clone(),
        known: if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        },
    }
}

fn word<T>(table: &toml::Table, scope: &Scope, key: &str) -> Result<Option<T>, MeshError>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    let Some(value) = table.get(key) else {
        return Ok(None);
    };
    let text = value
        .as_str()
        .ok_or_else(|| wrong(scope, format!("`{key}` is no text")))?;
    text.parse()
        .map(Some)
        .map_err(|told| wrong(scope, format!("`{key}`: {told}")))
}

fn servers(table: &toml::Table, scope: &Scope) -> Result<Vec<Subject>, MeshError> {
    let listed = table.get("servers").and_then(toml::Value::as_array);
    listed
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_str)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|told| wrong(scope, format!("`servers`: {told}")))
}

fn wrong(scope: &Scope, what: String) -> MeshError {
    MeshError::Terms {
        place: format!("scope `{scope}`"),
        what,
    }
}

const NAMES_SHOWN_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Terms, MeshError> {
        Terms::read(text, &"db.read".parse().unwrap())
    }

    #[test]
    fn terms_are_read_and_other_keys_are_not_looked_at() {
        let terms = read(
            "test_lives = true\n[scope.\"db.read\"]\nsvid_life = \"60s\"\nencoding = \"folded\"\n\
             servers = [\"spiffe://td/db\"]\nnew = 1\n[scope.\"x\"]\nsvid_life = 1\n",
        )
        .unwrap();
        assert_eq!(terms.svid_life, Seconds::new(60));
        assert_eq!(terms.encoding, Encoding::Folded);
        assert_eq!(terms.servers, ["spiffe://td/db".parse().unwrap()]);
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (text, words) in [
            ("[scope.a]\n[scope.b]\n", "it has `a`, `b`"),
            ("", "it has none"),
            ("a = 1\nb = [\n", "line "),
            (
                "[scope.\"db.read\"]\n",
                "scope `db.read`: `svid_life` is missing",
            ),
            (
                "[scope.\"db.read\"]\nsvid_life = 5\n",
                "`svid_life` is no text",
            ),
            (
                "[scope.\"db.read\"]\nsvid_life = \"soon\"\n",
                "is not a span",
            ),
            (
                "[scope.\"db.read\"]\nsvid_life = \"5m\"\nencoding = \"x\"\n",
                "must be one of",
            ),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        }
    }
}

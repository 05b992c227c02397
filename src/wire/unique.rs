//! Maps that refuse a key which comes twice.
//!
//! Promises: what a reviewer saw is what is read. JSON leaves it open which of two equal keys wins
//! (RFC 8259 4), so two readers may see two bodies (assurance H6).
//! Refuses: the second key, by name.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Reads an object whose keys differ; for `#[serde(deserialize_with)]`.
pub(crate) fn keys<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    deserializer.deserialize_map(UniqueKeys(PhantomData))
}

struct UniqueKeys<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueKeys<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, V>()? {
            if entries.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate key `{key}`")));
            }
            entries.insert(key, value);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::policy::PolicyRequest;

    #[test]
    fn a_key_that_comes_twice_is_named() {
        let body = r#"{ "files": { "a.cedar": "1", "a.cedar": "2" } }"#;
        let error = serde_json::from_str::<PolicyRequest>(body).unwrap_err();
        assert!(
            error.to_string().starts_with("duplicate key `a.cedar`"),
            "{error}"
        );
    }
}

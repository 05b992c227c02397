//! What an Envoy says of itself, as far as it chooses its own validation.
//!
//! Promises: it decides between two ways of checking peers, and nothing else (facts/mesh.md 8.14).
//! Refuses: every other word of it. A node names nobody: the kernel says who calls.

use prost_types::value::Kind;

use crate::agent::sds::Validator;
use crate::proto::core::Node;

/// Which validation this Envoy wants; none where it does not say.
pub(super) fn validator_of(node: &Node) -> Option<Validator> {
    let said = node.metadata.as_ref()?.fields.get(DISABLE)?.kind.as_ref()?;
    let disabled = match said {
        Kind::BoolValue(disabled) => *disabled,
        Kind::StringValue(text) => read_bool(text)?,
        Kind::NullValue(_) | Kind::NumberValue(_) | Kind::StructValue(_) | Kind::ListValue(_) => {
            return None;
        }
    };
    Some(if disabled {
        Validator::Plain
    } else {
        Validator::Spiffe
    })
}

/// The spellings that SPIRE takes.
fn read_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// SPIRE's key.
const DISABLE: &str = "disable_spiffe_cert_validation";

#[cfg(test)]
mod tests {
    use prost_types::{ListValue, Struct, Value};

    use super::*;

    fn node(kind: Option<Kind>) -> Node {
        let fields = [(DISABLE.to_owned(), Value { kind })].into();
        Node {
            metadata: Some(Struct { fields }),
            ..Node::default()
        }
    }

    #[test]
    fn a_bool_or_a_text_that_is_one_decides_and_nothing_else_does() {
        let text = |text: &str| Some(Kind::StringValue(text.to_owned()));
        for (said, validator) in [
            (Some(Kind::BoolValue(true)), Some(Validator::Plain)),
            (Some(Kind::BoolValue(false)), Some(Validator::Spiffe)),
            (text("true"), Some(Validator::Plain)),
            (text("F"), Some(Validator::Spiffe)),
            (text("yes"), None),
            (text(""), None),
            (Some(Kind::NumberValue(1.0)), None),
            (Some(Kind::NullValue(0)), None),
            (Some(Kind::ListValue(ListValue::default())), None),
            (None, None),
        ] {
            assert_eq!(validator_of(&node(said.clone())), validator, "{said:?}");
        }
        assert_eq!(validator_of(&Node::default()), None);
    }
}

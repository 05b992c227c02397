//! Canonical JSON: the one text of a value.
//!
//! Promises: object keys in byte order, no space outside strings, integers only, strings escaped
//! in one way (`\"`, `\\`, and `\u00xx` for controls, everything else as it is). [`Value::parse`]
//! takes exactly the texts that [`Value::write`] gives, so equal values have equal bytes and
//! unequal bytes are unequal values.
//! Refuses: floats, null, duplicate or unsorted keys, other escapes, nesting deeper than
//! `DEPTH_MAX`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A value that can stand in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Values in order.
    List(Vec<Self>),
    /// Values by name.
    Map(BTreeMap<String, Self>),
    /// Text.
    Text(String),
}

/// The text is not the canonical text of any value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical at byte {at}: {what}")]
pub struct CanonicalError {
    /// Where.
    pub at: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl Value {
    /// Appends the canonical text.
    pub fn write(&self, to: &mut String) {
        match self {
            Self::Bool(true) => to.push_str("true"),
            Self::Bool(false) => to.push_str("false"),
            Self::Integer(number) => to.push_str(&number.to_string()),
            Self::List(values) => {
                to.push('[');
                for (place, value) in values.iter().enumerate() {
                    if 0 < place {
                        to.push(',');
                    }
                    value.write(to);
                }
                to.push(']');
            }
            Self::Map(values) => {
                to.push('{');
                for (place, (name, value)) in values.iter().enumerate() {
                    if 0 < place {
                        to.push(',');
                    }
                    write_text(name, to);
                    to.push(':');
                    value.write(to);
                }
                to.push('}');
            }
            Self::Text(text) => write_text(text, to),
        }
    }

    /// Reads a value from its canonical text.
    ///
    /// # Errors
    /// Where the text leaves the canonical form.
    pub fn parse(text: &str) -> Result<Self, CanonicalError> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        if reader.at == text.len() {
            Ok(value)
        } else {
            Err(reader.wrong("trailing text"))
        }
    }

    /// A flat record of another room, as its serialised form states it. What canonical JSON
    /// cannot hold (null, numbers that are not whole) is kept as its text, so nothing is lost.
    #[must_use]
    pub fn from_json(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Array(values) => {
                Self::List(values.into_iter().map(Self::from_json).collect())
            }
            serde_json::Value::Bool(truth) => Self::Bool(truth),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map_or_else(|| Self::Text(number.to_string()), Self::Integer),
            serde_json::Value::Null => Self::Text("null".to_owned()),
            serde_json::Value::Object(values) => Self::record(values),
            serde_json::Value::String(text) => Self::Text(text),
        }
    }

    /// The named values of another room, as [`Self::from_json`] takes each.
    pub fn record(values: impl IntoIterator<Item = (String, serde_json::Value)>) -> Self {
        let own = |(name, value)| (name, Self::from_json(value));
        Self::Map(values.into_iter().map(own).collect())
    }

    /// The text, when it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bool(_) | Self::Integer(_) | Self::List(_) | Self::Map(_) => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<u64> for Value {
    /// Numbers above `i64::MAX` do not occur (they count events and versions) and saturate.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

fn write_text(text: &str, to: &mut String) {
    to.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || u32::from(c) < 0x20) {
        let (plain, from) = rest.split_at(at);
        to.push_str(plain);
        let mut characters = from.chars();
        match characters.next() {
            Some('"') => to.push_str("\\\""),
            Some('\\') => to.push_str("\\\\"),
            // Writing to a String does not fail.
            Some(control) => drop(write!(to, "\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = characters.as_str();
    }
    to.push_str(rest);
    to.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Result<Value, CanonicalError> {
        if DEPTH_MAX < depth {
            return Err(self.wrong("nested too deep"));
        }
        match self.peek() {
            Some('"') => self.string().map(Value::Text),
            Some('[') => self.list(depth),
            Some('{') => self.map(depth),
            Some('t') if self.take("true") => Ok(Value::Bool(true)),
            Some('f') if self.take("false") => Ok(Value::Bool(false)),
            Some('-' | '0'..='9') => self.integer(),
            Some(_) | None => Err(self.wrong("no value")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, CanonicalError> {
        let mut values = Vec::new();
        self.expect("[")?;
        if self.take("]") {
            return Ok(Value::List(values));
        }
        loop {
            values.push(self.value(depth.saturating_add(1))?);
            if self.take("]") {
                return Ok(Value::List(values));
            }
            self.expect(",")?;
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, CanonicalError> {
        let mut values: BTreeMap<String, Value> = BTreeMap::new();
        self.expect("{")?;
        if self.take("}") {
            return Ok(Value::Map(values));
        }
        loop {
            let name = self.string()?;
            if values
                .last_key_value()
                .is_some_and(|(last, _)| name <= *last)
            {
                return Err(self.wrong("keys out of order"));
            }
            self.expect(":")?;
            let value = self.value(depth.saturating_add(1))?;
            values.insert(name, value);
            if self.take("}") {
                return Ok(Value::Map(values));
            }
            self.expect(",")?;
        }
    }

    fn string(&mut self) -> Result<String, CanonicalError> {
        let mut text = String::new();
        self.expect("\"")?;
        loop {
            let next = self.peek().ok_or_else(|| self.wrong("text without end"))?;
            match next {
                '"' => {
                    self.advance(next);
                    return Ok(text);
                }
                '\\' => text.push(self.escape()?),
                control if u32::from(control) < 0x20 => return Err(self.wrong("bare control")),
                plain => {
                    self.advance(plain);
                    text.push(plain);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, CanonicalError> {
        if self.take("\\\"") {
            return Ok('"');
        }
        if self.take("\\\\") {
            return Ok('\\');
        }
        self.expect("\\u00")?;
        let digits = self.rest().get(..2).unwrap_or_default();
        let lower = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        let code = u8::from_str_radix(digits, 16)
            .ok()
            .filter(|code| *code < 0x20);
        match code {
            Some(code) if digits.bytes().all(lower) => {
                self.at = self.at.saturating_add(2);
                Ok(char::from(code))
            }
            Some(_) | None => Err(self.wrong("no canonical escape")),
        }
    }

    fn integer(&mut self) -> Result<Value, CanonicalError> {
        let number = |c: char| c == '-' || c.is_ascii_digit();
        let rest = self.rest();
        let digits = rest
            .find(|c| !number(c))
            .map_or(rest, |end| rest.get(..end).unwrap_or(rest));
        let parsed: Option<i64> = digits.parse().ok();
        match parsed {
            // Printing again refuses `-0`, `007` and `+1`.
            Some(value) if value.to_string() == digits => {
                self.at = self.at.saturating_add(digits.len());
                Ok(Value::Integer(value))
            }
            Some(_) | None => Err(self.wrong("no canonical integer")),
        }
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    const fn advance(&mut self, over: char) {
        self.at = self.at.saturating_add(over.len_utf8());
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at = self.at.saturating_add(text.len());
        }
        found
    }

    fn expect(&mut self, text: &'static str) -> Result<(), CanonicalError> {
        if self.take(text) {
            Ok(())
        } else {
            Err(self.wrong(text))
        }
    }

    const fn wrong(&self, what: &'static str) -> CanonicalError {
        CanonicalError { at: self.at, what }
    }
}

/// How deep values nest.
const DEPTH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    #[test]
    fn one_value_has_one_text() {
        for text in [
            "{\"b\":1,\"a\":2}",
            "{\"a\":1,\"a\":2}",
            "{\"a\": 1}",
            "[1,]",
            "[,1]",
            "01",
            "-0",
            "+1",
            "1.0",
            "1e3",
            "null",
            "\"\\n\"",
            "\"\\u0041\"",
            "\"\\u000A\"",
            "\"\\u00+1\"",
            "\"\n\"",
            "\"",
            "",
            " 1",
            "1 ",
            "true1",
            "9223372036854775808",
        ] {
            assert!(Value::parse(text).is_err(), "{text}");
        }
        assert!(Value::parse(&"[".repeat(100_000)).is_err());
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Integer),
            any::<String>().prop_map(Value::Text),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List),
                prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_write_and_read_back(value in values()) {
            let mut text = String::new();
            value.write(&mut text);
            prop_assert_eq!(Value::parse(&text).unwrap(), value);
        }

        #[test]
        fn what_is_read_is_written_back(text in "[\\[\\]{}:,\"a\\\\0-9tru-]{0,12}") {
            if let Ok(value) = Value::parse(&text) {
                let mut back = String::new();
                value.write(&mut back);
                prop_assert_eq!(back, text);
            }
        }
    }
}

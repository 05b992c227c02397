//! One event, before and after it has its place in the ledger.
//!
//! Promises: [`Event::seal`] gives the final bytes; nothing is added or changed afterwards. The
//! names under which an auditor searches ([`Key`]) are fixed and stand in the bytes themselves,
//! so an index can always be rebuilt from the ledger.
//! Refuses: events above 64 KiB, the bound of a tile's entry (C2SP tlog-tiles).

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::digest;

use crate::audit::canonical::{CanonicalError, Value};
use crate::audit::kind::EventKind;
use crate::id::{EventNumber, hex};
use crate::time::Timestamp;

/// What happened, not yet numbered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    at: Timestamp,
    kind: EventKind,
    fields: BTreeMap<String, Value>,
}

/// An event with its number and its final bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEvent {
    number: EventNumber,
    event: Event,
    bytes: String,
}

/// The names under which events are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Who asked.
    Caller,
    /// The elevation it belongs to.
    Elevation,
    /// SHA-256 of the certificate's DER.
    Fingerprint,
    /// The number of the intent that an outcome belongs to.
    Intent,
    /// How it came out, where that can differ.
    Outcome,
    /// The policy digest that decided.
    Policy,
    /// The scope.
    Scope,
    /// The certificate's serial number.
    Serial,
    /// Whom it is about.
    Subject,
}

/// SHA-256 of a salt and a text: it stands in the event, the text can be erased elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Commitment([u8; 32]);

/// Why bytes are no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// Not canonical JSON.
    #[error("the event's text is not canonical")]
    Canonical(#[from] CanonicalError),
    /// A field that every event has is missing or of another form.
    #[error("the event has no valid `{0}`")]
    Field(&'static str),
    /// Longer than an entry may be.
    #[error("the event has {0} bytes, more than {EVENT_BYTES_MAX}")]
    TooLong(usize),
}

impl Event {
    /// An event of a kind at a moment, caused by a caller (as [`crate::audit`] names him).
    #[must_use]
    pub fn new(kind: EventKind, at: Timestamp, caller: &str) -> Self {
        let fields = BTreeMap::from([(Key::Caller.as_str().to_owned(), Value::from(caller))]);
        Self { at, kind, fields }
    }

    /// The same event with a searchable field.
    #[must_use]
    pub fn with(self, key: Key, value: impl Into<Value>) -> Self {
        self.and(key.as_str(), value)
    }

    /// The same event with another field. A name given twice keeps the last value.
    #[must_use]
    pub fn and(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// What kind of event it is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        self.kind
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// A searchable field.
    #[must_use]
    pub fn key(&self, key: Key) -> Option<&str> {
        self.field(key.as_str()).and_then(Value::as_text)
    }

    /// Any field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Gives the event its place and with it its final bytes.
    ///
    /// # Errors
    /// [`EventError::TooLong`].
    pub fn seal(self, number: EventNumber) -> Result<SealedEvent, EventError> {
        let Self { at, kind, fields } = self;
        let mut whole = fields;
        whole.insert(AT.into(), Value::from(at.rfc3339()));
        whole.insert(KIND.into(), Value::from(kind.as_str()));
        whole.insert(NUMBER.into(), Value::from(number.value()));
        whole.insert(FORM.into(), Value::Integer(FORM_OF_TODAY));
        let whole = Value::Map(whole);
        let mut bytes = String::with_capacity(EVENT_BYTES_USUAL);
        whole.write(&mut bytes);
        if EVENT_BYTES_MAX < bytes.len() {
            return Err(EventError::TooLong(bytes.len()));
        }
        let Value::Map(mut fields) = whole else {
            return Err(EventError::Field("object"));
        };
        for own in [AT, KIND, NUMBER, FORM] {
            fields.remove(own);
        }
        Ok(SealedEvent {
            number,
            event: Self { at, kind, fields },
            bytes,
        })
    }
}

impl SealedEvent {
    /// Reads an event back from its final bytes.
    ///
    /// # Errors
    /// Where the bytes are not those of an event of this form.
    pub fn parse(bytes: &str) -> Result<Self, EventError> {
        if EVENT_BYTES_MAX < bytes.len() {
            return Err(EventError::TooLong(bytes.len()));
        }
        let Value::Map(mut fields) = Value::parse(bytes)? else {
            return Err(EventError::Field("object"));
        };
        if fields.remove(FORM) != Some(Value::Integer(FORM_OF_TODAY)) {
            return Err(EventError::Field(FORM));
        }
        let number = match fields.remove(NUMBER) {
            Some(Value::Integer(number)) => u64::try_from(number).ok().and_then(EventNumber::new),
            _ => None,
        };
        let at = fields
            .remove(AT)
            .and_then(|at| at.as_text()?.parse::<Timestamp>().ok());
        let kind = fields
            .remove(KIND)
            .and_then(|kind| kind.as_text()?.parse().ok());
        let event = Event {
            at: at.ok_or(EventError::Field(AT))?,
            kind: kind.ok_or(EventError::Field(KIND))?,
            fields,
        };
        if event.key(Key::Caller).is_none() {
            return Err(EventError::Field(Key::Caller.as_str()));
        }
        let number = number.ok_or(EventError::Field(NUMBER))?;
        // Sealing again refuses what differs in spelling only, such as a time without `.000`.
        let sealed = event.seal(number)?;
        if sealed.bytes == bytes {
            Ok(sealed)
        } else {
            Err(EventError::Field(AT))
        }
    }

    /// Its place in the ledger.
    #[must_use]
    pub const fn number(&self) -> EventNumber {
        self.number
    }

    /// What happened.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// The final bytes, which the ledger keeps.
    #[must_use]
    pub fn bytes(&self) -> &str {
        &self.bytes
    }
}

impl fmt::Display for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl Key {
    /// The field's name in the bytes.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Elevation => "elevation",
            Self::Fingerprint => "fingerprint",
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Policy => "policy",
            Self::Scope => "scope",
            Self::Serial => "serial",
            Self::Subject => "subject",
        }
    }
}

impl Commitment {
    /// Commits to a text under a salt that nobody can guess (128 random bits).
    #[must_use]
    pub fn new(salt: &[u8; 16], text: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(salt);
        context.update(text.as_bytes());
        let mut bytes = [0; 32];
        bytes
            .iter_mut()
            .zip(context.finish().as_ref())
            .for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The longest event, in bytes: what one entry of a tiled log can hold.
pub const EVENT_BYTES_MAX: usize = 65_535;
/// What most events fit into, in bytes.
const EVENT_BYTES_USUAL: usize = 2_048;
const AT: &str = "at";
const KIND: &str = "kind";
const NUMBER: &str = "number";
/// Names the form of the event, so that a later form can be told apart.
const FORM: &str = "form";
const FORM_OF_TODAY: i64 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn event() -> Event {
        Event::new(
            EventKind::SvidIntent,
            Timestamp::from_unix_s(1).unwrap(),
            "server",
        )
        .with(Key::Subject, "spiffe://td/web")
        .and("fact_versions", Value::List(vec![Value::Integer(1)]))
    }

    #[test]
    fn the_bytes_are_fixed() {
        let sealed = event().seal(EventNumber::new(7).unwrap()).unwrap();
        assert_eq!(
            sealed.bytes(),
            "{\"at\":\"1970-01-01T00:00:01.000Z\",\"caller\":\"server\",\"fact_versions\":[1],\
             \"form\":1,\"kind\":\"svid.intent\",\"number\":7,\"subject\":\"spiffe://td/web\"}"
        );
        assert_eq!(SealedEvent::parse(sealed.bytes()).unwrap(), sealed);
    }

    #[test]
    fn an_event_above_the_bound_is_refused() {
        let long = event().and("long", "x".repeat(EVENT_BYTES_MAX));
        let sealed = long.seal(EventNumber::new(1).unwrap());
        assert!(matches!(sealed, Err(EventError::TooLong(_))));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            if let Ok(event) = SealedEvent::parse(&text) {
                prop_assert_eq!(event.bytes(), text);
            }
        }
    }
}

//! A typed id for each kind of thing, so that one can never stand in for another.
//!
//! Promises: an id made here holds 128 random bits (it cannot be guessed, assurance H17), prints
//! as `<prefix>-<32 lower-case hex digits>`, and parses back from exactly that text.
//! Refuses: another prefix, upper case, a wrong length.

pub mod entropy;
pub(crate) mod hex;
mod holder;
mod instance;

use std::fmt;
use std::str::FromStr;

use crate::id::entropy::Entropy;
pub use crate::id::holder::{HOLDER_BYTES_MAX, Holder, HolderError};
pub use crate::id::instance::{Instance, InstanceError};

/// Why a text is no id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{shown}` is not an id of the form `{prefix}-` and 32 lower-case hex digits")]
pub struct IdError {
    prefix: &'static str,
    shown: String,
}

/// The place of an event in the ledger: 1 for the first, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventNumber(u64);

/// The rising number of an activated policy; 1 is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyVersion(u64);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A new id from the given chance.
            pub fn random(entropy: &Entropy) -> Self {
                Self(entropy.bytes())
            }

            /// The 128 bits.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!($prefix, "-"))?;
                hex::write(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix(concat!($prefix, "-"));
                digits.and_then(hex::read).map(Self).ok_or_else(|| IdError {
                    prefix: $prefix,
                    shown: text.chars().take(TEXT_SHOWN_MAX).collect(),
                })
            }
        }
    )+};
}

ids! {
    /// One elevation: one request for one scope by one subject, and all that becomes of it.
    ElevationId = "el";
    /// One registration entry.
    EntryId = "en";
    /// One join token; the token's secret is another thing.
    TokenId = "jt";
    /// One operator credential; its secret is another thing.
    OperatorId = "op";
}

impl EventNumber {
    /// The event at `number`; none for zero.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The index of this event in a log that counts from zero.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0.saturating_sub(1)
    }
}

impl PolicyVersion {
    /// The version of the first policy that is put into force.
    pub const FIRST: Self = Self(1);

    /// The policy activated as `number`; none for zero.
    #[must_use]
    pub const fn new(number: u64) -> Option<Self> {
        if number == 0 {
            None
        } else {
            Some(Self(number))
        }
    }

    /// The number itself.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}

impl fmt::Display for EventNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for PolicyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// How much of a wrong text an error repeats, in characters.
const TEXT_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn one_kind_of_id_never_reads_as_another() {
        let id = ElevationId::random(&Entropy::seeded(1)).to_string();
        assert!(id.parse::<ElevationId>().is_ok());
        assert!(id.parse::<EntryId>().is_err());
        assert!(id.to_uppercase().parse::<ElevationId>().is_err());
        assert!(format!("{id}0").parse::<ElevationId>().is_err());
    }

    proptest! {
        #[test]
        fn ids_print_and_parse_back(bytes in any::<[u8; 16]>()) {
            let id = EntryId(bytes);
            prop_assert_eq!(id.to_string().parse::<EntryId>().unwrap(), id);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            prop_assert!(text.parse::<TokenId>().is_err() || text.starts_with("jt-"));
        }
    }
}

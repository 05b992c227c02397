//! The holder: how an agent tells the running holders that it attests apart.
//!
//! Promises: 1 to [`HOLDER_BYTES_MAX`] bytes of printable ASCII without spaces, so that it stands
//! in an event as it is.
//! Refuses: to mean anything without its agent: see [`Instance::of_holder`].

use std::fmt;
use std::str::FromStr;

use crate::id::Instance;

/// One running holder among those that an agent attests, in the agent's own words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder(String);

/// The text names no holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a holder is 1 to {HOLDER_BYTES_MAX} bytes of printable ASCII without spaces")]
pub struct HolderError;

impl Holder {
    /// Every process of a subject at one agent together.
    #[must_use]
    pub fn host() -> Self {
        Self("host".to_owned())
    }

    /// One process, told by its number and the moment at which it began, in clock ticks since boot.
    #[must_use]
    pub fn process(pid: u32, began: u64) -> Self {
        Self(format!("process:{pid}:{began}"))
    }

    /// As the agent wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instance that it is, at this agent.
    #[must_use]
    pub fn instance(&self, agent: &impl fmt::Display) -> Instance {
        Instance::of_holder(agent, &self.0)
    }
}

impl FromStr for Holder {
    type Err = HolderError;

    fn from_str(text: &str) -> Result<Self, HolderError> {
        let length = (1..=HOLDER_BYTES_MAX).contains(&text.len());
        if length && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(HolderError)
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest holder, in bytes.
pub const HOLDER_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_print_and_parse_back() {
        let longest = "h".repeat(HOLDER_BYTES_MAX);
        for text in ["host", "process:17:4711", longest.as_str()] {
            assert_eq!(text.parse::<Holder>().unwrap().to_string(), text);
        }
        let longer = "h".repeat(HOLDER_BYTES_MAX + 1);
        for text in ["", "a b", "a\n", "h\u{f6}st", longer.as_str()] {
            assert_eq!(text.parse::<Holder>(), Err(HolderError), "{text:?}");
        }
    }

    #[test]
    fn no_agent_speaks_for_a_holder_of_another() {
        let host = "host".parse::<Holder>().unwrap();
        assert_eq!(
            host.instance(&"spiffe://td/a"),
            host.instance(&"spiffe://td/a")
        );
        assert_ne!(
            host.instance(&"spiffe://td/a"),
            host.instance(&"spiffe://td/b")
        );
    }
}

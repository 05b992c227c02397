//! How old connections and streams may become, from the life of an elevated SVID.
//!
//! | Bound | Is | Why |
//! |---|---|---|
//! | connection | life - renewal - drain - margin, at most 0.4 of the life | below |
//! | drain | 1 s | how long Envoy still serves after the connection's bound |
//! | stream | the life | no stream can be allowed for longer |
//!
//! A pool keeps its connections for ever, and with them the certificate that they began with: each
//! renewal would become an outage where the end is enforced, and stay a hole where it is not.
//! Renewal comes at the latest at 0.55 of a life. 0.4 because an agent takes an on-demand secret
//! away with the last certificate of a right: what began with it must be over by then.
//!
//! Promises: with these bounds no honest connection meets the end of its certificate.
//! Refuses: lives that protem does not mint.

use std::fmt;

use crate::mesh::MeshError;
use crate::time::Seconds;

/// The bounds that follow from one life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    life: Seconds,
}

/// A span as proxies write it: seconds with up to three decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) ms: u64,
}

impl Bounds {
    /// Those of a life.
    ///
    /// # Errors
    /// [`MeshError::Life`] outside [`LIFE_MIN`] to [`LIFE_MAX`].
    pub fn of(life: Seconds) -> Result<Self, MeshError> {
        if life < LIFE_MIN || LIFE_MAX < life {
            return Err(MeshError::Life(life));
        }
        Ok(Self { life })
    }

    /// The life that they come from.
    #[must_use]
    pub const fn life(self) -> Seconds {
        self.life
    }

    /// How old a connection may become before it is drained, in milliseconds.
    #[must_use]
    pub fn connection_ms(self) -> u64 {
        self.connection().ms
    }

    pub(crate) fn connection(self) -> Span {
        let life = self.stream().ms;
        let after_renewal = life.saturating_sub(life * RENEWAL_PERCENT_MAX / 100);
        let room = after_renewal.saturating_sub(DRAIN.ms + MARGIN.ms);
        let most = life * CONNECTION_PERCENT_MAX / 100;
        Span {
            ms: room.min(most).max(CONNECTION_FLOOR.ms),
        }
    }

    pub(crate) fn stream(self) -> Span {
        Span::of(self.life)
    }

    pub(crate) const fn drain() -> Span {
        DRAIN
    }

    /// By how much HTTP outlives notAfter where nothing looks at notAfter: a connection that begins
    /// at the last moment, its drain, the close after it, and a stream that begins in the drain.
    pub(crate) fn backstop(self) -> Span {
        Span {
            ms: self.connection().ms + DRAIN.ms + CLOSE.ms + self.stream().ms,
        }
    }
}

impl Span {
    pub(crate) fn of(span: Seconds) -> Self {
        Self {
            ms: u64::from(span.count()) * 1_000,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.ms / 1_000, self.ms % 1_000);
        if rest == 0 {
            return write!(f, "{whole}s");
        }
        let rest = format!("{rest:03}");
        write!(f, "{whole}.{}s", rest.trim_end_matches('0'))
    }
}

/// The shortest life, under `test_lives`.
pub const LIFE_MIN: Seconds = Seconds::new(5);
/// The longest life of an elevated SVID.
pub const LIFE_MAX: Seconds = Seconds::new(15 * 60);
/// An agent renews between 45 and 55 percent of a life.
const RENEWAL_PERCENT_MAX: u64 = 55;
const CONNECTION_PERCENT_MAX: u64 = 40;
const DRAIN: Span = Span { ms: 1_000 };
/// For a renewal that comes late, and two clocks that differ.
const MARGIN: Span = Span { ms: 2_000 };
/// What Envoy waits between its last answer and the close.
const CLOSE: Span = Span { ms: 1_000 };
/// The shortest lives are for tests: there half a second must do.
const CONNECTION_FLOOR: Span = Span { ms: 500 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_ends_before_what_it_began_with() {
        for (life, connection, backstop) in [
            (5, "0.5s", "7.5s"),
            (10, "1.5s", "13.5s"),
            (20, "6s", "28s"),
            (60, "24s", "86s"),
            (120, "48s", "170s"),
            (300, "120s", "422s"),
            (900, "360s", "1262s"),
        ] {
            let bounds = Bounds::of(Seconds::new(life)).unwrap();
            assert_eq!(bounds.connection().to_string(), connection, "{life}");
            assert_eq!(bounds.backstop().to_string(), backstop, "{life}");
            let percent = bounds.connection().ms * 100 / bounds.stream().ms;
            assert!(percent <= CONNECTION_PERCENT_MAX);
        }
    }

    #[test]
    fn other_lives_are_refused_with_what_to_do() {
        for life in [0, 4, 901, u32::MAX] {
            let told = Bounds::of(Seconds::new(life)).unwrap_err().to_string();
            assert!(told.contains("`5s` to `15m`"), "{told}");
        }
    }
}

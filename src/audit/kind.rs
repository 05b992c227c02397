//! The closed list of what can happen.
//!
//! Promises: one word for one kind, `<noun>.<verb>`, never reused for another meaning.
//! Refuses: unknown kinds: a ledger that a newer protem wrote is not read by an older one.

use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $name,)+
        }

        impl EventKind {
            /// Every kind, alphabetical.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word in the ledger and on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

kinds! {
    /// A search or an export of the ledger.
    AuditQueried = "audit.queried",
    /// A certificate of the authority's own could not be signed or failed its check.
    AuthorityFailed = "authority.failed",
    /// A certificate of the authority's own was planned: its exact bytes are durable, its
    /// signature is not yet.
    AuthorityIntent = "authority.intent",
    /// A certificate of the authority's own was signed, and the signature is durable.
    AuthorityIssued = "authority.issued",
    /// A clock in doubt was accepted by an operator.
    ClockAccepted = "clock.accepted",
    /// An elevation was permitted and may be activated.
    ElevationApproved = "elevation.approved",
    /// An elevation was taken back before activation.
    ElevationCancelled = "elevation.cancelled",
    /// An elevation was refused.
    ElevationDenied = "elevation.denied",
    /// An elevation is over.
    ElevationEnded = "elevation.ended",
    /// Nobody decided on an elevation in time.
    ElevationLapsed = "elevation.lapsed",
    /// An elevation waits for people.
    ElevationPending = "elevation.pending",
    /// Access logs show use of an elevation.
    ElevationUsed = "elevation.used",
    /// A registration entry was written.
    EntryPut = "entry.put",
    /// A registration entry was removed.
    EntryRemoved = "entry.removed",
    /// Minting goes on after a stop.
    MintingReleased = "minting.released",
    /// Nothing is minted until released.
    MintingStopped = "minting.stopped",
    /// An operator credential was made.
    OperatorCreated = "operator.created",
    /// Refusals that were not recorded one by one, counted by caller and reason.
    OverflowCounted = "overflow.counted",
    /// A policy bundle became the one that decides.
    PolicyActivated = "policy.activated",
    /// An act of the admin plane, a look at what is not public, or a report of uses, was asked for
    /// and refused.
    RequestDenied = "request.denied",
    /// The server began to serve.
    ServerStarted = "server.started",
    /// An SVID was asked for and not minted.
    SvidDenied = "svid.denied",
    /// A planned SVID could not be signed or failed its check.
    SvidFailed = "svid.failed",
    /// An SVID was planned: its exact bytes are durable, its signature is not yet.
    SvidIntent = "svid.intent",
    /// A planned SVID was signed, and the signature is durable.
    SvidIssued = "svid.issued",
    /// A join token was made.
    TokenCreated = "token.created",
    /// A join token was removed before it was spent.
    TokenRemoved = "token.removed",
}

/// The text names no kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the word names no kind of event")]
pub struct UnknownKind;

impl FromStr for EventKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or(UnknownKind)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

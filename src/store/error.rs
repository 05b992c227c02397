//! Why the store refused or failed.
//!
//! Promises: a caller can tell "your act no longer fits" from "the store cannot record" from
//! "what is stored is damaged", because each asks for another next step.
//! Refuses: to hide a failed commit: whatever is not known to be durable is an error.

use crate::failpoint::Stopped;
use crate::id::ElevationId;

/// Why an act did not happen, or a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Stored bytes are not what was written.
    #[error("damaged data in table `{table}`, column `{column}`, row `{row}`")]
    Damaged {
        /// In which table.
        table: &'static str,
        /// In which column.
        column: &'static str,
        /// In which row.
        row: String,
    },
    /// A fact that the act was decided on has changed since; decide again.
    #[error("{0} changed while the request was decided; ask again")]
    FactChanged(&'static str),
    /// Another server holds the store.
    #[error("another server is using `{0}`; stop it first")]
    InUse(String),
    /// The intent has its outcome already.
    #[error("the intent has its outcome already")]
    Concluded,
    /// The retry key was used with another request.
    #[error("the idempotency key was used for another request")]
    RetryMismatch,
    /// The bytes to sign have no eight bytes at the place of the log index.
    #[error("the log index has no place at byte {0} of the bytes to sign")]
    IndexPlace(usize),
    /// There is no such thing.
    #[error("no such {0}")]
    NotFound(&'static str),
    /// The file or its folder cannot hold a store.
    #[error("`{path}` cannot hold the store: {wrong}")]
    Place {
        /// Which file or folder.
        path: String,
        /// What is wrong with it, and what to do.
        wrong: &'static str,
    },
    /// The store was written by another version.
    #[error("the store has schema {found}, this protem reads {known}: {next}")]
    Schema {
        /// What the file says.
        found: i64,
        /// What this program knows.
        known: i64,
        /// What to do.
        next: &'static str,
    },
    /// The serial was used before; draw another.
    #[error("the serial number was used before")]
    SerialTaken,
    /// The subject has too many open elevations.
    #[error("the subject has {0} open elevations already; cancel one or wait")]
    TooManyOpen(u32),
    /// The token is spent, expired or gone.
    #[error("the join token is spent or expired; ask an operator for a new one")]
    TokenSpent,
    /// The event is too large or malformed.
    #[error("the event cannot be recorded")]
    Event(#[from] crate::audit::EventError),
    /// The elevation does not allow the mint.
    #[error("elevation {0} does not allow it")]
    Elevation(ElevationId, #[source] crate::elevation::MoveError),
    /// The store cannot record or read now.
    #[error("the store cannot {act}")]
    Unavailable {
        /// What it cannot do.
        act: &'static str,
        /// Why, for the log.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<Stopped> for StoreError {
    fn from(stopped: Stopped) -> Self {
        Self::Unavailable {
            act: "go on",
            source: Box::new(stopped),
        }
    }
}

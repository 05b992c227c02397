//! Idempotency keys: a repeated request finds what its first time led to.
//!
//! Promises: keys of different callers and of different verbs never meet; a key answers while
//! the right of its first request can live, and rows do not pile up.
//! Refuses: one key for two requests (assurance D16).

use rusqlite::{Connection, params};

use crate::audit::SealedEvent;
use crate::id::EventNumber;
use crate::store::sqlite::cells::{Cells, Table, integer};
use crate::store::{RetryKey, StoreError};
use crate::time::{Seconds, Timestamp};

/// What the key was used for.
#[derive(Clone, Copy)]
pub(super) enum Verb {
    Elevate,
    Intend,
}

impl Verb {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Elevate => "elevate",
            Self::Intend => "intend",
        }
    }
}

/// The event that an earlier request with this key led to.
pub(super) fn first(
    connection: &Connection,
    verb: Verb,
    retry: Option<&RetryKey>,
    now: Timestamp,
) -> Result<Option<EventNumber>, StoreError> {
    let Some(RetryKey {
        caller,
        key,
        request,
    }) = retry
    else {
        return Ok(None);
    };
    let read = |cells: &Cells<'_>| Ok((cells.event("number")?, cells.get::<[u8; 32]>("request")?));
    let oldest = now.minus(RETRY_KEPT).unix_ms();
    let params = params![verb.as_str(), caller, key, oldest];
    match RETRIES.one(connection, FIND, params, read)? {
        None => Ok(None),
        Some((number, same)) if same == *request => Ok(Some(number)),
        Some(_) => Err(StoreError::RetryMismatch),
    }
}

/// Remembers the event that a request led to, and forgets some that are too old.
pub(super) fn keep(
    connection: &Connection,
    verb: Verb,
    retry: &RetryKey,
    event: &SealedEvent,
) -> Result<(), StoreError> {
    let now = event.event().at();
    connection
        .prepare_cached(PRUNE)?
        .execute(params![now.minus(RETRY_KEPT).unix_ms(), PRUNED_AT_ONCE])?;
    connection.prepare_cached(INSERT)?.execute(params![
        verb.as_str(),
        retry.caller,
        retry.key,
        retry.request,
        integer(event.number().value()),
        now.unix_ms(),
    ])?;
    Ok(())
}

/// How long a key answers: as long as the longest life of a base SVID (DESIGN section 6), and an
/// hour for who asks late.
const RETRY_KEPT: Seconds = Seconds::new(25 * 3_600);
/// How many rows one act forgets; more than the one it adds, so that they become fewer.
const PRUNED_AT_ONCE: u32 = 8;
const RETRIES: Table = Table {
    name: "retries",
    key: "number",
};
const FIND: &str = "SELECT number, request FROM retries \
    WHERE verb = ? AND caller = ? AND key = ? AND ? <= at";
const INSERT: &str = "INSERT OR REPLACE INTO retries (verb, caller, key, request, number, at) \
    VALUES (?, ?, ?, ?, ?, ?)";
const PRUNE: &str = "DELETE FROM retries WHERE rowid IN \
    (SELECT rowid FROM retries WHERE at < ? ORDER BY at LIMIT ?)";

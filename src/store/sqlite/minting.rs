//! The kill switch.
//!
//! Promises: its version rises with every act, so a permit that was decided before never passes
//! after, not even when minting was stopped and released in between.
//! Refuses: nothing.

use rusqlite::{Connection, params};

use crate::audit::Event;
use crate::store::sqlite::cells::{Cells, Table};
use crate::store::sqlite::ledger::Turn;
use crate::store::sqlite::reasons;
use crate::store::{Minting, Reason, StoreError};

/// See [`crate::store::Store::set_minting`].
pub(super) fn set(
    turn: &mut Turn<'_>,
    stopped: bool,
    event: Event,
    reason: Option<&Reason>,
) -> Result<Minting, StoreError> {
    turn.guarded().change();
    if let Some(reason) = reason {
        reasons::keep(turn.connection(), reason)?;
    }
    let params = params![stopped, event.at().unix_ms()];
    turn.connection().prepare_cached(SET)?.execute(params)?;
    turn.record(event)?;
    minting(turn.connection())
}

/// See [`crate::store::Store::minting`].
pub(super) fn minting(connection: &Connection) -> Result<Minting, StoreError> {
    let read = |cells: &Cells<'_>| {
        Ok(Minting {
            stopped: cells.get("stopped")?,
            since: cells.maybe_at("since")?,
            version: cells.number("version")?,
        })
    };
    let row = MINTING.one(connection, GET, [], read)?;
    row.ok_or_else(|| StoreError::Damaged {
        table: MINTING.name,
        column: MINTING.key,
        row: "1".to_owned(),
    })
}

const MINTING: Table = Table {
    name: "minting",
    key: "one",
};
const SET: &str = "UPDATE minting SET version = version + 1, stopped = ?1, \
    since = CASE WHEN stopped = ?1 THEN since ELSE ?2 END";
const GET: &str = "SELECT * FROM minting";

//! Free texts behind commitments.
//!
//! Promises: the ledger never depends on a text that is kept here; erasing one leaves every
//! proof whole.
//! Refuses: to answer a text that its commitment does not stand for.

use rusqlite::{Connection, params};

use crate::audit::Commitment;
use crate::store::sqlite::cells::{Cells, Table};
use crate::store::{Reason, StoreError};

/// Keeps a text.
pub(super) fn keep(connection: &Connection, reason: &Reason) -> Result<(), StoreError> {
    let params = params![reason.commitment.bytes(), reason.salt, reason.text];
    connection.prepare_cached(INSERT)?.execute(params)?;
    Ok(())
}

/// The text behind a commitment, unless erased.
pub(super) fn text(
    connection: &Connection,
    commitment: &[u8; 32],
) -> Result<Option<String>, StoreError> {
    let read = |cells: &Cells<'_>| {
        let text: String = cells.get("text")?;
        if Commitment::new(&cells.get("salt")?, &text).bytes() == commitment {
            Ok(text)
        } else {
            Err(cells.damaged("text"))
        }
    };
    REASONS.one(connection, FIND, [commitment], read)
}

const REASONS: Table = Table {
    name: "reasons",
    key: "commitment",
};
const INSERT: &str =
    "INSERT INTO reasons (commitment, salt, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
const FIND: &str = "SELECT commitment, salt, text FROM reasons WHERE commitment = ?";

//! Operator credentials.
//!
//! Promises: only the digest of a secret is kept.
//! Refuses: to change a credential; a new one is made instead.

use rusqlite::{Connection, params};

use crate::attestation::SecretDigest;
use crate::id::{EventNumber, OperatorId};
use crate::store::sqlite::cells::{Cells, Table, integer};
use crate::store::sqlite::ledger::Turn;
use crate::store::{NewOperator, OperatorRow, StoreError};

/// See [`crate::store::Store::create_operator`].
pub(super) fn create(
    turn: &mut Turn<'_>,
    operator: NewOperator,
) -> Result<EventNumber, StoreError> {
    let created = turn.record(operator.event)?;
    turn.connection().prepare_cached(INSERT)?.execute(params![
        operator.id.to_string(),
        operator.digest.bytes(),
        integer(created.value()),
    ])?;
    Ok(created)
}

/// See [`crate::store::Store::operator`].
pub(super) fn operator(
    connection: &Connection,
    id: OperatorId,
) -> Result<Option<OperatorRow>, StoreError> {
    let read = |cells: &Cells<'_>| {
        Ok(OperatorRow {
            id,
            digest: SecretDigest::from_bytes(cells.get("digest")?),
        })
    };
    OPERATORS.one(connection, BY_ID, [id.to_string()], read)
}

/// See [`crate::store::Store::has_operator`].
pub(super) fn exist(connection: &Connection) -> Result<bool, StoreError> {
    Ok(OPERATORS.one(connection, ANY, [], |_| Ok(()))?.is_some())
}

const OPERATORS: Table = Table {
    name: "operators",
    key: "id",
};
const INSERT: &str = "INSERT INTO operators (id, digest, created) VALUES (?, ?, ?)";
const BY_ID: &str = "SELECT id, digest FROM operators WHERE id = ?";
const ANY: &str = "SELECT id FROM operators LIMIT 1";

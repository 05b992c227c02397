//! Join tokens.
//!
//! Promises: a token is spent at most once, in the transaction that records what it is spent on
//! (assurance T12); a spent one stays, for the auditor.
//! Refuses: spending for another subject, or at or after the token's end.

use rusqlite::{Connection, params};

use crate::attestation::SecretDigest;
use crate::audit::{Event, Key, SealedEvent};
use crate::id::{EventNumber, TokenId};
use crate::store::sqlite::cells::{Cells, Select, Table, integer};
use crate::store::sqlite::ledger::Turn;
use crate::store::{NewToken, StoreError, TokenRow};

/// See [`crate::store::Store::create_token`].
pub(super) fn create(turn: &mut Turn<'_>, token: NewToken) -> Result<EventNumber, StoreError> {
    let created = turn.record(token.event)?;
    turn.connection().prepare_cached(INSERT)?.execute(params![
        integer(created.value()),
        token.id.to_string(),
        token.digest.bytes(),
        token.subject.to_string(),
        token.expires_at.unix_ms(),
    ])?;
    Ok(created)
}

/// Whether a token can be spent on what the event is about.
pub(super) fn spendable(
    connection: &Connection,
    id: TokenId,
    event: &Event,
) -> Result<(), StoreError> {
    let params = params![
        id.to_string(),
        event.at().unix_ms(),
        event.key(Key::Subject)
    ];
    match TOKENS.one(connection, SPENDABLE, params, |_| Ok(()))? {
        Some(()) => Ok(()),
        None => Err(StoreError::TokenSpent),
    }
}

/// Spends a token on an intent.
pub(super) fn spend(
    connection: &Connection,
    id: TokenId,
    intent: &SealedEvent,
) -> Result<(), StoreError> {
    let event = intent.event();
    let spent = connection.prepare_cached(SPEND)?.execute(params![
        integer(intent.number().value()),
        id.to_string(),
        event.at().unix_ms(),
        event.key(Key::Subject),
    ])?;
    if spent == 1 {
        Ok(())
    } else {
        Err(StoreError::TokenSpent)
    }
}

/// See [`crate::store::Store::remove_token`].
pub(super) fn remove(
    turn: &mut Turn<'_>,
    id: TokenId,
    event: Event,
) -> Result<EventNumber, StoreError> {
    let connection = turn.connection();
    if connection
        .prepare_cached(DELETE)?
        .execute([id.to_string()])?
        != 1
    {
        return Err(match token(connection, id)? {
            Some(_) => StoreError::TokenSpent,
            None => StoreError::NotFound("join token"),
        });
    }
    turn.record(event)
}

/// See [`crate::store::Store::token`].
pub(super) fn token(connection: &Connection, id: TokenId) -> Result<Option<TokenRow>, StoreError> {
    TOKENS.one(connection, BY_ID, [id.to_string()], read)
}

/// See [`crate::store::Store::tokens`].
pub(super) fn list(
    connection: &Connection,
    after: Option<EventNumber>,
    limit: u32,
) -> Result<Vec<TokenRow>, StoreError> {
    Select::new(LIST)
        .and("? < created", after.map(|number| integer(number.value())))
        .ordered(" ORDER BY created", limit)
        .all(connection, TOKENS, read)
}

fn read(cells: &Cells<'_>) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: cells.parse("id")?,
        digest: SecretDigest::from_bytes(cells.get("digest")?),
        subject: cells.parse("subject")?,
        expires_at: cells.at("expires_at")?,
        created: cells.event("created")?,
        spent: cells.maybe_event("spent")?,
    })
}

const TOKENS: Table = Table {
    name: "tokens",
    key: "id",
};
const INSERT: &str =
    "INSERT INTO tokens (created, id, digest, subject, expires_at) VALUES (?, ?, ?, ?, ?)";
const SPEND: &str = "UPDATE tokens SET spent = ? \
    WHERE id = ? AND spent IS NULL AND ? < expires_at AND subject = ?";
const SPENDABLE: &str = "SELECT id FROM tokens \
    WHERE id = ? AND spent IS NULL AND ? < expires_at AND subject = ?";
const DELETE: &str = "DELETE FROM tokens WHERE id = ? AND spent IS NULL";
const BY_ID: &str = "SELECT * FROM tokens WHERE id = ?";
const LIST: &str = "SELECT * FROM tokens WHERE TRUE";

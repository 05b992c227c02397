//! Certificates: intents before the key is used, outcomes after.
//!
//! Promises: an intent is durable with its event, its token spent and its elevation minted from,
//! or none of it is; an intent has at most one outcome.
//! Refuses: changed facts, used serials, spent tokens, a retry key with another request.

use aws_lc_rs::digest;
use rusqlite::{Connection, params};

use crate::failpoint::{Point, reach};
use crate::id::{EventNumber, hex};
use crate::store::sqlite::cells::{Cells, Table, integer};
use crate::store::sqlite::ledger::{self, Turn};
use crate::store::sqlite::retries::{self, Verb};
use crate::store::sqlite::{elevations, guards, tokens};
use crate::store::{CertificateRow, Intended, Intent, Outcome, StoreError};

/// See [`crate::store::Store::intend`].
pub(super) fn intend(turn: &mut Turn<'_>, intent: Intent) -> Result<Intended, StoreError> {
    let connection = turn.connection();
    let retry = intent.retry.as_ref();
    let now = intent.event.at();
    // First of all: what a repeated request rested on has changed by its own first time.
    if let Some(first) = retries::first(connection, Verb::Intend, retry, now)? {
        return repeated(connection, first);
    }
    guards::hold(turn, &intent.guards)?;
    if INTENTS
        .one(connection, BY_SERIAL, [&intent.serial], |_| Ok(()))?
        .is_some()
    {
        return Err(StoreError::SerialTaken);
    }
    let number = turn.next()?;
    let minted = match intent.mint {
        Some(mint) => Some(elevations::mintable(connection, mint, number)?),
        None => None,
    };
    if let Some(token) = intent.spend {
        tokens::spendable(connection, token, &intent.event)?;
    }
    let mut tbs = intent.tbs;
    if let Some(at) = intent.index_at {
        write_index(&mut tbs, at, number)?;
    }
    let tbs_digest = digest::digest(&digest::SHA256, &tbs);
    let event = intent.event.and(TBS_SHA256, hex::text(tbs_digest.as_ref()));
    // From here on nothing refuses.
    let event = turn.append(event)?;
    let mut insert = connection.prepare_cached(INSERT)?;
    insert.execute(params![integer(number.value()), intent.serial, tbs])?;
    let mut unfinished = connection.prepare_cached(INSERT_UNFINISHED)?;
    unfinished.execute([integer(number.value())])?;
    if let Some(minted) = minted {
        minted.write(connection)?;
    }
    if let Some(token) = intent.spend {
        tokens::spend(connection, token, &event)?;
        reach(Point::TokenSpent)?;
    }
    if let Some(retry) = retry {
        retries::keep(connection, Verb::Intend, retry, &event)?;
    }
    Ok(Intended {
        event,
        tbs,
        repeated: false,
    })
}

/// See [`crate::store::Store::conclude`].
pub(super) fn conclude(turn: &mut Turn<'_>, outcome: Outcome) -> Result<EventNumber, StoreError> {
    let connection = turn.connection();
    let intent = integer(outcome.intent.value());
    let open = INTENTS.one(connection, IS_UNFINISHED, [intent], |_| Ok(()))?;
    if open.is_none() {
        let known = INTENTS.one(connection, BY_NUMBER, [intent], |_| Ok(()))?;
        return Err(match known {
            Some(()) => StoreError::Concluded,
            None => StoreError::NotFound("intent"),
        });
    }
    // From here on nothing refuses.
    let number = turn.record(outcome.event)?;
    let mut finish = connection.prepare_cached(DELETE_UNFINISHED)?;
    finish.execute([intent])?;
    let mut insert = connection.prepare_cached(INSERT_OUTCOME)?;
    insert.execute(params![
        intent,
        integer(number.value()),
        outcome.certificate
    ])?;
    Ok(number)
}

/// See [`crate::store::Store::unfinished`].
pub(super) fn unfinished(connection: &Connection, limit: u32) -> Result<Vec<Intended>, StoreError> {
    INTENTS.all(connection, UNFINISHED, [limit], intended)
}

/// See [`crate::store::Store::certificate`].
pub(super) fn certificate(
    connection: &Connection,
    intent: EventNumber,
) -> Result<Option<CertificateRow>, StoreError> {
    let read = |cells: &Cells<'_>| {
        Ok(CertificateRow {
            intent,
            issued: cells.event("number")?,
            der: cells.get("der")?,
        })
    };
    OUTCOMES.one(connection, CERTIFICATE, [integer(intent.value())], read)
}

fn repeated(connection: &Connection, first: EventNumber) -> Result<Intended, StoreError> {
    let found = INTENTS.one(connection, BY_NUMBER, [integer(first.value())], intended)?;
    let mut intended = found.ok_or_else(|| StoreError::Damaged {
        table: INTENTS.name,
        column: INTENTS.key,
        row: first.to_string(),
    })?;
    intended.repeated = true;
    Ok(intended)
}

fn intended(cells: &Cells<'_>) -> Result<Intended, StoreError> {
    Ok(Intended {
        event: ledger::sealed(cells)?,
        tbs: cells.get("tbs")?,
        repeated: false,
    })
}

/// The certificate names its own event: eight bytes, big-endian, counted from zero.
fn write_index(tbs: &mut [u8], at: usize, number: EventNumber) -> Result<(), StoreError> {
    let index = number.index().to_be_bytes();
    let end = at.saturating_add(index.len());
    let place = tbs.get_mut(at..end).ok_or(StoreError::IndexPlace(at))?;
    place.copy_from_slice(&index);
    Ok(())
}

/// The field that the store adds to an intent's event: SHA-256 of the bytes to sign.
const TBS_SHA256: &str = "tbs_sha256";
const INTENTS: Table = Table {
    name: "intents",
    key: "number",
};
const OUTCOMES: Table = Table {
    name: "outcomes",
    key: "number",
};
const INSERT: &str = "INSERT INTO intents (number, serial, tbs) VALUES (?, ?, ?)";
const BY_SERIAL: &str = "SELECT number FROM intents WHERE serial = ?";
const INSERT_UNFINISHED: &str = "INSERT INTO unfinished (intent) VALUES (?)";
const IS_UNFINISHED: &str = "SELECT intent AS number FROM unfinished WHERE intent = ?";
const DELETE_UNFINISHED: &str = "DELETE FROM unfinished WHERE intent = ?";
const INSERT_OUTCOME: &str = "INSERT INTO outcomes (intent, number, der) VALUES (?, ?, ?)";
const BY_NUMBER: &str = "SELECT events.number, events.bytes, intents.tbs \
    FROM intents JOIN events USING (number) WHERE number = ?";
const UNFINISHED: &str = "SELECT events.number, events.bytes, intents.tbs \
    FROM unfinished JOIN intents ON intents.number = unfinished.intent \
    JOIN events ON events.number = unfinished.intent ORDER BY unfinished.intent LIMIT ?";
const CERTIFICATE: &str = "SELECT number, der FROM outcomes WHERE intent = ? AND der IS NOT NULL";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_goes_where_it_fits_and_nowhere_else() {
        let number = EventNumber::new(258).unwrap();
        let mut tbs = vec![9; 10];
        write_index(&mut tbs, 1, number).unwrap();
        assert_eq!(tbs, [9, 0, 0, 0, 0, 0, 0, 1, 1, 9]);
        for at in [3, 10, usize::MAX] {
            assert!(write_index(&mut tbs, at, number).is_err(), "{at}");
        }
    }
}

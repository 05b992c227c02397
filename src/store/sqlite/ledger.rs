//! The ledger: events in, events out.
//!
//! Promises: numbers are given inside the writing transaction, from 1, without gaps; what is
//! read back is parsed from the sealed bytes, so a changed byte shows.
//! Refuses: changes and removals of events (the schema's triggers do).

use rusqlite::{Connection, params};

use crate::audit::{Event, EventKind, Key, SealedEvent};
use crate::id::{ElevationId, EventNumber};
use crate::store::sqlite::cells::{Cells, ROWS_MAX, Select, Table, integer};
use crate::store::sqlite::guards::Guarded;
use crate::store::{EventFilter, LedgerHead, StoreError};
use crate::time::Timestamp;

/// One act's turn inside the writing transaction.
pub(super) struct Turn<'a> {
    connection: &'a Connection,
    guarded: &'a Guarded,
    head: Option<LedgerHead>,
}

impl<'a> Turn<'a> {
    /// A turn after the event `head`.
    pub(super) const fn new(
        connection: &'a Connection,
        guarded: &'a Guarded,
        head: Option<LedgerHead>,
    ) -> Self {
        Self {
            connection,
            guarded,
            head,
        }
    }

    /// Which facts are known to hold.
    pub(super) const fn guarded(&self) -> &'a Guarded {
        self.guarded
    }

    /// The connection, to read and write what the act is about.
    pub(super) const fn connection(&self) -> &'a Connection {
        self.connection
    }

    /// The newest event, this turn's own included.
    pub(super) const fn head(&self) -> Option<LedgerHead> {
        self.head
    }

    /// The number that the next event gets.
    pub(super) fn next(&self) -> Result<EventNumber, StoreError> {
        let last = self.head.map_or(0, |head| head.number.value());
        let next = last.checked_add(1).and_then(EventNumber::new);
        next.ok_or_else(|| StoreError::Damaged {
            table: EVENTS.name,
            column: EVENTS.key,
            row: last.to_string(),
        })
    }

    /// Seals an event as the next one and writes it.
    pub(super) fn append(&mut self, event: Event) -> Result<SealedEvent, StoreError> {
        let sealed = event.seal(self.next()?)?;
        let event = sealed.event();
        self.connection.prepare_cached(INSERT)?.execute(params![
            integer(sealed.number().value()),
            event.at().unix_ms(),
            event.kind().as_str(),
            sealed.bytes(),
            event.key(Key::Caller),
            event.key(Key::Subject),
            event.key(Key::Scope),
            event.key(Key::Serial),
            event.key(Key::Fingerprint),
            event.key(Key::Elevation),
            event.key(Key::Policy),
            event.key(Key::Outcome),
        ])?;
        let at = event.at();
        let at = self.head.map_or(at, |head| head.at.max(at));
        self.head = Some(LedgerHead {
            number: sealed.number(),
            at,
        });
        Ok(sealed)
    }

    /// As [`Self::append`], for acts that answer the number alone.
    pub(super) fn record(&mut self, event: Event) -> Result<EventNumber, StoreError> {
        self.append(event).map(|sealed| sealed.number())
    }
}

/// See [`crate::store::Store::head`].
pub(super) fn head(connection: &Connection) -> Result<Option<LedgerHead>, StoreError> {
    let read = |cells: &Cells<'_>| match cells.maybe_event("number")? {
        None => Ok(None),
        Some(number) => Ok(Some(LedgerHead {
            number,
            at: cells.at("at")?,
        })),
    };
    let head = EVENTS.one(connection, HEAD, [], read)?;
    Ok(head.flatten())
}

/// See [`crate::store::Store::event`].
pub(super) fn event(
    connection: &Connection,
    number: EventNumber,
) -> Result<Option<SealedEvent>, StoreError> {
    EVENTS.one(connection, BY_NUMBER, [integer(number.value())], sealed)
}

/// An event that another row points to.
pub(super) fn known(
    connection: &Connection,
    number: EventNumber,
) -> Result<SealedEvent, StoreError> {
    event(connection, number)?.ok_or_else(|| StoreError::Damaged {
        table: EVENTS.name,
        column: EVENTS.key,
        row: number.to_string(),
    })
}

/// See [`crate::store::Store::events`].
pub(super) fn events(
    connection: &Connection,
    filter: EventFilter,
    after: Option<EventNumber>,
    until: Option<EventNumber>,
    limit: u32,
) -> Result<Vec<SealedEvent>, StoreError> {
    let number = |number: EventNumber| integer(number.value());
    let between = match time_span(connection, &filter)? {
        Span::Any => None,
        Span::Between(first, last) => Some((first, last)),
        Span::Nothing => return Ok(Vec::new()),
    };
    Select::new(LIST)
        .and("? <= number", between.map(|(first, _)| first))
        .and("number <= ?", between.map(|(_, last)| last))
        .and("? < number", after.map(number))
        .and("number <= ?", until.map(number))
        .and("kind = ?", filter.kind.map(|kind| kind.as_str().to_owned()))
        .and("caller = ?", filter.caller)
        .and("subject = ?", filter.subject)
        .and("scope = ?", filter.scope)
        .and(OF_SERIAL, filter.serial)
        .and(FINGERPRINT_BEGINS, filter.fingerprint.clone())
        .and("fingerprint = ?", filter.fingerprint)
        .and("elevation = ?", filter.elevation)
        .and("policy = ?", filter.policy)
        .and("outcome = ?", filter.outcome)
        .and("? <= +at", filter.from.map(Timestamp::unix_ms))
        .and("+at < ?", filter.to.map(Timestamp::unix_ms))
        .ordered(" ORDER BY number", limit)
        .all(connection, EVENTS, sealed)
}

/// See [`crate::store::Store::issued_from`].
pub(super) fn issued_from(
    connection: &Connection,
    elevation: ElevationId,
    before: Option<EventNumber>,
    limit: u32,
) -> Result<Vec<SealedEvent>, StoreError> {
    let before = before.map_or(i64::MAX, |number| integer(number.value()));
    let kind = EventKind::SvidIssued.as_str();
    let params = params![elevation.to_string(), kind, before, limit.min(ROWS_MAX)];
    EVENTS.all(connection, ISSUED_FROM, params, sealed)
}

/// Where in the ledger the events of a span of time lie.
enum Span {
    /// Anywhere: no time is asked for, or a narrower filter finds them anyway.
    Any,
    /// From this number to that.
    Between(i64, i64),
    /// Nowhere.
    Nothing,
}

/// Times do not rise strictly with numbers, so a span of time is looked up in the index of times:
/// else a page would read the ledger from its beginning, or to its end.
fn time_span(connection: &Connection, filter: &EventFilter) -> Result<Span, StoreError> {
    let EventFilter {
        kind: _,
        caller,
        subject,
        scope,
        serial,
        fingerprint,
        elevation,
        policy: _,
        outcome: _,
        from,
        to,
    } = filter;
    let narrow = [caller, subject, scope, serial, fingerprint, elevation];
    if narrow.into_iter().any(Option::is_some) || (from.is_none() && to.is_none()) {
        return Ok(Span::Any);
    }
    let from = from.map_or(0, Timestamp::unix_ms);
    let to = to.map_or(i64::MAX, Timestamp::unix_ms);
    let read = |cells: &Cells<'_>| Ok((cells.get("first")?, cells.get("last")?));
    let ends = EVENTS.one(connection, SPAN, [from, to], read)?;
    Ok(match ends {
        Some((Some(first), Some(last))) => Span::Between(first, last),
        Some(_) | None => Span::Nothing,
    })
}

/// The event of a row whose columns are `number` and `bytes`.
pub(super) fn sealed(cells: &Cells<'_>) -> Result<SealedEvent, StoreError> {
    let bytes: String = cells.get("bytes")?;
    let sealed = SealedEvent::parse(&bytes).map_err(|_| cells.damaged("bytes"))?;
    if sealed.number() == cells.event("number")? {
        Ok(sealed)
    } else {
        Err(cells.damaged("number"))
    }
}

/// The ledger's table.
pub(super) const EVENTS: Table = Table {
    name: "events",
    key: "number",
};
const INSERT: &str = "INSERT INTO events \
    (number, at, kind, bytes, caller, subject, scope, serial, fingerprint, elevation, policy, \
    outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const HEAD: &str =
    "SELECT (SELECT max(number) FROM events) AS number, (SELECT max(at) FROM events) AS at";
const BY_NUMBER: &str = "SELECT number, bytes FROM events WHERE number = ?";
const SPAN: &str = "SELECT min(number) AS first, max(number) AS last FROM events \
    WHERE ? <= at AND at < ?";
const LIST: &str = "SELECT number, bytes FROM events WHERE TRUE";
const ISSUED_FROM: &str = "SELECT number, bytes FROM events INDEXED BY events_elevation \
    WHERE elevation = ? AND kind = ? AND number < ? ORDER BY number DESC LIMIT ?";
/// The intent of a serial number and its outcome: no other event has one.
const OF_SERIAL: &str = "number IN \
    (WITH one AS (SELECT number FROM intents WHERE serial = unhex(?)) \
    SELECT number FROM one UNION ALL \
    SELECT outcomes.number FROM outcomes JOIN one ON outcomes.intent = one.number)";
const FINGERPRINT_BEGINS: &str =
    "fingerprint IS NOT NULL AND substr(fingerprint, 1, 16) = substr(?, 1, 16)";

//! Elevations: opened, moved, minted from, listed.
//!
//! Promises: a move is written only over the version that it was made on; what was asked for is
//! written once and never again (assurance P-5); binding an instance and recording its mint are
//! one transaction.
//! Refuses: more open elevations of one subject than its caller allows.

use rusqlite::{Connection, params};

use crate::elevation::{Elevation, StateName};
use crate::id::{ElevationId, EventNumber};
use crate::identity::Subject;
use crate::scope::Scope;
use crate::store::sqlite::cells::{Cells, Select, integer};
use crate::store::sqlite::elevation_row::{self, ELEVATIONS};
use crate::store::sqlite::ledger::{self, Turn};
use crate::store::sqlite::retries::{self, Verb};
use crate::store::sqlite::{guards, reasons};
use crate::store::{
    ElevationChange, ElevationFilter, ElevationRow, Mint, NewElevation, Opened, StoreError,
};
use crate::time::Timestamp;

/// See [`crate::store::Store::open_elevation`].
pub(super) fn open(turn: &mut Turn<'_>, new: NewElevation) -> Result<Opened, StoreError> {
    let connection = turn.connection();
    let retry = new.retry.as_ref();
    let now = new.event.at();
    if let Some(first) = retries::first(connection, Verb::Elevate, retry, now)? {
        let opened = by_opening(connection, first)?;
        let row = opened.ok_or(StoreError::NotFound("elevation"))?;
        return Ok(Opened {
            row,
            repeated: true,
        });
    }
    guards::hold(turn, &new.guards)?;
    let elevation = new.elevation;
    if elevation.runs_out_at().is_some() {
        let open = count_open(connection, &elevation.request.subject, now)?;
        if new.open_max <= open {
            return Err(StoreError::TooManyOpen(open));
        }
    }
    let event = turn.append(new.event)?;
    elevation_row::insert(connection, event.number(), &elevation)?;
    if let Some(reason) = &new.reason {
        reasons::keep(connection, reason)?;
    }
    if let Some(retry) = retry {
        retries::keep(connection, Verb::Elevate, retry, &event)?;
    }
    let reason = new.reason.map(|reason| reason.text);
    let row = ElevationRow {
        elevation,
        opened: event,
        reason,
    };
    Ok(Opened {
        row,
        repeated: false,
    })
}

/// See [`crate::store::Store::change_elevation`].
pub(super) fn change(
    turn: &mut Turn<'_>,
    change: ElevationChange,
) -> Result<EventNumber, StoreError> {
    let connection = turn.connection();
    let number = turn.record(change.event)?;
    elevation_row::update(connection, change.from_version, &change.after)?;
    if let Some(reason) = &change.reason {
        reasons::keep(connection, reason)?;
    }
    Ok(number)
}

/// What an elevation becomes by a mint, and is not yet.
pub(super) struct Minted {
    from_version: u64,
    after: Elevation,
}

/// Activates an elevation or binds an instance, for the intent at `number`, and writes nothing.
pub(super) fn mintable(
    connection: &Connection,
    mint: Mint,
    number: EventNumber,
) -> Result<Minted, StoreError> {
    let before = current(connection, mint.elevation)?;
    let before = before.ok_or(StoreError::NotFound("elevation"))?;
    let from_version = before.version;
    let after = before
        .minted(mint.instance, mint.at, number)
        .map_err(|refused| StoreError::Elevation(mint.elevation, refused))?;
    Ok(Minted {
        from_version,
        after,
    })
}

impl Minted {
    /// Writes it.
    pub(super) fn write(&self, connection: &Connection) -> Result<(), StoreError> {
        // A renewal for a bound instance changes nothing.
        if self.after.version == self.from_version {
            return Ok(());
        }
        elevation_row::update(connection, self.from_version, &self.after)
    }
}

/// The version of an elevation, when it exists.
pub(super) fn version(connection: &Connection, id: ElevationId) -> Result<Option<u64>, StoreError> {
    let read = |cells: &Cells<'_>| cells.number("version");
    ELEVATIONS.one(connection, VERSION, [id.to_string()], read)
}

/// An elevation as it stands.
pub(super) fn current(
    connection: &Connection,
    id: ElevationId,
) -> Result<Option<Elevation>, StoreError> {
    let read = |cells: &Cells<'_>| elevation_row::read(connection, cells);
    ELEVATIONS.one(connection, BY_ID, [id.to_string()], read)
}

/// See [`crate::store::Store::elevation`].
pub(super) fn elevation(
    connection: &Connection,
    id: ElevationId,
) -> Result<Option<ElevationRow>, StoreError> {
    let read = |cells: &Cells<'_>| row(connection, cells);
    ELEVATIONS.one(connection, BY_ID, [id.to_string()], read)
}

/// See [`crate::store::Store::elevations`].
pub(super) fn list(
    connection: &Connection,
    filter: ElevationFilter,
    after: Option<EventNumber>,
    limit: u32,
) -> Result<Vec<ElevationRow>, StoreError> {
    // An open state is said twice, for the index that knows the open ones only.
    let asks_open = matches!(
        filter.state,
        Some(StateName::Active | StateName::Approved | StateName::Pending)
    );
    Select::new(LIST)
        .and("? < opened", after.map(|number| integer(number.value())))
        .and("subject = ?", filter.subject.map(|it| it.to_string()))
        .and("scope = ?", filter.scope.map(|it| it.to_string()))
        .and("state = ?", filter.state.map(|it| it.as_str().to_owned()))
        .and(HELD_BY, filter.instance.map(|it| it.bytes().to_vec()))
        .only(IS_OPEN, filter.open_only || asks_open)
        .ordered(" ORDER BY opened", limit)
        .all(connection, ELEVATIONS, |cells| row(connection, cells))
}

/// See [`crate::store::Store::open_elevations`].
pub(super) fn open_for(
    connection: &Connection,
    subject: &Subject,
    scope: Option<&Scope>,
    limit: u32,
) -> Result<Vec<Elevation>, StoreError> {
    let read = |cells: &Cells<'_>| elevation_row::read(connection, cells);
    let params = params![subject.to_string(), scope.map(Scope::as_str), limit];
    ELEVATIONS.all(connection, OPEN_FOR, params, read)
}

/// See [`crate::store::Store::due_elevations`].
pub(super) fn due(
    connection: &Connection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Elevation>, StoreError> {
    let read = |cells: &Cells<'_>| elevation_row::read(connection, cells);
    ELEVATIONS.all(connection, DUE, params![now.unix_ms(), limit], read)
}

fn by_opening(
    connection: &Connection,
    opened: EventNumber,
) -> Result<Option<ElevationRow>, StoreError> {
    let read = |cells: &Cells<'_>| row(connection, cells);
    ELEVATIONS.one(connection, BY_OPENING, [integer(opened.value())], read)
}

fn row(connection: &Connection, cells: &Cells<'_>) -> Result<ElevationRow, StoreError> {
    let elevation = elevation_row::read(connection, cells)?;
    let reason = match &elevation.request.reason {
        Some(commitment) => reasons::text(connection, commitment)?,
        None => None,
    };
    Ok(ElevationRow {
        opened: ledger::known(connection, cells.event("opened")?)?,
        elevation,
        reason,
    })
}

/// Elevations whose clock still runs at `now`; one that only waits for the sweeper is over.
fn count_open(
    connection: &Connection,
    subject: &Subject,
    now: Timestamp,
) -> Result<u32, StoreError> {
    let params = params![subject.to_string(), now.unix_ms()];
    let mut count = connection.prepare_cached(COUNT_OPEN)?;
    Ok(count.query_row(params, |row| row.get(0))?)
}

const VERSION: &str = "SELECT id, version FROM elevations WHERE id = ?";
const BY_ID: &str = "SELECT * FROM elevations WHERE id = ?";
const BY_OPENING: &str = "SELECT * FROM elevations WHERE opened = ?";
const LIST: &str = "SELECT * FROM elevations WHERE TRUE";
/// Few are open of the many that ever were.
const IS_OPEN: &str = "opened IN \
    (SELECT opened FROM elevations INDEXED BY elevations_due WHERE runs_out_at IS NOT NULL)";
const HELD_BY: &str = "opened IN (SELECT opened FROM holders WHERE instance = ?)";
const COUNT_OPEN: &str = "SELECT count(*) FROM elevations WHERE subject = ? AND ? < runs_out_at";
const OPEN_FOR: &str = "SELECT * FROM elevations INDEXED BY elevations_open \
    WHERE subject = ? AND runs_out_at IS NOT NULL AND scope = ifnull(?, scope) \
    ORDER BY opened DESC LIMIT ?";
const DUE: &str =
    "SELECT * FROM elevations WHERE runs_out_at <= ? ORDER BY runs_out_at, opened LIMIT ?";

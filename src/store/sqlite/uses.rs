//! What is reported of elevations' use, and which of them nobody uses.
//!
//! Promises: a use is in its elevation's row when the act is durable; the event follows at most
//! [`USE_TOLD_EVERY`] behind, so that a busy proxy does not fill the ledger. The version rises with
//! each, so that no end is written over a use that came first.
//! Refuses: to move a clock.

use rusqlite::{Connection, params};

use crate::audit::Key;
use crate::elevation::{Elevation, Used};
use crate::id::EventNumber;
use crate::identity::Subject;
use crate::scope::Scope;
use crate::store::sqlite::cells::{Cells, integer};
use crate::store::sqlite::elevation_row::{self, ELEVATIONS};
use crate::store::sqlite::ledger::Turn;
use crate::store::{NewUses, StoreError, USE_TOLD_EVERY, with_use};
use crate::time::Timestamp;

/// An active elevation, and when an event told of its use last.
struct Active {
    opened: EventNumber,
    elevation: Elevation,
    told_at: Option<Timestamp>,
}

/// See [`crate::store::Store::note_uses`].
pub(super) fn note(turn: &mut Turn<'_>, report: &NewUses) -> Result<Vec<u32>, StoreError> {
    let mut noted = Vec::with_capacity(report.uses.len());
    for (subject, scope, seen) in &report.uses {
        let mut count = 0_u32;
        for active in active(turn.connection(), subject, scope)? {
            count = count.saturating_add(u32::from(note_one(turn, report, active, *seen)?));
        }
        noted.push(count);
    }
    Ok(noted)
}

fn note_one(
    turn: &mut Turn<'_>,
    report: &NewUses,
    active: Active,
    seen: Used,
) -> Result<bool, StoreError> {
    let now = report.event.at();
    let from_version = active.elevation.version;
    let Some(after) = active.elevation.seen_used(seen, now) else {
        return Ok(false);
    };
    elevation_row::update(turn.connection(), from_version, &after)?;
    // Also where the clock went back.
    let rested = |told: Timestamp| now < told || told.plus(USE_TOLD_EVERY) <= now;
    if active.told_at.is_none_or(rested)
        && let Some(used) = after.used()
    {
        let event = report.event.clone();
        let event = event
            .with(Key::Elevation, after.id.to_string())
            .with(Key::Scope, after.request.scope.as_str())
            .with(Key::Subject, after.request.subject.to_string());
        turn.record(with_use(event, used))?;
        let params = params![now.unix_ms(), integer(active.opened.value())];
        turn.connection().prepare_cached(TOLD)?.execute(params)?;
    }
    Ok(true)
}

/// See [`crate::store::Store::idle_elevations`].
pub(super) fn idle(
    connection: &Connection,
    scope: &Scope,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Elevation>, StoreError> {
    let params = params![scope.as_str(), since.unix_ms(), limit];
    let read = |cells: &Cells<'_>| elevation_row::read(connection, cells);
    ELEVATIONS.all(connection, IDLE, params, read)
}

fn active(
    connection: &Connection,
    subject: &Subject,
    scope: &Scope,
) -> Result<Vec<Active>, StoreError> {
    let read = |cells: &Cells<'_>| {
        Ok(Active {
            opened: cells.event("opened")?,
            elevation: elevation_row::read(connection, cells)?,
            told_at: cells.maybe_at("use_told_at")?,
        })
    };
    let params = params![subject.to_string(), scope.as_str()];
    ELEVATIONS.all(connection, ACTIVE, params, read)
}

/// A subject has few open elevations: its bound holds.
const ACTIVE: &str = "SELECT * FROM elevations INDEXED BY elevations_open \
    WHERE subject = ? AND runs_out_at IS NOT NULL AND scope = ? AND state = 'active' \
    ORDER BY opened";
const TOLD: &str = "UPDATE elevations SET use_told_at = ? WHERE opened = ?";
const IDLE: &str = "SELECT * FROM elevations INDEXED BY elevations_idle \
    WHERE state = 'active' AND scope = ? AND coalesce(last_used_at, activated_at) <= ? \
    ORDER BY coalesce(last_used_at, activated_at), opened LIMIT ?";

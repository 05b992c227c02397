//! One elevation as a row, there and back.
//!
//! Promises: what is written reads back equal; a state that lacks one of its facts is damage.
//! Refuses: to write what was asked for twice: `update` touches version and state alone.

use rusqlite::{Connection, named_params, params};

use crate::elevation::{
    Elevation, Instances, Request, Requester, State, StateName, Ticket, Used, WaitsFor,
};
use crate::id::{EventNumber, Instance};
use crate::store::StoreError;
use crate::store::sqlite::cells::{Cells, Table, integer};
use crate::time::{Seconds, Timestamp};

/// The columns that a state fills; what it does not know stays empty.
#[derive(Default)]
struct StateCells {
    runs_out_at: Option<Timestamp>,
    waits_for: Option<String>,
    activated_at: Option<Timestamp>,
    activation: Option<EventNumber>,
    over_at: Option<Timestamp>,
    how: Option<&'static str>,
    used: Option<Used>,
}

/// Writes a new elevation, opened by an event.
pub(super) fn insert(
    connection: &Connection,
    opened: EventNumber,
    elevation: &Elevation,
) -> Result<(), StoreError> {
    let request = &elevation.request;
    connection.prepare_cached(INSERT)?.execute(named_params! {
        ":opened": integer(opened.value()),
        ":id": elevation.id.to_string(),
        ":version": integer(elevation.version),
        ":subject": request.subject.to_string(),
        ":scope": request.scope.as_str(),
        ":duration_s": request.duration.count(),
        ":not_before": request.not_before.map(Timestamp::unix_ms),
        ":instances": instances_text(request.instances),
        ":reason": request.reason,
        ":ticket": request.ticket.as_ref().map(Ticket::as_str),
        ":asked_by": request.asked_by.0,
        ":asked_at": request.asked_at.unix_ms(),
        ":extends": request.extends.map(|id| id.to_string()),
        ":on_demand": request.on_demand,
        ":break_glass": request.break_glass,
        ":state": elevation.state.name().as_str(),
    })?;
    // The instance that asked is found by its elevations before it mints.
    if let Instances::One(instance) = request.instances {
        hold(connection, opened, 0, instance)?;
    }
    write_state(connection, opened, &elevation.state)
}

/// Writes the state over the version that it was made on.
pub(super) fn update(
    connection: &Connection,
    from_version: u64,
    after: &Elevation,
) -> Result<(), StoreError> {
    let id = after.id.to_string();
    let params = params![integer(after.version), id, integer(from_version)];
    if connection.prepare_cached(MOVE)?.execute(params)? != 1 {
        let known = ELEVATIONS.one(connection, OPENED, [&id], |_| Ok(()))?;
        return Err(match known {
            Some(()) => StoreError::FactChanged("the elevation"),
            None => StoreError::NotFound("elevation"),
        });
    }
    let read = |cells: &Cells<'_>| cells.event("opened");
    let opened = ELEVATIONS.one(connection, OPENED, [&id], read)?;
    let opened = opened.ok_or(StoreError::NotFound("elevation"))?;
    write_state(connection, opened, &after.state)
}

/// Reads an elevation from a row with all columns.
pub(super) fn read(connection: &Connection, cells: &Cells<'_>) -> Result<Elevation, StoreError> {
    Ok(Elevation {
        id: cells.parse("id")?,
        version: cells.number("version")?,
        request: read_request(cells)?,
        state: read_state(connection, cells)?,
    })
}

fn write_state(
    connection: &Connection,
    opened: EventNumber,
    state: &State,
) -> Result<(), StoreError> {
    let cells = state_cells(state);
    connection.prepare_cached(STATE)?.execute(named_params! {
        ":opened": integer(opened.value()),
        ":state": state.name().as_str(),
        ":runs_out_at": cells.runs_out_at.map(Timestamp::unix_ms),
        ":waits_for": cells.waits_for,
        ":activated_at": cells.activated_at.map(Timestamp::unix_ms),
        ":activation": cells.activation.map(|number| integer(number.value())),
        ":over_at": cells.over_at.map(Timestamp::unix_ms),
        ":how": cells.how,
        ":first_used_at": cells.used.map(|used| used.first.unix_ms()),
        ":last_used_at": cells.used.map(|used| used.last.unix_ms()),
        ":uses": cells.used.map(|used| integer(used.count)),
    })?;
    if let State::Active { bound, .. } = state {
        // Instances are only ever added, at the end.
        let known: i64 = connection
            .prepare_cached(HOLDERS_COUNT)?
            .query_row([integer(opened.value())], |row| row.get(0))?;
        let skipped = usize::try_from(known).unwrap_or(usize::MAX);
        for (place, instance) in (known..).zip(bound.iter().skip(skipped)) {
            hold(connection, opened, place, *instance)?;
        }
    }
    Ok(())
}

fn state_cells(state: &State) -> StateCells {
    let over = |at: Timestamp| StateCells {
        over_at: Some(at),
        ..StateCells::default()
    };
    match state {
        State::Active {
            activated_at,
            activation,
            bound: _,
            ends_at,
            used,
        } => StateCells {
            runs_out_at: Some(*ends_at),
            activated_at: Some(*activated_at),
            activation: Some(*activation),
            used: *used,
            ..StateCells::default()
        },
        State::Approved { activate_by } => StateCells {
            runs_out_at: Some(*activate_by),
            ..StateCells::default()
        },
        State::Pending {
            decide_by,
            waits_for,
        } => StateCells {
            runs_out_at: Some(*decide_by),
            waits_for: Some(waits_for_text(waits_for)),
            ..StateCells::default()
        },
        State::Ended { at, how, used } => StateCells {
            how: Some(how.as_str()),
            used: *used,
            ..over(*at)
        },
        State::Cancelled { at } | State::Denied { at } | State::Lapsed { at } => over(*at),
    }
}

fn read_state(connection: &Connection, cells: &Cells<'_>) -> Result<State, StoreError> {
    Ok(match cells.parse("state")? {
        StateName::Active => State::Active {
            activated_at: cells.at("activated_at")?,
            activation: cells.event("activation")?,
            bound: holders(connection, cells.event("opened")?)?,
            ends_at: cells.at("runs_out_at")?,
            used: used(cells)?,
        },
        StateName::Approved => State::Approved {
            activate_by: cells.at("runs_out_at")?,
        },
        StateName::Cancelled => State::Cancelled {
            at: cells.at("over_at")?,
        },
        StateName::Denied => State::Denied {
            at: cells.at("over_at")?,
        },
        StateName::Ended => State::Ended {
            at: cells.at("over_at")?,
            how: cells.parse("how")?,
            used: used(cells)?,
        },
        StateName::Lapsed => State::Lapsed {
            at: cells.at("over_at")?,
        },
        StateName::Pending => State::Pending {
            decide_by: cells.at("runs_out_at")?,
            waits_for: waits_for(cells)?,
        },
    })
}

/// All three of its cells, or none.
fn used(cells: &Cells<'_>) -> Result<Option<Used>, StoreError> {
    let Some(first) = cells.maybe_at("first_used_at")? else {
        return Ok(None);
    };
    Ok(Some(Used {
        first,
        last: cells.at("last_used_at")?,
        count: cells.number("uses")?,
    }))
}

fn read_request(cells: &Cells<'_>) -> Result<Request, StoreError> {
    Ok(Request {
        subject: cells.parse("subject")?,
        scope: cells.parse("scope")?,
        duration: Seconds::new(cells.number("duration_s")?),
        not_before: cells.maybe_at("not_before")?,
        instances: instances(&cells.get::<String>("instances")?)
            .ok_or_else(|| cells.damaged("instances"))?,
        reason: cells.get("reason")?,
        ticket: cells.maybe("ticket")?,
        asked_by: Requester(cells.get("asked_by")?),
        asked_at: cells.at("asked_at")?,
        extends: cells.maybe("extends")?,
        on_demand: cells.get("on_demand")?,
        break_glass: cells.get("break_glass")?,
    })
}

fn instances_text(instances: Instances) -> String {
    match instances {
        Instances::All => ALL.to_owned(),
        Instances::Count(count) => format!("{COUNT}{count}"),
        Instances::One(instance) => format!("{ONE}{instance}"),
    }
}

fn instances(text: &str) -> Option<Instances> {
    if text == ALL {
        return Some(Instances::All);
    }
    if let Some(count) = text.strip_prefix(COUNT) {
        return count.parse().ok().map(Instances::Count);
    }
    let instance = text.strip_prefix(ONE)?;
    instance.parse().ok().map(Instances::One)
}

/// A list of pairs: route, needs.
fn waits_for_text(waits_for: &[WaitsFor]) -> String {
    let pairs = waits_for
        .iter()
        .map(|way| serde_json::json!([way.route, way.needs]));
    pairs.collect::<serde_json::Value>().to_string()
}

fn waits_for(cells: &Cells<'_>) -> Result<Vec<WaitsFor>, StoreError> {
    let pairs: Vec<(Vec<String>, Vec<String>)> = cells.json("waits_for")?;
    let way = |(route, needs)| WaitsFor { route, needs };
    Ok(pairs.into_iter().map(way).collect())
}

fn hold(
    connection: &Connection,
    opened: EventNumber,
    place: i64,
    instance: Instance,
) -> Result<(), StoreError> {
    let params = params![integer(opened.value()), place, instance.bytes()];
    connection.prepare_cached(HOLD)?.execute(params)?;
    Ok(())
}

fn holders(connection: &Connection, opened: EventNumber) -> Result<Vec<Instance>, StoreError> {
    let read = |cells: &Cells<'_>| cells.get("instance").map(Instance::from_bytes);
    HOLDERS.all(connection, HOLDERS_OF, [integer(opened.value())], read)
}

/// The table of elevations.
pub(super) const ELEVATIONS: Table = Table {
    name: "elevations",
    key: "id",
};
const HOLDERS: Table = Table {
    name: "holders",
    key: "opened",
};
const INSERT: &str = "INSERT INTO elevations \
    (opened, id, version, subject, scope, duration_s, not_before, instances, reason, ticket, \
    asked_by, asked_at, extends, on_demand, break_glass, state) VALUES \
    (:opened, :id, :version, :subject, :scope, :duration_s, :not_before, :instances, :reason, \
    :ticket, :asked_by, :asked_at, :extends, :on_demand, :break_glass, :state)";
const MOVE: &str = "UPDATE elevations SET version = ? WHERE id = ? AND version = ?";
const OPENED: &str = "SELECT id, opened FROM elevations WHERE id = ?";
const STATE: &str = "UPDATE elevations SET state = :state, runs_out_at = :runs_out_at, \
    waits_for = :waits_for, activated_at = :activated_at, activation = :activation, \
    over_at = :over_at, how = :how, first_used_at = :first_used_at, \
    last_used_at = :last_used_at, uses = :uses WHERE opened = :opened";
const HOLD: &str = "INSERT INTO holders (opened, place, instance) VALUES (?, ?, ?)";
const HOLDERS_COUNT: &str = "SELECT coalesce(max(place) + 1, 0) FROM holders WHERE opened = ?";
const HOLDERS_OF: &str = "SELECT opened, instance FROM holders WHERE opened = ? ORDER BY place";
const ALL: &str = "all";
const COUNT: &str = "count:";
const ONE: &str = "one:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_write_and_read_back() {
        let one = Instances::One(Instance::from_bytes([7; 32]));
        for some in [Instances::All, Instances::Count(3), one] {
            assert_eq!(instances(&instances_text(some)), Some(some));
        }
        assert_eq!(instances("count:70000"), None);
        assert_eq!(instances(""), None);
    }
}

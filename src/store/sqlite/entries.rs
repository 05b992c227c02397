//! Registration entries.
//!
//! Promises: one entry for each subject; its id stays and its version rises with each write.
//! Refuses: nothing that [`Entry`] allows.

use rusqlite::{Connection, named_params, params};

use crate::attestation::{Entry, EntryTerms, Obtainer};
use crate::audit::Event;
use crate::id::{EntryId, EventNumber};
use crate::identity::{SpiffeId, Subject};
use crate::store::StoreError;
use crate::store::sqlite::cells::{Cells, ROWS_MAX, Select, Table, integer, texts};
use crate::store::sqlite::ledger::Turn;
use crate::time::Seconds;

/// See [`crate::store::Store::put_entry`].
pub(super) fn put(turn: &mut Turn<'_>, entry: Entry, event: Event) -> Result<Entry, StoreError> {
    turn.guarded().change();
    let connection = turn.connection();
    let (id, version) = match of(connection, &entry.terms.subject)? {
        Some(before) => (before.id, before.version.saturating_add(1)),
        None => (entry.id, 1),
    };
    let event = event.and("entry", id.to_string()).and("version", version);
    turn.record(event)?;
    let terms = &entry.terms;
    connection.prepare_cached(PUT)?.execute(named_params! {
        ":id": id.to_string(),
        ":version": integer(version),
        ":subject": terms.subject.to_string(),
        ":selectors": texts(&terms.selectors),
        ":obtained_by": texts(&terms.obtained_by),
        ":owner": terms.owner.as_str(),
        ":groups": texts(&terms.groups),
        ":life_s": terms.life.count(),
        ":hint": terms.hint,
        ":federates_with": texts(&terms.federates_with),
    })?;
    let subject = terms.subject.to_string();
    connection.prepare_cached(UNNAME)?.execute([&subject])?;
    for obtainer in &terms.obtained_by {
        if let Obtainer::Agent(agent) = obtainer {
            let mut name = connection.prepare_cached(NAME)?;
            name.execute([&agent.to_string(), &subject])?;
        }
    }
    Ok(Entry {
        id,
        version,
        terms: entry.terms,
    })
}

/// See [`crate::store::Store::remove_entry`].
pub(super) fn remove(
    turn: &mut Turn<'_>,
    id: EntryId,
    event: Event,
) -> Result<EventNumber, StoreError> {
    turn.guarded().change();
    let connection = turn.connection();
    let mut unname = connection.prepare_cached(UNNAME_BY_ID)?;
    unname.execute([id.to_string()])?;
    let mut delete = connection.prepare_cached(DELETE)?;
    if delete.execute([id.to_string()])? != 1 {
        return Err(StoreError::NotFound("registration entry"));
    }
    turn.record(event)
}

/// The version of an entry, when it exists.
pub(super) fn version(connection: &Connection, id: EntryId) -> Result<Option<u64>, StoreError> {
    let read = |cells: &Cells<'_>| cells.number("version");
    ENTRIES.one(connection, VERSION, [id.to_string()], read)
}

/// See [`crate::store::Store::entry`].
pub(super) fn entry(connection: &Connection, id: EntryId) -> Result<Option<Entry>, StoreError> {
    ENTRIES.one(connection, BY_ID, [id.to_string()], read)
}

/// The entry of a subject.
pub(super) fn of(connection: &Connection, subject: &Subject) -> Result<Option<Entry>, StoreError> {
    ENTRIES.one(connection, BY_SUBJECT, [subject.to_string()], read)
}

/// See [`crate::store::Store::entries`].
pub(super) fn list(
    connection: &Connection,
    after: Option<&Subject>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    Select::new(LIST)
        .and("? < subject", after.map(ToString::to_string))
        .ordered(" ORDER BY subject", limit)
        .all(connection, ENTRIES, read)
}

/// See [`crate::store::Store::entries_of`].
pub(super) fn of_agent(
    connection: &Connection,
    agent: &SpiffeId,
    after: Option<&Subject>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    // No subject is empty, so all of them come after it.
    let after = after.map(ToString::to_string).unwrap_or_default();
    let params = params![agent.to_string(), after, limit.min(ROWS_MAX)];
    ENTRIES.all(connection, OF_AGENT, params, read)
}

fn read(cells: &Cells<'_>) -> Result<Entry, StoreError> {
    Ok(Entry {
        id: cells.parse("id")?,
        version: cells.number("version")?,
        terms: EntryTerms {
            subject: cells.parse("subject")?,
            selectors: cells.list("selectors")?,
            obtained_by: cells.list("obtained_by")?,
            owner: cells.parse("owner")?,
            groups: cells.list("groups")?,
            life: Seconds::new(cells.number("life_s")?),
            hint: cells.get("hint")?,
            federates_with: cells.list("federates_with")?,
        },
    })
}

const ENTRIES: Table = Table {
    name: "entries",
    key: "id",
};
const PUT: &str = "INSERT INTO entries \
    (id, version, subject, selectors, obtained_by, owner, groups, life_s, hint, federates_with) \
    VALUES (:id, :version, :subject, :selectors, :obtained_by, :owner, :groups, :life_s, :hint, \
    :federates_with) \
    ON CONFLICT (subject) DO UPDATE SET version = :version, selectors = :selectors, \
    obtained_by = :obtained_by, owner = :owner, groups = :groups, life_s = :life_s, \
    hint = :hint, federates_with = :federates_with";
const NAME: &str = "INSERT OR IGNORE INTO entry_agents (agent, subject) VALUES (?, ?)";
const UNNAME: &str = "DELETE FROM entry_agents WHERE subject = ?";
const UNNAME_BY_ID: &str =
    "DELETE FROM entry_agents WHERE subject = (SELECT subject FROM entries WHERE id = ?)";
const OF_AGENT: &str = "SELECT entries.* FROM entry_agents CROSS JOIN entries USING (subject) \
    WHERE agent = ? AND ? < subject ORDER BY subject LIMIT ?";
const DELETE: &str = "DELETE FROM entries WHERE id = ?";
const VERSION: &str = "SELECT id, version FROM entries WHERE id = ?";
const BY_ID: &str = "SELECT * FROM entries WHERE id = ?";
const BY_SUBJECT: &str = "SELECT * FROM entries WHERE subject = ?";
const LIST: &str = "SELECT * FROM entries WHERE TRUE";

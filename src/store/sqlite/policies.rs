//! Activated policy bundles.
//!
//! Promises: versions rise from 1 without gaps, the highest decides; old ones stay, so that a
//! verdict can be derived again from the bundle that made it.
//! Refuses: to judge a bundle; the policy room did that.

use rusqlite::{Connection, params};

use crate::id::{PolicyVersion, hex};
use crate::policy::PolicyFact;
use crate::store::sqlite::cells::{Cells, Table, integer};
use crate::store::sqlite::ledger::Turn;
use crate::store::{ActivatePolicy, ActivePolicy, StoreError};

/// See [`crate::store::Store::activate_policy`].
pub(super) fn activate(
    turn: &mut Turn<'_>,
    policy: ActivatePolicy,
) -> Result<PolicyVersion, StoreError> {
    turn.guarded().change();
    let connection = turn.connection();
    let before = version(connection)?.map_or(0, PolicyVersion::value);
    let version = PolicyVersion::new(before.saturating_add(1));
    let version = version.ok_or(StoreError::NotFound("policy version"))?;
    let event = turn.append(policy.event.and("version", version.value()))?;
    connection.prepare_cached(INSERT)?.execute(params![
        integer(version.value()),
        policy.digest,
        policy.content,
        policy.author,
        integer(event.number().value()),
        event.event().at().unix_ms(),
    ])?;
    Ok(version)
}

/// See [`crate::store::Store::active_policy`].
pub(super) fn active(connection: &Connection) -> Result<Option<ActivePolicy>, StoreError> {
    let read = |cells: &Cells<'_>| {
        Ok(ActivePolicy {
            version: read_version(cells)?,
            content: cells.get("content")?,
            author: cells.get("author")?,
            activated_at: cells.at("activated_at")?,
        })
    };
    POLICIES.one(connection, ACTIVE, [], read)
}

/// The version that decides.
pub(super) fn version(connection: &Connection) -> Result<Option<PolicyVersion>, StoreError> {
    POLICIES.one(connection, FACT, [], read_version)
}

/// What a verdict rests on.
pub(super) fn fact(connection: &Connection) -> Result<Option<PolicyFact>, StoreError> {
    let read = |cells: &Cells<'_>| {
        let digest: [u8; 32] = cells.get("digest")?;
        let digest = hex::text(&digest).parse();
        Ok(PolicyFact {
            version: read_version(cells)?,
            digest: digest.map_err(|_| cells.damaged("digest"))?,
        })
    };
    POLICIES.one(connection, FACT, [], read)
}

fn read_version(cells: &Cells<'_>) -> Result<PolicyVersion, StoreError> {
    PolicyVersion::new(cells.number("version")?).ok_or_else(|| cells.damaged("version"))
}

const POLICIES: Table = Table {
    name: "policies",
    key: "version",
};
const INSERT: &str = "INSERT INTO policies \
    (version, digest, content, author, activated, activated_at) VALUES (?, ?, ?, ?, ?, ?)";
const ACTIVE: &str = "SELECT * FROM policies ORDER BY version DESC LIMIT 1";
const FACT: &str = "SELECT version, digest FROM policies ORDER BY version DESC LIMIT 1";

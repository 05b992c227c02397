//! The schema: which file is a store, and of which version.
//!
//! Promises: migrations are numbered, embedded, forward only, each in one transaction, so an
//! interrupted one has not happened (assurance D12).
//! Refuses: files of other programs and stores of a newer protem, before anything is written.

use rusqlite::Connection;

use crate::store::StoreError;

/// Makes a new, empty file a store of today's schema.
pub(super) fn found(connection: &mut Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    migrate(connection)
}

/// The version of a file that is a store which this program can read.
pub(super) fn check(connection: &Connection, path: &str) -> Result<usize, StoreError> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if number("application_id")? != APPLICATION_ID {
        let wrong = "it is not a store of protem; name another file or restore a backup";
        return Err(StoreError::Place {
            path: path.to_owned(),
            wrong,
        });
    }
    let found = number("user_version")?;
    match usize::try_from(found) {
        Ok(version) if (1..=MIGRATIONS.len()).contains(&version) => Ok(version),
        _ => Err(StoreError::Schema {
            found,
            known: i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX),
            next: "start the protem that wrote it, or a newer one",
        }),
    }
}

/// Brings a store to today's schema.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let done: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (migration, version) in MIGRATIONS.iter().zip(1_i64..) {
        if done < version {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

/// The schema's steps; the first makes version 1.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_ground.sql"),
    include_str!("migrations/0002_fewer_indexes.sql"),
    include_str!("migrations/0003_agents.sql"),
    include_str!("migrations/0004_uses.sql"),
];
/// `PRTM` in ASCII: what the header of every store says.
const APPLICATION_ID: i64 = 0x5052_544d;

//! Backup while serving, restore while not.
//!
//! Promises: a backup holds the store at one moment, is read whole before it gets its name, and
//! is durable when the verb answers; a restored file is checked in the same way.
//! Refuses: targets that exist, and backups that are no store, damaged, or of a newer protem.

use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::store::StoreError;
use crate::store::sqlite::fault::cannot;
use crate::store::sqlite::place::{self, Lock};
use crate::store::sqlite::schema;

/// Writes a copy of a store to a new file, whether a server uses the store or none does.
///
/// # Errors
/// When `to` exists, or `store` is no whole store that this program can read.
pub fn backup(store: &Path, to: &Path) -> Result<(), StoreError> {
    place::is_free(to)?;
    let from = place::reading(store)?;
    schema::check(&from, &store.display().to_string())?;
    place::appear(to, |draft| copy(&from, draft))
}

/// Makes a store from a backup, offline.
///
/// # Errors
/// When `to` exists or is in use, or `backup` is no whole store that this program can read.
pub fn restore(backup: &Path, to: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let from = Connection::open_with_flags(backup, flags)?;
    schema::check(&from, &backup.display().to_string())?;
    let _lock = Lock::take(to)?;
    place::is_free(to)?;
    place::appear(to, |draft| copy(&from, draft))
}

fn copy(from: &Connection, draft: &Path) -> Result<(), StoreError> {
    let mut to = Connection::open(draft)?;
    // All pages in one step: one moment, whatever is written meanwhile. Readers of a
    // write-ahead log hold up no writer.
    match Backup::new(from, &mut to)?.step(EVERY_PAGE)? {
        StepResult::Done => {}
        _ => return Err(cannot("copy its pages")("the file is busy")),
    }
    // One file, without a log beside it.
    to.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    schema::check(&to, &draft.display().to_string())?;
    place::read_whole(&to)
}

const EVERY_PAGE: i32 = -1;

//! A look at a store from outside, by a person who does not want to disturb it.
//!
//! Promises: nothing is written, not even the files that SQLite keeps beside a store: one that
//! nobody serves is opened as immutable, one that is served with the server's own files.
//! Refuses: a store with the log of a server that crashed: only a start may play it back.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};

use crate::store::StoreError;
use crate::store::sqlite::fault::cannot;
use crate::store::sqlite::place::{self, LOOK_OVER_STEPS_MAX};
use crate::store::sqlite::{ledger, schema};
use crate::time::Timestamp;

/// What a look from outside found; the file is not damaged as far as it reached.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// Whether a server holds the store now.
    pub served: bool,
    /// The version of its schema.
    pub schema: usize,
    /// Whether it is written with a write-ahead log, as every server of protem leaves it.
    pub wal: bool,
    /// The number and time of the newest event.
    pub newest: Option<(u64, Timestamp)>,
}

/// Looks at a store.
///
/// # Errors
/// What is wrong with it, as a start would say.
pub fn checkup(path: &Path) -> Result<Checkup, StoreError> {
    let served = is_served(path);
    let mut connection = if served {
        place::reading(path)?
    } else {
        if place::beside(path, "-wal")
            .metadata()
            .is_ok_and(|log| 0 < log.len())
        {
            return Err(StoreError::Place {
                path: path.display().to_string(),
                wrong: "a server that crashed left its log; start the server, which plays it back",
            });
        }
        let mut uri = String::from("file:");
        uri.extend(path.display().to_string().chars().map(|c| match c {
            '?' | '#' | '%' => format!("%{:02x}", u32::from(c)),
            _ => c.to_string(),
        }));
        uri.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        Connection::open_with_flags(uri, flags)?
    };
    let schema = schema::check(&connection, &path.display().to_string())?;
    place::look_over(&mut connection, LOOK_OVER_STEPS_MAX)?;
    let head = ledger::head(&connection)?;
    Ok(Checkup {
        served,
        schema,
        wal: has_log(path).map_err(cannot("read its head"))?,
        newest: head.map(|head| (head.number.value(), head.at)),
    })
}

/// By the file's head, whose byte 18 is 2 then: an immutable connection does not tell it.
fn has_log(path: &Path) -> io::Result<bool> {
    let mut head = [0; 19];
    File::open(path)?.read_exact(&mut head)?;
    Ok(head.last() == Some(&2))
}

/// Whether somebody holds the lock beside the file.
fn is_served(path: &Path) -> bool {
    let Ok(file) = File::open(place::beside(path, ".lock")) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::Sqlite;

    fn names(folder: &Path) -> Vec<String> {
        let files = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_look_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a?b.db");
        let store = Sqlite::open(&path).unwrap();
        let found = checkup(&path).unwrap();
        assert!(found.served && found.newest.is_none());
        drop(store);
        let before = names(folder.path());
        let found = checkup(&path).unwrap();
        assert!(!found.served && found.wal);
        assert_eq!(names(folder.path()), before);
        std::fs::write(folder.path().join("a?b.db-wal"), "x").unwrap();
        assert!(checkup(&path).unwrap_err().to_string().contains("crashed"));
    }
}

//! Where the store lies: its folder, its file and the lock that one server holds.
//!
//! Promises: files are 0600, a folder made here is 0700; a new store appears whole under its name
//! or not at all, so an empty file is damage and never a fresh ledger (assurance D6).
//! Refuses: a second server on one file, network file systems (their locks lie, D7), folders in
//! which others may swap the file, files that can only be read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, FsWord, flock, fstatfs};

use crate::failpoint::{Point, reach};
use crate::store::StoreError;
use crate::store::sqlite::fault::{cannot, damaged_file};
use crate::store::sqlite::schema;

/// The right to be the one server of a file; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    held: File,
}

impl Lock {
    /// Makes the folder where it is missing, and takes the lock beside the file.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let folder = folder(path);
        let make = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        make.map_err(cannot("make its folder"))?;
        let mode = fs::metadata(folder).map_err(cannot("read its folder"))?;
        if mode.permissions().mode() & OTHERS_WRITE != 0 {
            return Err(wrong(
                folder,
                "others may write to the folder; run `chmod 700` on it",
            ));
        }
        let file = beside(path, ".lock");
        let held = private().create(true).truncate(false).open(&file);
        let held = held.map_err(cannot("open its lock file"))?;
        let system = fstatfs(&held).map_err(cannot("read its file system"))?;
        check_local(system.f_type, path)?;
        match flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { held }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse(shown(path))),
            Err(fault) => Err(cannot("lock its file")(fault)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not by closing alone: a program that is being started from this process holds a copy of
        // every open file for a moment, and with it the lock. Where it fails, closing does it.
        let _ = flock(&self.held, FlockOperation::Unlock);
    }
}

/// Refuses file systems that other machines write to as well.
fn check_local(kind: FsWord, path: &Path) -> Result<(), StoreError> {
    if NETWORK.contains(&kind) {
        return Err(wrong(
            path,
            "it lies on a network file system; use a local disk",
        ));
    }
    Ok(())
}

/// Makes a new store; the caller holds the lock.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    // An old log would be played back into the new file.
    if beside(path, "-wal").exists() || beside(path, "-journal").exists() {
        return Err(wrong(
            path,
            "it is gone, but its log lies there; bring it back or restore a backup elsewhere",
        ));
    }
    appear(path, |draft| {
        let mut connection = Connection::open_with_flags(draft, WRITE)?;
        schema::found(&mut connection)
    })
}

/// Lets `fill` write a file, and gives it its name only when it is whole and durable.
pub(super) fn appear(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let draft = beside(path, ".new");
    // What an interrupted try left; an old journal would be played back into the new file.
    for end in ["", "-journal", "-wal", "-shm"] {
        match fs::remove_file(beside(&draft, end)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
                return Err(cannot("remove an old draft")(fault));
            }
            Ok(()) | Err(_) => {}
        }
    }
    private()
        .create_new(true)
        .open(&draft)
        .map_err(cannot("make a file"))?;
    let named = fill(&draft)
        .and_then(|()| Ok(reach(Point::Drafted)?))
        .and_then(|()| name(&draft, path).map_err(cannot("make a file")));
    if named.is_err() {
        // The next try removes what is left; the fault itself is what counts.
        let _ = fs::remove_file(&draft);
    }
    named
}

/// A connection that writes: durable before it answers, and checked to be so.
pub(super) fn writing(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, WRITE)?;
    let name = shown(path);
    // First of all: nothing is written to a file that is not ours.
    schema::check(&connection, &name)?;
    if connection.is_readonly("main")? {
        return Err(wrong(
            path,
            "it can only be read; give it back to this user",
        ));
    }
    settle(&connection)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", JOURNAL_BYTES_MAX)?;
    check_durable(&connection, path)?;
    Ok(connection)
}

/// Refuses a connection that would answer before the disk has: what was set is read back.
fn check_durable(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let synchronous: i64 = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if mode != "wal" || synchronous < SYNCHRONOUS_FULL {
        return Err(wrong(
            path,
            "it cannot be written durably here; use a local disk",
        ));
    }
    Ok(())
}

/// A connection that only reads.
pub(super) fn reading(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    settle(&connection)?;
    Ok(connection)
}

/// Looks for damage, as far as a bounded number of steps reaches: small stores are read whole,
/// large ones must not wait for it.
pub(super) fn look_over(connection: &mut Connection, steps: i32) -> Result<(), StoreError> {
    connection.progress_handler(steps, Some(|| true))?;
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    connection.progress_handler(0, None::<fn() -> bool>)?;
    match found {
        Ok(word) if word == "ok" => Ok(()),
        Ok(words) => Err(damaged_file(words)),
        Err(fault)
            if fault.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) =>
        {
            Ok(())
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Reads every page and index of a file that is not being served.
pub(super) fn read_whole(connection: &Connection) -> Result<(), StoreError> {
    let words: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if words == "ok" {
        Ok(())
    } else {
        Err(damaged_file(words))
    }
}

/// Refuses a path under which something lies already.
pub(super) fn is_free(path: &Path) -> Result<(), StoreError> {
    let mut parts = ["", "-wal", "-journal"]
        .into_iter()
        .map(|end| beside(path, end));
    match parts.find(|part| part.symlink_metadata().is_ok()) {
        Some(part) => Err(wrong(
            &part,
            "it exists already: move the store's file away together with those beside it",
        )),
        None => Ok(()),
    }
}

/// The file's mode, also where an older umask made it looser.
pub(super) fn close_to_others(path: &Path) -> Result<(), StoreError> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(cannot("close its file to others"))
}

fn settle(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    // A file from a stranger must not run anything: no functions in its schema, no hidden writes.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

fn name(draft: &Path, path: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    // Not `rename`: it would replace a file that came in between.
    fs::hard_link(draft, path)?;
    fs::remove_file(draft)?;
    File::open(folder(path))?.sync_all()
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut whole = path.as_os_str().to_owned();
    whole.push(end);
    whole.into()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn wrong(path: &Path, wrong: &'static str) -> StoreError {
    StoreError::Place {
        path: shown(path),
        wrong,
    }
}

const WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
/// The kernel's numbers of NFS, SMB 1 to 3, CIFS, Ceph, AFS (both) and 9P (`statfs(2)`).
const NETWORK: [FsWord; 8] = [
    0x6969,
    0x517b,
    0xfe53_4d42,
    0xff53_4d42,
    0x00c3_6400,
    0x5346_414f,
    0x6b41_4653,
    0x0102_1997,
];
/// The mode bits by which group and others write.
const OTHERS_WRITE: u32 = 0o022;
/// `FULL`, as the pragma tells it; below it a power cut loses what was answered (assurance E11).
const SYNCHRONOUS_FULL: i64 = 2;
/// How long a connection waits for a lock that only a stranger's tool can hold.
const BUSY: std::time::Duration = std::time::Duration::from_secs(2);
/// Prepared statements that one connection keeps.
const STATEMENTS_KEPT: usize = 96;
/// Pages (4 KiB) of the write-ahead log after which they go into the file: rarely enough for a
/// commit, often enough for a start.
const CHECKPOINT_PAGES: i64 = 4_000;
/// What the write-ahead log is cut back to, in bytes.
const JOURNAL_BYTES_MAX: i64 = 64 << 20;
/// How far the look for damage at a start reaches, in steps of the database's machine.
pub(super) const LOOK_OVER_STEPS_MAX: i32 = 20_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writing_connection_waits_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        create(&path).unwrap();
        let connection = writing(&path).unwrap();
        let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        assert_eq!(number("synchronous"), Ok(SYNCHRONOUS_FULL));
        assert_eq!(number("foreign_keys"), Ok(1));
        assert_eq!(number("trusted_schema"), Ok(0));
    }

    #[test]
    fn a_network_file_system_is_refused() {
        let path = Path::new("store.db");
        assert_eq!(NETWORK[0], rustix::fs::NFS_SUPER_MAGIC);
        for kind in NETWORK {
            assert!(check_local(kind, path).is_err(), "{kind:#x}");
        }
        let folder = tempfile::tempdir().unwrap();
        let here = fstatfs(File::open(folder.path()).unwrap()).unwrap();
        assert!(check_local(here.f_type, path).is_ok());
    }

    #[test]
    fn a_connection_that_does_not_wait_for_the_disk_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        create(&path).unwrap();
        let connection = writing(&path).unwrap();
        for (pragma, below, set) in [
            ("synchronous", "NORMAL", "FULL"),
            ("synchronous", "OFF", "FULL"),
            ("journal_mode", "DELETE", "WAL"),
        ] {
            let change = |to| {
                let any = |_: &rusqlite::Row<'_>| Ok(());
                connection
                    .pragma_update_and_check(None, pragma, to, any)
                    .ok();
            };
            change(below);
            assert!(
                check_durable(&connection, &path).is_err(),
                "{pragma} {below}"
            );
            change(set);
            assert!(check_durable(&connection, &path).is_ok(), "{pragma} {set}");
        }
    }

    #[test]
    fn a_start_does_not_wait_for_the_whole_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        create(&path).unwrap();
        let mut connection = writing(&path).unwrap();
        assert!(look_over(&mut connection, 1).is_ok());
        assert!(look_over(&mut connection, LOOK_OVER_STEPS_MAX).is_ok());
        assert!(read_whole(&connection).is_ok());
    }
}

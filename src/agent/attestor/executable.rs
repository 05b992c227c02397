//! The file that a process runs: whether it lies under its name here, and its digest.
//!
//! A process's path is told in its own view; in a container, or in a mount namespace, which every
//! user can make for himself, `/usr/bin/payments` is whatever he put there. So a path is believed
//! only where it leads this agent to the very file that runs.
//!
//! Promises: the digest is of the inode that runs, not of what lies under its name by now. A file
//! is read once, up to a bound, by few at once; what is remembered is bounded, and of no use once
//! the file changes.
//! Refuses: digests of bytes that a user's own program may serve (FUSE, or an overlay upon it): it
//! may show this agent others than those that run.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use nix::sys::statfs::{FUSE_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, fstatfs};
use tokio::sync::watch;

use crate::agent::attestor::AttestError;
use crate::agent::attestor::proc_folder::Folder;
use crate::agent::attestor::turns::{Turn, Turns};
use crate::time::Timestamp;

/// One content of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Inode {
    device: u64,
    number: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// What was seen of the file that runs, without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    inode: Inode,
    here: bool,
    served_by: ServedBy,
}

/// Who gives the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServedBy {
    /// The kernel, from a disk or from memory.
    Kernel,
    /// The kernel, from layers that may lie on anything.
    Overlay,
    /// A program.
    Program,
}

/// How reading a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It changed meanwhile, or the process runs another file by now.
    Changed,
    /// Its SHA-256.
    Digest([u8; 32]),
    /// It is larger than any that is read.
    TooLarge,
    /// It could not be read.
    Unreadable,
}

/// Digests of files, each read once.
#[derive(Debug)]
pub(super) struct Digests {
    looks: Turns,
    readings: Turns,
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    bytes_max: u64,
    /// The lock is never held across an await nor a reading.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    known: HashMap<Inode, Known>,
    /// Rises with each use of what is known.
    uses: u64,
    under_way: HashMap<Inode, watch::Receiver<Option<Reading>>>,
    /// How often a file was read.
    read: u64,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    digest: [u8; 32],
    used: u64,
}

impl Digests {
    /// Reads files of at most `bytes_max`.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            looks: Turns::new(LOOKS_AT_ONCE_MAX, LOOKS_OF_UID_MAX),
            readings: Turns::new(READINGS_AT_ONCE_MAX, READINGS_OF_UID_MAX),
            desk: Arc::new(Desk {
                bytes_max,
                table: Mutex::default(),
            }),
        }
    }

    /// Looks at the file that runs; none where it may not be looked at.
    pub(super) async fn look(
        &self,
        folder: &Arc<Folder>,
        path: &[u8],
        uid: u32,
    ) -> Result<Option<Seen>, AttestError> {
        let turn = self.looks.take(uid).await.ok_or(AttestError::Late)?;
        let (folder, path) = (Arc::clone(folder), path.to_owned());
        let look = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look(&folder, &path).ok()
        });
        look.await.map_err(|_| AttestError::Late)
    }

    /// The digest of the file that was seen.
    pub(super) async fn digest(
        &self,
        folder: &Arc<Folder>,
        seen: Seen,
        uid: u32,
        now: Timestamp,
    ) -> Result<Reading, AttestError> {
        let inode = seen.inode;
        if inode.bytes > self.desk.bytes_max {
            return Ok(Reading::TooLarge);
        }
        if let Some(digest) = self.desk.table().recall(inode) {
            return Ok(Reading::Digest(digest));
        }
        // A turn of one's own first: nobody waits for one who waits for a turn.
        let turn = self.readings.take(uid).await.ok_or(AttestError::Late)?;
        let mut reading = match self.desk.begin(inode) {
            Begun::Known(digest) => return Ok(Reading::Digest(digest)),
            Begun::ByAnother(reading) => {
                drop(turn);
                reading
            }
            Begun::Here(done) => {
                let reading = done.subscribe();
                let (desk, folder) = (Arc::clone(&self.desk), Arc::clone(folder));
                let lead = Lead {
                    desk,
                    inode,
                    done,
                    _turn: turn,
                };
                drop(tokio::task::spawn_blocking(move || {
                    lead.read(&folder, now);
                }));
                reading
            }
        };
        let read = reading.wait_for(Option::is_some).await;
        let read = read.map_err(|_| AttestError::Late)?;
        Ok(read.unwrap_or(Reading::Unreadable))
    }

    #[cfg(test)]
    pub(super) fn files_read(&self) -> u64 {
        self.desk.table().read
    }
}

/// One reading under way; at its end all who wait hear of it.
struct Lead {
    desk: Arc<Desk>,
    inode: Inode,
    done: watch::Sender<Option<Reading>>,
    _turn: Turn,
}

enum Begun {
    ByAnother(watch::Receiver<Option<Reading>>),
    Here(watch::Sender<Option<Reading>>),
    Known([u8; 32]),
}

impl Lead {
    fn read(self, folder: &Folder, now: Timestamp) {
        let reading = read(folder, self.inode, self.desk.bytes_max);
        let reading = reading.unwrap_or(Reading::Unreadable);
        if let Reading::Digest(digest) = reading
            && self.inode.rests(now)
        {
            self.desk.table().remember(self.inode, digest);
        }
        self.done.send_replace(Some(reading));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.desk.table().under_way.remove(&self.inode);
    }
}

impl Desk {
    fn table(&self) -> MutexGuard<'_, Table> {
        // A poisoned lock still holds whole rows: each is put in by one call.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, inode: Inode) -> Begun {
        let mut table = self.table();
        if let Some(digest) = table.recall(inode) {
            return Begun::Known(digest);
        }
        if let Some(reading) = table.under_way.get(&inode) {
            return Begun::ByAnother(reading.clone());
        }
        let (done, reading) = watch::channel(None);
        table.under_way.insert(inode, reading);
        table.read = table.read.saturating_add(1);
        Begun::Here(done)
    }
}

impl Table {
    fn recall(&mut self, inode: Inode) -> Option<[u8; 32]> {
        self.uses = self.uses.saturating_add(1);
        let known = self.known.get_mut(&inode)?;
        known.used = self.uses;
        Some(known.digest)
    }

    fn remember(&mut self, inode: Inode, digest: [u8; 32]) {
        if self.known.len() >= KNOWN_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(inode, _)| *inode) {
                self.known.remove(&oldest);
            }
        }
        let used = self.uses;
        self.known.insert(inode, Known { digest, used });
    }
}

impl Seen {
    /// Whether the process's name for the file leads there from here too.
    pub(super) const fn is_here(self) -> bool {
        self.here
    }

    /// Whether what is read of it is what runs. Whose overlay it is shows by its place: one that
    /// is seen here was mounted by root, and one around a container by its runtime.
    pub(super) const fn reads_as_it_runs(self, in_container: bool) -> bool {
        match self.served_by {
            ServedBy::Kernel => true,
            ServedBy::Overlay => self.here || in_container,
            ServedBy::Program => false,
        }
    }
}

impl Inode {
    fn of(stat: &Metadata) -> Self {
        Self {
            device: stat.dev(),
            number: stat.ino(),
            bytes: stat.size(),
            modified: (stat.mtime(), stat.mtime_nsec()),
            changed: (stat.ctime(), stat.ctime_nsec()),
        }
    }

    /// Whether a change from now on would show: within one tick of the file system's clock, two
    /// contents bear the same times.
    const fn rests(self, now: Timestamp) -> bool {
        self.changed.0.saturating_add(RESTS_AFTER_S) < now.unix_s()
    }
}

fn look(folder: &Folder, path: &[u8]) -> io::Result<Seen> {
    let file = folder.point_at_executable()?;
    let inode = Inode::of(&file.metadata()?);
    let kind = fstatfs(&file)?.filesystem_type();
    let here = std::fs::metadata(OsStr::from_bytes(path));
    Ok(Seen {
        inode,
        here: here.is_ok_and(|stat| Inode::of(&stat) == inode),
        served_by: match kind {
            FUSE_SUPER_MAGIC => ServedBy::Program,
            OVERLAYFS_SUPER_MAGIC => ServedBy::Overlay,
            _ => ServedBy::Kernel,
        },
    })
}

fn read(folder: &Folder, inode: Inode, bytes_max: u64) -> io::Result<Reading> {
    let mut file = folder.open_executable()?;
    if Inode::of(&file.metadata()?) != inode {
        return Ok(Reading::Changed);
    }
    let mut digest = Context::new(&SHA256);
    let mut piece = vec![0; PIECE_BYTES];
    let mut left = bytes_max;
    loop {
        let count = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
            Err(fault) => return Err(fault),
        };
        let Some(rest) = u64::try_from(count).ok().and_then(|n| left.checked_sub(n)) else {
            return Ok(Reading::TooLarge);
        };
        left = rest;
        digest.update(piece.get(..count).unwrap_or_default());
    }
    if Inode::of(&file.metadata()?) != inode {
        return Ok(Reading::Changed);
    }
    let digest = digest.finish();
    let whole = <[u8; 32]>::try_from(digest.as_ref());
    Ok(whole.map_or(Reading::Unreadable, Reading::Digest))
}

/// Files looked at at once: a look may hang in a file system that somebody serves.
const LOOKS_AT_ONCE_MAX: usize = 16;
const LOOKS_OF_UID_MAX: usize = 2;
const READINGS_AT_ONCE_MAX: usize = 4;
const READINGS_OF_UID_MAX: usize = 1;
/// Digests that are remembered, the least used forgotten first.
const KNOWN_MAX: usize = 1_024;
/// Twice the coarsest clock of a file system in use.
const RESTS_AFTER_S: i64 = 2;
const PIECE_BYTES: usize = 256 * 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(number: u64) -> Inode {
        Inode {
            device: 1,
            number,
            bytes: 10,
            modified: (100, 0),
            changed: (100, 0),
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_used_stays() {
        let mut table = Table::default();
        table.remember(inode(0), [0; 32]);
        for number in 1..5_000 {
            assert_eq!(table.recall(inode(0)), Some([0; 32]));
            table.remember(inode(number), [1; 32]);
        }
        assert_eq!(table.known.len(), KNOWN_MAX);
        assert_eq!(table.recall(inode(1)), None);
        assert_eq!(table.recall(inode(4_999)), Some([1; 32]));
    }

    #[test]
    fn a_file_that_changed_just_now_is_not_remembered() {
        let at = |unix_s| Timestamp::from_unix_s(unix_s).unwrap();
        assert!(!inode(1).rests(at(90)));
        assert!(!inode(1).rests(at(102)));
        assert!(inode(1).rests(at(103)));
    }

    #[test]
    fn bytes_that_a_program_serves_are_not_believed() {
        let seen = |served_by, here| Seen {
            inode: inode(1),
            here,
            served_by,
        };
        for here in [false, true] {
            for in_container in [false, true] {
                let reads = |by| seen(by, here).reads_as_it_runs(in_container);
                assert!(reads(ServedBy::Kernel));
                assert!(!reads(ServedBy::Program));
                assert_eq!(reads(ServedBy::Overlay), here || in_container);
            }
        }
    }
}

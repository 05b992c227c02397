//! A disk that forgets: what was not synced is gone when its power is cut.
//!
//! Promises: a file's bytes and length are durable from its `fsync` on, a name in a folder from
//! the folder's `fsync` on, and nothing is durable before. After a cut a part of what was not
//! synced may be there all the same, torn sector by sector, as on real disks; names are kept or
//! lost in the order in which they were made.
//! Refuses: to be kinder than POSIX: syncing a file makes its name no more durable.

mod door;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use fuser::{BackgroundSession, Errno};

use crate::crash::house::Dice;
use crate::faults::lossy::door::Door;

/// The disk; it stays while it is mounted again and again.
#[derive(Clone)]
pub(crate) struct LossyDisk(Arc<Mutex<Platter>>);

/// The disk under a folder's name; unmounted when dropped.
pub(crate) struct Mounted {
    at: PathBuf,
    session: Option<BackgroundSession>,
}

/// How a cut treats what was not synced.
#[derive(Clone, Copy)]
pub(crate) enum Cut<'a> {
    /// All of it is gone.
    Clean,
    /// Some of it is there, as the dice fall.
    Torn(&'a Dice),
}

/// What a cut took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lost {
    /// Sectors that went back to what they were.
    pub(crate) sectors: u64,
    /// Sectors that were not synced and are there all the same.
    pub(crate) kept: u64,
    /// Names that were made, moved or removed, and are not.
    pub(crate) names: u64,
}

/// Everything there is, as running programs see it, with the way back.
struct Platter {
    nodes: HashMap<u64, Node>,
    /// Changes of names that no folder's sync has made durable, oldest first.
    journal: Vec<Renaming>,
    next: u64,
    /// The power is off: every call fails.
    off: bool,
    /// What every change fails with, while nothing else does.
    closed: Option<Errno>,
}

struct Node {
    mode: u16,
    body: Body,
}

enum Body {
    File(Contents),
    Folder {
        names: BTreeMap<OsString, u64>,
        durable: BTreeMap<OsString, u64>,
    },
}

/// A file's bytes, and what the sectors held that were written since its last sync.
#[derive(Default)]
struct Contents {
    bytes: Vec<u8>,
    durable_length: usize,
    before: BTreeMap<usize, Vec<u8>>,
}

/// One change of names in one folder: all of it happens or none.
struct Renaming {
    folder: u64,
    names: Vec<(OsString, Option<u64>)>,
}

impl LossyDisk {
    pub(crate) fn new() -> Self {
        let nodes = HashMap::from([(ROOT, Node::folder(0o700))]);
        Self(Arc::new(Mutex::new(Platter {
            nodes,
            journal: Vec::new(),
            next: ROOT + 1,
            off: false,
            closed: None,
        })))
    }

    /// Shows the disk under a folder, as a start of the machine does.
    #[track_caller]
    pub(crate) fn mount(&self, at: &Path) -> Mounted {
        assert!(
            Path::new("/dev/fuse").exists(),
            "there is no /dev/fuse here, and without it no power cut can be tried: load the \
             kernel module `fuse`, or give the container `--device /dev/fuse`"
        );
        let mut config = fuser::Config::default();
        config.n_threads = Some(2);
        let session = fuser::spawn_mount(Door(self.clone()), at, &config);
        let session = session.expect("mounting with FUSE needs root or fusermount3");
        Mounted {
            at: at.to_owned(),
            session: Some(session),
        }
    }

    /// Cuts the power: from now on every call fails, and nothing becomes durable.
    pub(crate) fn power_off(&self) {
        self.platter().off = true;
    }

    /// From now on every change fails with this, or none does any more.
    pub(crate) fn close(&self, with: Option<Errno>) {
        self.platter().closed = with;
    }

    /// What the disk holds when the power is back.
    pub(crate) fn power_on(&self, cut: Cut<'_>) -> Lost {
        let mut platter = self.platter();
        platter.off = false;
        platter.lose(cut)
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a program that is being started elsewhere in this process may hold a copy of an
        // open file for a moment.
        let words: &[&str] = if rustix::process::geteuid().is_root() {
            &["umount", "-l"]
        } else {
            &["fusermount3", "-u", "-z"]
        };
        let unmounted = Command::new(words[0])
            .args(&words[1..])
            .arg(&self.at)
            .status();
        if let (Ok(status), Some(session)) = (unmounted, self.session.take())
            && status.success()
        {
            let _ = session.join();
        }
    }
}

impl Platter {
    fn node(&mut self, number: u64) -> Result<&mut Node, Errno> {
        if self.off {
            return Err(Errno::EIO);
        }
        self.nodes.get_mut(&number).ok_or(Errno::ENOENT)
    }

    /// Fails while the disk takes no change.
    fn open(&self) -> Result<(), Errno> {
        self.closed.map_or(Ok(()), Err)
    }

    fn file(&mut self, number: u64) -> Result<&mut Contents, Errno> {
        match &mut self.node(number)?.body {
            Body::File(contents) => Ok(contents),
            Body::Folder { .. } => Err(Errno::EISDIR),
        }
    }

    fn names(&mut self, folder: u64) -> Result<&mut BTreeMap<OsString, u64>, Errno> {
        match &mut self.node(folder)?.body {
            Body::Folder { names, .. } => Ok(names),
            Body::File(_) => Err(Errno::ENOTDIR),
        }
    }

    fn find(&mut self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        self.names(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn make(&mut self, folder: u64, name: &OsStr, node: Node) -> Result<u64, Errno> {
        self.open()?;
        if self.names(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        self.change(folder, vec![(name.to_owned(), Some(number))])?;
        Ok(number)
    }

    fn change(&mut self, folder: u64, names: Vec<(OsString, Option<u64>)>) -> Result<(), Errno> {
        self.open()?;
        apply(self.names(folder)?, &names);
        self.journal.push(Renaming { folder, names });
        Ok(())
    }

    fn sync_file(&mut self, number: u64) -> Result<(), Errno> {
        let contents = self.file(number)?;
        contents.before.clear();
        contents.durable_length = contents.bytes.len();
        Ok(())
    }

    fn sync_folder(&mut self, number: u64) -> Result<(), Errno> {
        match &mut self.node(number)?.body {
            Body::Folder { names, durable } => durable.clone_from(names),
            Body::File(_) => return Err(Errno::ENOTDIR),
        }
        self.journal.retain(|renaming| renaming.folder != number);
        Ok(())
    }

    fn lose(&mut self, cut: Cut<'_>) -> Lost {
        let mut lost = Lost::default();
        let journal = std::mem::take(&mut self.journal);
        let kept = match cut {
            Cut::Clean => 0,
            Cut::Torn(dice) => dice.below(journal.len() as u64 + 1) as usize,
        };
        lost.names = (journal.len() - kept) as u64;
        for renaming in &journal[..kept] {
            if let Some(Body::Folder { durable, .. }) = self
                .nodes
                .get_mut(&renaming.folder)
                .map(|node| &mut node.body)
            {
                apply(durable, &renaming.names);
            }
        }
        for node in self.nodes.values_mut() {
            match &mut node.body {
                Body::File(contents) => contents.lose(cut, &mut lost),
                Body::Folder { names, durable } => names.clone_from(durable),
            }
        }
        lost
    }
}

impl Node {
    fn folder(mode: u16) -> Self {
        let body = Body::Folder {
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
        };
        Self { mode, body }
    }

    fn file(mode: u16) -> Self {
        let body = Body::File(Contents::default());
        Self { mode, body }
    }
}

impl Contents {
    fn read(&self, from: usize, count: usize) -> &[u8] {
        let from = from.min(self.bytes.len());
        let end = (from + count).min(self.bytes.len());
        &self.bytes[from..end]
    }

    fn write(&mut self, from: usize, bytes: &[u8]) {
        let end = from + bytes.len();
        self.remember(from.min(self.bytes.len()), end);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[from..end].copy_from_slice(bytes);
    }

    fn cut_to(&mut self, length: usize) {
        self.remember(length.min(self.bytes.len()), length.max(self.bytes.len()));
        self.bytes.resize(length, 0);
    }

    /// Keeps what the sectors of a range hold, once between two syncs.
    fn remember(&mut self, from: usize, end: usize) {
        for sector in from / SECTOR..end.div_ceil(SECTOR) {
            let at = sector * SECTOR;
            if !self.before.contains_key(&sector) {
                let held = self.read(at, SECTOR).to_vec();
                self.before.insert(sector, held);
            }
        }
    }

    fn lose(&mut self, cut: Cut<'_>, lost: &mut Lost) {
        let written = self.bytes.len();
        let longest = written.max(self.durable_length);
        self.bytes.resize(longest, 0);
        for (sector, mut held) in std::mem::take(&mut self.before) {
            let at = sector * SECTOR;
            let end = (at + SECTOR).min(longest);
            if matches!(cut, Cut::Torn(dice) if dice.below(2) == 0) {
                lost.kept += 1;
            } else if at < end {
                held.resize(end - at, 0);
                self.bytes[at..end].copy_from_slice(&held);
                lost.sectors += 1;
            }
        }
        let keep = matches!(cut, Cut::Torn(dice) if dice.below(2) == 0);
        self.bytes
            .truncate(if keep { written } else { self.durable_length });
        self.durable_length = self.bytes.len();
    }
}

fn apply(names: &mut BTreeMap<OsString, u64>, changed: &[(OsString, Option<u64>)]) {
    for (name, number) in changed {
        match number {
            Some(number) => names.insert(name.clone(), *number),
            None => names.remove(name),
        };
    }
}

const ROOT: u64 = 1;
/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

//! Where an agent keeps itself: its own SVID with its key, the newest roots, and how often it was
//! started.
//!
//! Promises: certificate and key are replaced together, by the rename of one link, so that no crash
//! leaves one without the other; what was written is durable before it is used; only the owner may
//! read, and he is the user of this process. One agent at a time holds the place. Nothing is
//! removed but what was made here, wherever a link points.
//! Refuses: keys of workloads.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::agent::holdings::Generation;
use crate::client::{BUNDLE_PEM, SVID_KEY, SVID_PEM};

/// The folder of one agent, held by this process.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    /// Open for its lock and to make renames durable.
    folder: File,
    starts: u64,
}

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The system refuses.
    #[error("cannot use `{}`", path.display())]
    File {
        /// What.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is somebody else's, who may put there what he likes.
    #[error("`{}` belongs to user {uid}, not to the agent: chown it", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// Another agent is at it.
    #[error("another agent runs on `{}`: give each its own `state`", path.display())]
    Held {
        /// The folder.
        path: PathBuf,
    },
    /// Others may read or write there.
    #[error("others may enter `{}`, where a key lies: chmod go-rwx it", path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
    },
}

impl Home {
    /// Takes the folder, making it where it is not there, and counts this start.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn open(path: &Path) -> Result<Self, HomeError> {
        let wrong = failed(path);
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(path)
            .map_err(&wrong)?;
        let folder = File::open(path).map_err(&wrong)?;
        let own_uid = rustix::process::geteuid().as_raw();
        is_own(path, &folder.metadata().map_err(&wrong)?, own_uid)?;
        match folder.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.to_owned();
                return Err(HomeError::Held { path });
            }
            Err(TryLockError::Error(error)) => return Err(wrong(error)),
        }
        let mut place = Self {
            path: path.to_owned(),
            folder,
            starts: 0,
        };
        place.count_start()?;
        Ok(place)
    }

    /// The folder of the SVID, where there is one; always the newest.
    pub(crate) fn svid(&self) -> PathBuf {
        self.path.join(CURRENT)
    }

    /// The file of the newest roots that the server told.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.path.join(BUNDLE_PEM)
    }

    /// The first generation of this start: above every one of earlier starts.
    pub(crate) const fn first_generation(&self) -> Generation {
        Generation(self.starts << GENERATIONS_PER_START_BITS)
    }

    /// Puts an SVID in the place of the one before.
    ///
    /// # Errors
    /// Why not; then the one before is still there.
    pub(crate) fn put_svid(&self, chain: &str, key: &str) -> Result<(), HomeError> {
        let target = fs::read_link(self.svid()).ok();
        let is_target = |name: &&str| target.as_deref() == Some(Path::new(name));
        // A link that points elsewhere was not made here: it is replaced, its target left alone.
        let linked = NAMES.into_iter().find(|name| is_target(name));
        let free = NAMES.into_iter().find(|name| !is_target(name));
        let name = free.unwrap_or(CURRENT);
        let folder = self.path.join(name);
        let wrong = failed(&folder);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(wrong(error)),
            Ok(()) | Err(_) => {}
        }
        DirBuilder::new()
            .mode(FOLDER_MODE)
            .create(&folder)
            .map_err(&wrong)?;
        put(&folder.join(SVID_KEY), key.as_bytes())?;
        put(&folder.join(SVID_PEM), chain.as_bytes())?;
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(&wrong)?;
        let aside = self.path.join(format!(".{CURRENT}.new"));
        remove(&aside)?;
        symlink(name, &aside)
            .and_then(|()| fs::rename(&aside, self.svid()))
            .and_then(|()| self.folder.sync_all())
            .map_err(failed(&self.svid()))?;
        // Its certificate has a successor; its key is worth nothing and is not left behind.
        if let Some(old) = linked {
            let old = self.path.join(old);
            fs::remove_dir_all(&old).map_err(failed(&old))?;
        }
        Ok(())
    }

    /// Tries whether an SVID could be put there now.
    ///
    /// # Errors
    /// Why not; nothing is left behind.
    pub(crate) fn try_room(&self) -> Result<(), HomeError> {
        let path = self.path.join(ROOM);
        remove(&path)?;
        let tried = put(&path, &vec![0; ROOM_BYTES]);
        remove(&path)?;
        tried
    }

    /// Replaces the roots, where they differ.
    ///
    /// # Errors
    /// Why not; then those before are still there.
    pub(crate) fn put_bundle(&self, pem: &str) -> Result<(), HomeError> {
        let path = self.bundle();
        if fs::read(&path).is_ok_and(|before| before == pem.as_bytes()) {
            return Ok(());
        }
        self.replace(&path, pem.as_bytes())
    }

    fn count_start(&mut self) -> Result<(), HomeError> {
        let path = self.path.join(STARTS);
        let before = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0_u64,
            Err(error) => return Err(failed(&path)(error)),
        };
        self.starts = before.saturating_add(1).min(STARTS_MAX);
        self.replace(&path, format!("{}\n", self.starts).as_bytes())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> Result<(), HomeError> {
        let aside = path.with_extension("new");
        remove(&aside)?;
        put(&aside, content)?;
        fs::rename(&aside, path)
            .and_then(|()| self.folder.sync_all())
            .map_err(failed(path))
    }
}

/// Whether everybody on this machine may read a file that only its owner should.
pub(crate) fn is_read_by_all(path: &Path) -> bool {
    // Not the bits of the group: those may be the mask of an access list for the owner alone.
    fs::metadata(path).is_ok_and(|file| file.mode() & READ_BY_ALL != 0)
}

fn is_own(path: &Path, folder: &Metadata, own_uid: u32) -> Result<(), HomeError> {
    let (path, uid) = (path.to_owned(), folder.uid());
    if uid != own_uid {
        Err(HomeError::Foreign { path, uid })
    } else if folder.mode() & OTHERS != 0 {
        Err(HomeError::Shared { path })
    } else {
        Ok(())
    }
}

fn put(path: &Path, content: &[u8]) -> Result<(), HomeError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .map_err(failed(path))
}

fn remove(path: &Path) -> Result<(), HomeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> HomeError {
    |source| HomeError::File {
        path: path.to_owned(),
        source,
    }
}

const CURRENT: &str = "current";
/// Two folders take turns; the link says which one holds.
const NAMES: [&str; 2] = ["svid.a", "svid.b"];
const STARTS: &str = "starts";
const ROOM: &str = ".room";
/// More than a chain and a key take, with what a file system needs for their folder.
const ROOM_BYTES: usize = 32 * 1_024;
/// Room for 2^40 generations of each start, and for this many starts.
const GENERATIONS_PER_START_BITS: u32 = 40;
const STARTS_MAX: u64 = (1 << 24) - 1;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;
const READ_BY_ALL: u32 = 0o004;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_svid_replaces_the_one_before_and_leaves_no_key_behind() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let place = Home::open(&path).unwrap();
        for (chain, key) in [("c1", "k1"), ("c2", "k2"), ("c3", "k3")] {
            place.put_svid(chain, key).unwrap();
            let read = |name| fs::read_to_string(place.svid().join(name)).unwrap();
            assert_eq!(
                (read("svid.pem"), read("svid.key")),
                (chain.into(), key.into())
            );
            let folders = fs::read_dir(&path).unwrap();
            let names = folders.map(|one| one.unwrap().file_name().into_string().unwrap());
            let left: Vec<_> = names.filter(|name| name.starts_with("svid.")).collect();
            assert_eq!(left.len(), 1, "{left:?}");
        }
        let key = fs::metadata(place.svid().join("svid.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn whether_there_is_room_leaves_nothing_behind() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let place = Home::open(&path).unwrap();
        let names = || fs::read_dir(&path).unwrap().count();
        let before = names();
        place.try_room().unwrap();
        fs::write(path.join(ROOM), "of a crash").unwrap();
        place.try_room().unwrap();
        assert_eq!(names(), before);
        fs::create_dir(path.join(ROOM)).unwrap();
        assert!(place.try_room().is_err());
    }

    #[test]
    fn what_a_crash_left_half_written_is_written_anew() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let place = Home::open(&path).unwrap();
        place.put_svid("c1", "k1").unwrap();
        fs::create_dir(path.join("svid.b")).unwrap();
        fs::write(path.join("svid.b/svid.key"), "half").unwrap();
        fs::write(path.join(".current.new"), "half").unwrap();
        place.put_svid("c2", "k2").unwrap();
        assert_eq!(
            fs::read_to_string(place.svid().join("svid.key")).unwrap(),
            "k2"
        );
    }

    #[test]
    fn what_a_link_points_at_elsewhere_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let elsewhere = parent.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("kept"), "kept").unwrap();
        let path = parent.path().join("state");
        let place = Home::open(&path).unwrap();
        for target in [elsewhere.as_path(), Path::new("../elsewhere")] {
            remove(&place.svid()).unwrap();
            symlink(target, place.svid()).unwrap();
            place.put_svid("c", "k").unwrap();
            assert!(elsewhere.join("kept").exists());
            let key = fs::read_to_string(place.svid().join("svid.key"));
            assert_eq!(key.unwrap(), "k");
        }
    }

    #[test]
    fn a_folder_of_somebody_else_is_no_home() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        Home::open(&path).unwrap();
        let folder = fs::metadata(&path).unwrap();
        let other = folder.uid().wrapping_add(1);
        let refused = is_own(&path, &folder, other);
        assert!(matches!(refused, Err(HomeError::Foreign { .. })));
    }

    #[test]
    fn a_file_that_everybody_reads_is_seen() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("token");
        assert!(!is_read_by_all(&path));
        fs::write(&path, "token").unwrap();
        for (mode, all) in [(0o600, false), (0o440, false), (0o644, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_read_by_all(&path), all, "{mode:o}");
        }
    }

    #[test]
    fn generations_rise_over_starts_and_two_agents_never_share() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let first = Home::open(&path).unwrap();
        assert!(matches!(Home::open(&path), Err(HomeError::Held { .. })));
        let before = first.first_generation();
        drop(first);
        let second = Home::open(&path).unwrap();
        assert!(before < second.first_generation());
        drop(second);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Home::open(&path), Err(HomeError::Shared { .. })));
    }
}

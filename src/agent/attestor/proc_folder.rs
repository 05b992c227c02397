//! The folder of one process in `/proc`: the only place where callers are looked at.
//!
//! A folder that is open means one process for ever: after its end every reading fails, also when
//! another process has its number by then (`proc(5)`, `struct pid`). Whether it is the right one is
//! decided by the pidfd: that process still being there after the folder was opened.
//!
//! Promises: a [`Glance`] is of one live process, read whole, with a bound on every file.
//! Refuses: zombies, threads for processes, and a `/proc` of another pid namespace.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC};
use rustix::io::Errno;

use crate::agent::attestor::AttestError;
use crate::agent::attestor::cgroup::belonging;

/// `/proc`, checked to be of this process's pid namespace.
#[derive(Debug)]
pub(super) struct Proc {
    root: OwnedFd,
}

/// One process's folder.
#[derive(Debug)]
pub(super) struct Folder {
    folder: OwnedFd,
}

/// What a process is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glance {
    /// When it began, in clock ticks since boot.
    pub(super) began: u64,
    /// Effective.
    pub(super) uid: u32,
    /// Effective.
    pub(super) gid: u32,
    /// Supplementary, each once, the least first.
    pub(super) groups: Vec<u32>,
    /// `/proc/PID/cgroup`.
    pub(super) cgroup: String,
    /// Where the file that runs lies, in the process's own view; none where this process may not
    /// know.
    pub(super) executable: Option<Vec<u8>>,
}

impl Proc {
    /// Opens and checks it.
    ///
    /// # Errors
    /// When it is not there, or is not this pid namespace's.
    pub(super) fn open() -> io::Result<Self> {
        let root = rustix::fs::open("/proc", FOLDER, Mode::empty())?;
        let wrong = |what| Err(io::Error::other(what));
        if rustix::fs::fstatfs(&root)?.f_type != PROC_SUPER_MAGIC {
            return wrong("`/proc` is no procfs; mount it");
        }
        let own = rustix::fs::readlinkat(&root, "self", Vec::new())?;
        if own.to_bytes() != std::process::id().to_string().as_bytes() {
            return wrong("`/proc` is of another pid namespace; mount this one's");
        }
        Ok(Self { root })
    }

    /// The user and group that stand for all those who have no number in this user namespace; none
    /// where everybody has his own.
    pub(super) fn strangers(&self) -> io::Result<Option<(u32, u32)>> {
        let read = |name| text_of(self.root.as_fd(), name, SMALL_BYTES_MAX);
        let whole = |map: &str| map.split_whitespace().eq(["0", "0", EVERYBODY]);
        if whole(&read("self/uid_map")?) && whole(&read("self/gid_map")?) {
            return Ok(None);
        }
        let number = |text: String| text.trim().parse().map_err(io::Error::other);
        let uid = number(read("sys/kernel/overflowuid")?)?;
        Ok(Some((uid, number(read("sys/kernel/overflowgid")?)?)))
    }

    /// The folder of the process that `pidfd` means and whose number is `pid`.
    pub(super) fn folder(&self, pid: u32, pidfd: BorrowedFd<'_>) -> Result<Folder, AttestError> {
        let folder = rustix::fs::openat(&self.root, pid.to_string(), FOLDER, Mode::empty());
        // While that process is there, its number is nobody else's: so the folder is its own.
        if has_ended(pidfd) {
            return Err(AttestError::Gone);
        }
        match folder {
            Ok(folder) => Ok(Folder { folder }),
            // It is there, and hidden (`hidepid`).
            Err(Errno::NOENT) => Err(unreadable("folder")(Errno::ACCESS)),
            Err(fault) => Err(unreadable("folder")(fault)),
        }
    }
}

impl Folder {
    /// When the process began, in clock ticks since boot.
    pub(super) fn began(&self) -> Result<u64, AttestError> {
        let stat = self.text("stat", SMALL_BYTES_MAX)?;
        began(&stat)
    }

    /// Whether it is in a container, as its control groups say.
    pub(super) fn is_in_container(&self) -> Result<bool, AttestError> {
        let text = self.text("cgroup", CGROUP_BYTES_MAX)?;
        Ok(belonging(&text).container.is_some())
    }

    /// Everything that the kernel itself knows; asks no file system of others.
    pub(super) fn glance(&self) -> Result<Glance, AttestError> {
        let status = self.text("status", STATUS_BYTES_MAX)?;
        let damaged = || unreadable("status")(Errno::INVAL);
        let effective = |field| numbers(&status, field).and_then(|all| all.get(1).copied());
        let mut groups = numbers(&status, "Groups:").ok_or_else(damaged)?;
        groups.sort_unstable();
        groups.dedup();
        Ok(Glance {
            uid: effective("Uid:").ok_or_else(damaged)?,
            gid: effective("Gid:").ok_or_else(damaged)?,
            groups,
            cgroup: self.text("cgroup", CGROUP_BYTES_MAX)?,
            executable: self.executable()?,
            began: self.began()?,
        })
    }

    /// The file that runs, whatever lies under its name by now, to read it.
    pub(super) fn open_executable(&self) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        self.executable_by(flags)
    }

    /// The same, only to look at it: nothing is asked of whoever serves it.
    pub(super) fn point_at_executable(&self) -> io::Result<File> {
        self.executable_by(OFlags::PATH | OFlags::CLOEXEC)
    }

    fn executable_by(&self, flags: OFlags) -> io::Result<File> {
        let file = rustix::fs::openat(&self.folder, EXECUTABLE, flags, Mode::empty())?;
        Ok(file.into())
    }

    fn executable(&self) -> Result<Option<Vec<u8>>, AttestError> {
        match rustix::fs::readlinkat(&self.folder, EXECUTABLE, Vec::new()) {
            Ok(path) => Ok(Some(path.into_bytes())),
            // Another user's, and this process is not root: no right is made of it. Or of one that
            // is ending, or has none (a kernel thread): the rest tells.
            Err(Errno::ACCESS | Errno::PERM | Errno::NOENT) => Ok(None),
            Err(fault) => Err(unreadable(EXECUTABLE)(fault)),
        }
    }

    fn text(&self, name: &'static str, bytes_max: u64) -> Result<String, AttestError> {
        text_of(self.folder.as_fd(), name, bytes_max).map_err(|fault| {
            match Errno::from_io_error(&fault) {
                Some(errno) => unreadable(name)(errno),
                None => AttestError::NotReadable { what: name, fault },
            }
        })
    }
}

/// Whether the process of a pidfd has ended, as the kernel sees it now.
pub(super) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut asked = [PollFd::new(pidfd, PollFlags::POLLIN)];
    loop {
        match nix::poll::poll(&mut asked, PollTimeout::ZERO) {
            Ok(ready) => return ready != 0,
            Err(nix::errno::Errno::EINTR) => {}
            // Nobody knows: then it is not believed to be there.
            Err(_) => return true,
        }
    }
}

/// The start of a process in its `stat`; a process that is ending has none.
fn began(stat: &str) -> Result<u64, AttestError> {
    let damaged = || unreadable("stat")(Errno::INVAL);
    // The name in parentheses is the process's own choice; what comes after its last one is not.
    let (_, fields) = stat.rsplit_once(')').ok_or_else(damaged)?;
    let mut fields = fields.split_whitespace();
    match fields.next().ok_or_else(damaged)? {
        "Z" | "X" | "x" => return Err(AttestError::Gone),
        _ => {}
    }
    let began = fields.nth(FIELDS_TO_BEGAN).ok_or_else(damaged)?;
    began.parse().map_err(|_| damaged())
}

fn numbers(status: &str, field: &str) -> Option<Vec<u32>> {
    // The first line holds the process's name, which the kernel escapes to one line.
    let mut lines = status.split('\n');
    let line = lines.find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace()
        .map(|number| number.parse().ok())
        .collect()
}

fn text_of(folder: BorrowedFd<'_>, name: &str, bytes_max: u64) -> io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    let mut bytes = Vec::new();
    let read = File::from(file).take(bytes_max).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read < bytes_max) {
        // Names of groups may be any bytes; what is no text becomes what no selector can hold.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    } else {
        Err(io::Error::other("it is longer than any that is honest"))
    }
}

fn unreadable(what: &'static str) -> impl Fn(Errno) -> AttestError {
    move |fault| match fault {
        Errno::SRCH | Errno::NOENT => AttestError::Gone,
        Errno::MFILE | Errno::NFILE => AttestError::Files(fault.into()),
        _ => AttestError::NotReadable {
            what,
            fault: fault.into(),
        },
    }
}

const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const EXECUTABLE: &str = "exe";
/// Field 22 of `stat`, counted from the field after the state, which is field 3.
const FIELDS_TO_BEGAN: usize = 18;
/// The size of a map of all users: all 32-bit numbers but the one that means none.
const EVERYBODY: &str = "4294967295";
const SMALL_BYTES_MAX: u64 = 16 * 1_024;
/// 65,536 groups of 11 bytes, the most that a process can have.
const STATUS_BYTES_MAX: u64 = 1_024 * 1_024;
/// Paths of at most 4,096 bytes in at most some thirteen hierarchies.
const CGROUP_BYTES_MAX: u64 = 64 * 1_024;

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn a_name_of_a_process_is_no_field() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21";
        for name in ["(cat)", "(a) Z 1 2)", "(\n)", "()))"] {
            assert_eq!(began(&format!("12 {name} S {rest}\n")).unwrap(), 777);
        }
    }

    #[test]
    fn who_is_ending_has_not_begun() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 777 20 21";
        let ending = began(&format!("12 (cat) Z {rest}"));
        assert!(matches!(ending, Err(AttestError::Gone)));
        for damaged in ["", "12 (cat", "12 (cat) S 1 2 3", "12 (cat) S"] {
            let error = began(damaged).unwrap_err();
            assert!(matches!(error, AttestError::NotReadable { .. }), "{error}");
        }
    }

    #[test]
    fn fields_of_a_status_are_found_at_the_beginning_of_a_line() {
        let status = "Name:\tUid: 7\nUid:\t1\t2\t3\t4\nGroups:\t5 4 \n";
        assert_eq!(numbers(status, "Uid:"), Some(vec![1, 2, 3, 4]));
        assert_eq!(numbers(status, "Groups:"), Some(vec![5, 4]));
        assert_eq!(numbers(status, "Gid:"), None);
        assert_eq!(numbers("Uid:\tx\n", "Uid:"), None);
    }

    #[test]
    fn one_reads_oneself() {
        let proc = Proc::open().unwrap();
        let own = rustix::process::getpid();
        let flags = rustix::process::PidfdFlags::empty();
        let pidfd = rustix::process::pidfd_open(own, flags).unwrap();
        let folder = proc.folder(std::process::id(), pidfd.as_fd()).unwrap();
        let glance = folder.glance().unwrap();
        assert_eq!(glance.uid, rustix::process::geteuid().as_raw());
        assert_eq!(glance.began, folder.began().unwrap());
        let exe = std::env::current_exe().unwrap().into_os_string().into_vec();
        assert_eq!(glance.executable, Some(exe));
    }
}

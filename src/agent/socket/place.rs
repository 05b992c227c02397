//! The place of one socket: its path, its lock, and how it is made, watched and removed.
//!
//! Promises: nobody connects before owner and mode are set. What is replaced is a socket of our own
//! on which nobody listens, under a lock that one agent holds: no moment lets two agents in. What
//! is removed at the end is our own socket and no other.
//! Refuses: files, links and other people's sockets in its place.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket,
};
use nix::unistd::Group;
use rustix::fs::{FlockOperation, OFlags, flock};
use tokio::net::UnixListener;

use crate::agent::socket::{PATH_BYTES_MAX, SocketError, folder};

/// Where a socket lies and who may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Absolute; its folder is made when it is missing.
    pub(crate) path: PathBuf,
    /// Who may connect, such as 0666.
    pub(crate) mode: u32,
    /// The group that the mode speaks of; none: the agent's own.
    pub(crate) group: Option<String>,
}

/// The right to be the one agent at a place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    held: File,
}

/// A socket that was made here.
#[derive(Debug)]
pub(super) struct Bound {
    /// Where callers come in.
    pub(super) listener: UnixListener,
    path: PathBuf,
    inode: (u64, u64),
}

/// What lies at the place of a socket that was made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Missing,
    Other,
    Own,
}

impl Place {
    /// The usual: everybody may connect.
    pub(crate) fn open_to_all(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            mode: SOCKET_MODE,
            group: None,
        }
    }

    /// Makes folder, lock and socket, in this order. To be called where a runtime is.
    pub(super) fn make(&self) -> Result<(Lock, Bound), SocketError> {
        let folder = self.checked()?;
        folder::make(folder)?;
        folder::check(folder)?;
        let lock = Lock::take(&self.path)?;
        let bound = self.bind()?;
        Ok((lock, bound))
    }

    /// Makes the socket anew; the lock is kept, or taken again where its file is gone.
    pub(super) fn make_again(&self, lock: &mut Lock) -> Result<Bound, SocketError> {
        let folder = self.checked()?;
        folder::make(folder)?;
        folder::check(folder)?;
        lock.renew(&self.path)?;
        self.bind()
    }

    /// The folder of a path that can be a socket's.
    fn checked(&self) -> Result<&Path, SocketError> {
        let bad = || SocketError::BadPath(self.path.clone());
        let folder = self.path.parent().ok_or_else(bad)?;
        if !self.path.is_absolute() || self.path.file_name().is_none() {
            return Err(bad());
        }
        if self.path.as_os_str().len() > PATH_BYTES_MAX {
            return Err(SocketError::PathTooLong(self.path.clone()));
        }
        if self.mode & !SOCKET_MODE != 0 || self.mode & OWNER_MODE != OWNER_MODE {
            return Err(SocketError::Mode(self.mode));
        }
        Ok(folder)
    }

    fn bind(&self) -> Result<Bound, SocketError> {
        let path = &self.path;
        self.clear()?;
        let group = self.group.as_ref().map(|name| gid_of(name)).transpose()?;
        let make = SocketError::failed("make the socket", path);
        let (descriptor, address) = unix_socket(path).map_err(&make)?;
        bind(descriptor.as_raw_fd(), &address).map_err(|fault| make(fault.into()))?;
        let ready = || {
            if let Some(gid) = group {
                std::os::unix::fs::lchown(path, None, Some(gid))?;
            }
            fs::set_permissions(path, Permissions::from_mode(self.mode))?;
            let inode = inode(&fs::symlink_metadata(path)?);
            listen(&descriptor, Backlog::new(LINE_MAX)?)?;
            Ok::<_, io::Error>(inode)
        };
        let inode = match ready() {
            Ok(inode) => inode,
            Err(fault) => {
                // The next start would find it stale and replace it.
                let _ = fs::remove_file(path);
                return Err(make(fault));
            }
        };
        let listener = UnixListener::from_std(net::UnixListener::from(descriptor));
        Ok(Bound {
            listener: listener.map_err(&make)?,
            path: path.clone(),
            inode,
        })
    }

    /// Removes a socket of ours on which nobody listens.
    fn clear(&self) -> Result<(), SocketError> {
        let path = &self.path;
        let seen = match fs::symlink_metadata(path) {
            Ok(seen) => seen,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(fault) => return Err(SocketError::failed("look at", path)(fault)),
        };
        let own = seen.uid() == rustix::process::geteuid().as_raw();
        if !seen.file_type().is_socket() || !own {
            return Err(SocketError::Occupied(path.clone()));
        }
        let ask = SocketError::failed("ask who listens on", path);
        let (asking, address) = unix_socket(path).map_err(&ask)?;
        match connect(asking.as_raw_fd(), &address) {
            Err(nix::errno::Errno::ECONNREFUSED) => {}
            // Or its line is full: somebody has it.
            Ok(()) | Err(nix::errno::Errno::EAGAIN) => {
                return Err(SocketError::InUse(path.clone()));
            }
            Err(fault) => return Err(ask(fault.into())),
        }
        fs::remove_file(path).map_err(SocketError::failed("remove the old", path))
    }
}

impl Lock {
    fn take(socket: &Path) -> Result<Self, SocketError> {
        let path = lock_path(socket);
        let failed = SocketError::failed("lock", &path);
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        options.mode(OWNER_MODE).custom_flags(flags);
        let held = options.open(&path).map_err(&failed)?;
        if !held.metadata().map_err(&failed)?.is_file() {
            return Err(SocketError::Occupied(path.clone()));
        }
        match flock(&held, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(SocketError::InUse(socket.to_owned()));
            }
            Err(fault) => return Err(failed(fault.into())),
        }
        let lock = Self {
            path: path.clone(),
            held,
        };
        if lock.is_in_place() {
            Ok(lock)
        } else {
            // Somebody removed the file before it was locked: whoever made it anew has it.
            Err(SocketError::InUse(socket.to_owned()))
        }
    }

    /// Takes the lock again where its file was removed.
    pub(super) fn renew(&mut self, socket: &Path) -> Result<(), SocketError> {
        if !self.is_in_place() {
            *self = Self::take(socket)?;
        }
        Ok(())
    }

    /// Whether the file that is locked is the one that others would lock.
    pub(super) fn is_in_place(&self) -> bool {
        let held = self.held.metadata().map(|seen| inode(&seen));
        let there = fs::symlink_metadata(&self.path).map(|seen| inode(&seen));
        matches!((held, there), (Ok(held), Ok(there)) if held == there)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not by closing alone: a program that is being started from this process holds a copy of
        // every open file for a moment, and with it the lock. Where it fails, closing does it.
        let _ = flock(&self.held, FlockOperation::Unlock);
    }
}

impl Bound {
    /// What lies there now.
    pub(super) fn look(&self) -> io::Result<Found> {
        match fs::symlink_metadata(&self.path) {
            Ok(seen) if inode(&seen) == self.inode => Ok(Found::Own),
            Ok(_) => Ok(Found::Other),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(Found::Missing),
            Err(fault) => Err(fault),
        }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if matches!(self.look(), Ok(Found::Own)) {
            // Left behind, it is stale, and the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn unix_socket(path: &Path) -> io::Result<(OwnedFd, UnixAddr)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let descriptor = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    Ok((descriptor, UnixAddr::new(path)?))
}

fn gid_of(name: &str) -> Result<u32, SocketError> {
    let unknown = || SocketError::UnknownGroup(name.to_owned());
    let group = Group::from_name(name).ok().flatten().ok_or_else(unknown)?;
    Ok(group.gid.as_raw())
}

fn lock_path(socket: &Path) -> PathBuf {
    let mut path = socket.as_os_str().to_owned();
    path.push(LOCK_END);
    path.into()
}

fn inode(seen: &fs::Metadata) -> (u64, u64) {
    (seen.dev(), seen.ino())
}

/// Everybody may connect; also the most that a mode can say.
const SOCKET_MODE: u32 = 0o666;
const OWNER_MODE: u32 = 0o600;
const LOCK_END: &str = ".lock";
/// Callers that wait to be accepted; more are refused by the kernel until some are.
const LINE_MAX: i32 = 1_024;

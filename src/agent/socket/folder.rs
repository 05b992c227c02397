//! The folder of a socket: who else could put a socket of his own there.
//!
//! Promises: the folder itself can be changed by root and the agent's user alone, and so can every
//! folder above it, but that in a sticky one (`/tmp`) others may have folders of their own beside.
//! Refuses: a folder that is a symbolic link.

use std::fs::{self, DirBuilder, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::agent::socket::SocketError;

/// Makes the folder where it is missing.
pub(super) fn make(folder: &Path) -> Result<(), SocketError> {
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        // The umask takes away what others need to reach the socket.
        Ok(()) => fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
            .map_err(SocketError::failed("open to others", folder)),
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(fault) => Err(SocketError::failed("make", folder)(fault)),
    }
}

/// Checks that nobody else can change what lies in it.
pub(super) fn check(folder: &Path) -> Result<(), SocketError> {
    let failed = SocketError::failed("look at", folder);
    let seen = fs::symlink_metadata(folder).map_err(&failed)?;
    if seen.is_symlink() {
        return Err(SocketError::FolderIsLink(folder.to_owned()));
    }
    if !seen.is_dir() {
        return Err(SocketError::NotAFolder(folder.to_owned()));
    }
    check_owner(folder, &seen)?;
    if seen.mode() & OTHERS_WRITE != 0 {
        return Err(SocketError::FolderIsOpen(folder.to_owned()));
    }
    // As written, for the folders that hold links, and as it truly lies.
    let truly = fs::canonicalize(folder).map_err(&failed)?;
    for above in folder.ancestors().chain(truly.ancestors()).skip(1) {
        check_above(above)?;
    }
    Ok(())
}

fn check_above(folder: &Path) -> Result<(), SocketError> {
    let seen = fs::metadata(folder).map_err(SocketError::failed("look at", folder))?;
    check_owner(folder, &seen)?;
    let mode = seen.mode();
    // In a sticky folder nobody renames or removes what is not his.
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        return Err(SocketError::FolderIsOpen(folder.to_owned()));
    }
    Ok(())
}

fn check_owner(folder: &Path, seen: &Metadata) -> Result<(), SocketError> {
    let owner = seen.uid();
    if owner == ROOT || owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(SocketError::FolderOfAnother {
        path: folder.to_owned(),
        owner,
    })
}

const FOLDER_MODE: u32 = 0o755;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;
const ROOT: u32 = 0;

//! The agent's Unix sockets: where they lie, who may take a seat, and each connection.
//!
//! ```text
//! Place --make--> Incoming (a stream, for tonic) --accept, meet, seat--> Local (one connection)
//! ```
//!
//! Promises: a socket lies in a folder that only root and the agent can change, or not at all; one
//! agent serves it. Somebody who removes or replaces it is noticed within a second, and it is made
//! anew where that is safe. Each connection knows its process (a `Peer`) and ends with it. Every
//! user has few connections, root always has some. Failing to accept is a pause, never an end.
//! Refuses: abstract sockets, which have neither owner nor mode; and who has connected but can't be
//! told for certain.
//!
//! Everybody may connect (mode 0666) unless the configuration says otherwise: a caller gets what
//! his selectors give him, and nothing where they give nothing. A mode is a second fence.

mod folder;
mod incoming;
mod local;
mod place;
mod seats;

use std::io;
use std::path::PathBuf;

pub(crate) use crate::agent::socket::incoming::{Incoming, SocketState};
pub(crate) use crate::agent::socket::place::Place;
pub(crate) use crate::agent::socket::seats::SeatLimits;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// The path is no absolute path with a folder and a name.
    #[error("`{}` is no absolute path of a socket, such as `/run/protem/agent.sock`", .0.display())]
    BadPath(PathBuf),
    /// The system refused.
    #[error("can't {act} `{}`", path.display())]
    Failed {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        fault: io::Error,
    },
    /// A folder belongs to somebody who could put his own socket in its place.
    #[error(
        "`{}` belongs to user {owner}; give it to root or to the agent's user, or choose another \
         path", path.display()
    )]
    FolderOfAnother {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// The folder is a symbolic link.
    #[error("the folder `{}` is a symbolic link; write the path that it leads to", .0.display())]
    FolderIsLink(PathBuf),
    /// Others may write to a folder.
    #[error(
        "others may write to `{}`; choose a folder of its own, or run `chmod go-w`", .0.display()
    )]
    FolderIsOpen(PathBuf),
    /// It is no folder.
    #[error("`{}` is no folder; choose another path", .0.display())]
    NotAFolder(PathBuf),
    /// A live socket.
    #[error("another process listens on `{}`; stop it first, or choose another path", .0.display())]
    InUse(PathBuf),
    /// The mode lets the agent or nobody in, or says more than who may connect.
    #[error("the mode {0:04o} is none for a socket; write 0666, 0660 or 0600")]
    Mode(u32),
    /// Something else lies in its place.
    #[error("`{}` is no socket of the agent's; move it away, or choose another path", .0.display())]
    Occupied(PathBuf),
    /// The path does not fit.
    #[error("`{}` is too long for a socket: at most {PATH_BYTES_MAX} bytes", .0.display())]
    PathTooLong(PathBuf),
    /// The group has no number.
    #[error("there is no group `{0}` on this host; add it, or choose another")]
    UnknownGroup(String),
}

impl SocketError {
    /// Says what was tried.
    fn failed(act: &'static str, path: &std::path::Path) -> impl Fn(io::Error) -> Self {
        move |fault| Self::Failed {
            act,
            path: path.to_owned(),
            fault,
        }
    }
}

/// `sun_path` of Linux, less its final NUL.
const PATH_BYTES_MAX: usize = 107;

#[cfg(test)]
mod tests;

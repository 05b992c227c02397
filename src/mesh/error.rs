//! Why nothing is printed: what is wrong, where, and what to do.
//!
//! Promises: each text ends with the remedy.
//! Refuses: to print half a configuration.

use crate::identity::SpiffeIdError;
use crate::scope::{Encoding, Scope, SvidNameError};
use crate::time::Seconds;

/// Why a configuration cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeshError {
    /// An address that is not a host and a port.
    #[error("`{0}` is no address: write HOST:PORT, such as `127.0.0.1:8080` or `db.data.svc:5432`")]
    Address(String),
    /// The catalogue and the command line say two things.
    #[error(
        "{key} is `{given}` on the command line and `{catalogue}` in scopes.toml: leave the option \
         out, or change the catalogue first; bounds that are computed from the wrong one leave a \
         hole or cause an outage"
    )]
    Contradiction {
        /// What is said twice.
        key: &'static str,
        /// By the command line.
        given: String,
        /// By the file.
        catalogue: String,
    },
    /// The mesh cannot match names that are written so.
    #[error("{mesh} cannot enforce the encoding `{encoding}`: {because}; take {remedy}")]
    Encoding {
        /// Which.
        mesh: &'static str,
        /// The scope's.
        encoding: Encoding,
        /// What the mesh reads.
        because: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A label that would select nothing, or break the text.
    #[error("`{0}` is no label: write KEY=VALUE, such as `app=orders-db`")]
    Label(String),
    /// A life that protem does not mint.
    #[error("an elevated SVID cannot live `{0}`: choose `5s` to `15m`, what scopes.toml says")]
    Life(Seconds),
    /// Something that this text needs is not said.
    #[error("{what} is not known: give {remedy}")]
    Missing {
        /// What.
        what: &'static str,
        /// Which option says it.
        remedy: &'static str,
    },
    /// A subject's elevated name cannot be written.
    #[error("`{subject}` cannot hold `{scope}`: {source}")]
    Name {
        /// Whose.
        subject: String,
        /// Which.
        scope: Scope,
        /// What is wrong.
        source: SvidNameError,
    },
    /// The SPIFFE ID does not tell the namespace and the service that a mesh's rule is for.
    #[error("`{id}` is not of the form `{form}`, from which {mesh} knows its place: {remedy}")]
    Place {
        /// Which.
        id: String,
        /// What is read.
        form: &'static str,
        /// Which mesh.
        mesh: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A path that would break the text which it stands in.
    #[error("`{0}` is no path: write an absolute path of printable characters without quotes")]
    Path(String),
    /// A socket that is longer than the kernel takes.
    #[error("the socket's path has {0} bytes, more than 107: choose a shorter one")]
    SocketTooLong(usize),
    /// The base rights name what is no base identity.
    #[error("a base right is for a base identity: {0}; write the subject without any scope")]
    Subject(#[from] SpiffeIdError),
    /// The file is not what a catalogue is.
    #[error("scopes.toml, {place}: {what}: `protem policy check DIR` tells what a catalogue needs")]
    Terms {
        /// Where.
        place: String,
        /// What is wrong.
        what: String,
    },
    /// The catalogue does not have the scope.
    #[error("scopes.toml has no scope `{scope}`: it has {known}")]
    UnknownScope {
        /// Which.
        scope: Scope,
        /// Some that it has.
        known: String,
    },
}

//! The REST door seen from outside: what the command line and other programs ask a server with.
//!
//! Promises: HTTPS with TLS 1.3 only; the server is believed under the given bundle and for the
//! host that was asked for, nothing else; every answer, wait and repetition is bounded; files of
//! identity and trust are read again for every call, so that a rotated SVID is used at once.
//! Refuses: to resume a session, to follow a redirect, to send a secret before the server is
//! proved, and to repeat a call that could act twice.

mod address;
mod agent_socket;
mod call;
mod error;
mod exchange;
mod fetched;
pub(crate) mod keep;
mod minted;
pub mod probe;
mod proof;
mod routes;
mod svid_folder;
mod tls;
mod verb;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

pub use crate::client::address::{AddressError, ServerAddress};
pub(crate) use crate::client::agent_socket::{AgentSocket, AgentSocketError, Updates};
pub use crate::client::error::ClientError;
pub(crate) use crate::client::fetched::{Fetched, FetchedSvid};
pub use crate::client::minted::{Minted, MintedError, Wanted, svid_name};
pub use crate::client::proof::{Proof, SecretFileError};
pub(crate) use crate::client::routes::routes;
pub use crate::client::svid_folder::{
    BUNDLE_PEM, HeldSvid, SVID_KEY, SVID_PEM, SvidFolderError, read_svid,
};
pub use crate::client::verb::read_roots;
use crate::id::entropy::Entropy;
use crate::time::Clock;

/// One server and how to call it.
pub struct Client {
    /// Where it listens.
    pub address: ServerAddress,
    /// The PEM file of roots that its certificate must stand under.
    pub bundle: PathBuf,
    /// What proves the caller.
    pub proof: Proof,
    /// For the validity of certificates.
    pub clock: Arc<dyn Clock>,
    /// For idempotency keys and for pauses that differ between callers.
    pub entropy: Arc<Entropy>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("address", &self.address)
            .field("bundle", &self.bundle)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

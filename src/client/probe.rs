//! Probes of TLS endpoints that are not protem's: what a holder can still do there when his
//! certificate has ended.
//!
//! Promises: a probe behaves as a holder would who wants to stay longer than he may, and tells what
//! it saw, with times against notAfter. The chain of the endpoint is verified under the given
//! roots; its name is not, because servers of a mesh have no DNS name.
//! Refuses: to send anything but `GET`, and to run without a bound.

mod ends;
mod expiry;
mod line;
mod readiness;
mod resumption;
mod tls;

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::ServerAddress;
use crate::client::svid_folder::{read_chain_file, read_key_file};
use crate::time::Timestamp;
use crate::x509::{Certificate, PrivateKey};

pub use crate::client::probe::ends::{EndsReport, Late, probe_ends};
pub use crate::client::probe::expiry::{ConnectionEnd, ExpiryReport, probe_expiry};
pub use crate::client::probe::readiness::{Readiness, probe_readiness};
pub use crate::client::probe::resumption::{Resumed, Session, SessionReport, probe_resumption};
pub use crate::client::svid_folder::SvidFolderError;

/// Whom to probe, and as whom.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it listens.
    pub address: ServerAddress,
    /// What its chain must stand under.
    pub roots: Vec<Certificate>,
    /// Chain, leaf first, and key of the holder; nobody when absent.
    pub holder: Option<(Vec<Certificate>, PrivateKey)>,
}

/// Why a probe came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody listens, or TLS says no.
    #[error("`{0}` cannot be reached")]
    Unreachable(String, #[source] io::Error),
    /// The handshake or an answer took too long.
    #[error("`{0}` does not answer")]
    Silent(String),
    /// Roots, chain or key do not make a TLS client.
    #[error("these roots, certificate and key make no TLS client")]
    Tls(#[source] rustls::Error),
    /// The holder's certificate is missing or has ended already.
    #[error("this probe needs a certificate that has not ended: give a short-lived one")]
    NoLife,
}

/// Reads chain and key of a holder.
///
/// # Errors
/// The file that cannot be read.
pub fn read_holder(
    chain: &std::path::Path,
    key: &std::path::Path,
) -> Result<(Vec<Certificate>, PrivateKey), SvidFolderError> {
    Ok((read_chain_file(chain)?, read_key_file(key)?))
}

impl Endpoint {
    /// The last second of the holder's leaf.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        let (chain, _) = self.holder.as_ref()?;
        chain.first().map(|leaf| leaf.tbs().not_after)
    }

    async fn connect(&self) -> Result<TcpStream, ProbeError> {
        let connecting = TcpStream::connect((self.address.host(), self.address.port()));
        let stream = timeout(ANSWER_LONGEST, connecting).await;
        let stream = stream.map_err(|_| ProbeError::Silent(self.address.to_string()))?;
        stream.map_err(|error| self.unreachable(error))
    }

    fn unreachable(&self, error: io::Error) -> ProbeError {
        ProbeError::Unreachable(self.address.to_string(), error)
    }
}

/// TCP, TLS, one answer: each of them.
const ANSWER_LONGEST: Duration = Duration::from_secs(5);

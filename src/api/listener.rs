//! The listener: connections within limits, and no longer than their certificate.
//!
//! Promises: a connection is closed at its peer's notAfter, whatever it is doing, and no session is
//! resumed ([`tls`]), so an expired certificate opens nothing and keeps nothing open (assurance M1
//! to M3). Every wait, size and count has a limit ([`limits`]). The end is graceful and has an end.
//! Refuses: connections beyond the limits (closed right after accept), peers that present a
//! certificate which does not verify, and early data.

mod connection;
mod gate;
pub mod limits;
mod stall;
pub mod tls;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::listener::connection::{Connection, Protocol};
use crate::api::listener::gate::{Gate, Pass};
use crate::api::listener::limits::{ACCEPT_RETRY, Limits};
use crate::api::listener::tls::ALPN_HTTP_2;
use crate::attestation::PeerNames;
use crate::time::{Clock, Timestamp};

/// Who is at the other end of a connection; an extension of every request on it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// The peer's network address.
    pub address: SocketAddr,
    /// What its verified certificate says; none for a peer without one.
    pub certificate: Option<Arc<PeerNames>>,
}

/// Reads what a verified certificate says, from the leaf's DER; none when it cannot be read.
pub type ReadPeer = fn(&[u8]) -> Option<PeerNames>;

/// What stands between TCP and HTTP.
#[derive(Clone)]
pub enum Transport {
    /// Nothing; for health and metrics on the machine itself.
    Plain,
    /// TLS as [`tls::server_config`] makes it.
    Tls(Arc<rustls::ServerConfig>, ReadPeer),
}

/// A door: what is served, and how.
#[derive(Clone)]
pub struct Door {
    /// What stands between TCP and HTTP.
    pub transport: Transport,
    /// What is served.
    pub router: Router,
    /// What a connection may take.
    pub limits: Limits,
    /// Tells when certificates end.
    pub clock: Arc<dyn Clock>,
    /// Where connections live.
    pub tracker: TaskTracker,
    /// Ends the door: no further connection, and those that are open drain.
    pub stop: CancellationToken,
}

impl Door {
    /// Serves every connection that comes to `socket` until the door is stopped. Connections that
    /// are open then end on the tracker, at the latest after the limit to drain.
    pub async fn serve(self, socket: TcpListener) {
        let gate = Arc::new(Gate::new(&self.limits));
        let door = Arc::new(self);
        loop {
            let accepted = tokio::select! {
                accepted = socket.accept() => accepted,
                () = door.stop.cancelled() => return,
            };
            let (stream, address) = match accepted {
                Ok(connection) => connection,
                Err(error) => {
                    tracing::warn!(%error, "no connection could be accepted");
                    sleep(ACCEPT_RETRY).await;
                    continue;
                }
            };
            let Some(pass) = gate.enter(address.ip()) else {
                tracing::warn!(%address, "connection refused: too many are open");
                continue;
            };
            let of_door = Arc::clone(&door);
            door.tracker.spawn(async move {
                of_door.receive(stream, address, pass).await;
            });
        }
    }

    async fn receive(&self, stream: TcpStream, address: SocketAddr, _pass: Pass) {
        // Without it an answer of two writes waits for the peer's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "connection lost before it was served");
            return;
        }
        let (config, read) = match &self.transport {
            Transport::Plain => {
                let peer = Peer {
                    address,
                    certificate: None,
                };
                return self.drive(stream, Protocol::Http1, peer).await;
            }
            Transport::Tls(config, read) => (Arc::clone(config), *read),
        };
        let handshake = timeout(
            self.limits.handshake,
            TlsAcceptor::from(config).accept(stream),
        );
        let stream = tokio::select! {
            result = handshake => match result {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::info!(%address, %error, "handshake failed");
                    return;
                }
                Err(_) => {
                    tracing::info!(%address, "handshake took too long");
                    return;
                }
            },
            () = self.stop.cancelled() => return,
        };
        let (_, session) = stream.get_ref();
        let protocol = if session.alpn_protocol() == Some(ALPN_HTTP_2) {
            Protocol::Http2
        } else {
            Protocol::Http1
        };
        let certificate = match session.peer_certificates().and_then(<[_]>::first) {
            None => None,
            Some(leaf) => match read(leaf.as_ref()) {
                Some(names) => Some(Arc::new(names)),
                None => {
                    tracing::warn!(%address, "peer certificate verified but cannot be read");
                    return;
                }
            },
        };
        let peer = Peer {
            address,
            certificate,
        };
        self.drive(stream, protocol, peer).await;
    }

    async fn drive<S>(&self, stream: S, protocol: Protocol, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Connection {
            router: self.router.clone(),
            limits: self.limits,
            clock: Arc::clone(&self.clock),
            tracker: self.tracker.clone(),
            stop: self.stop.clone(),
            peer,
        };
        connection.serve(stream, protocol).await;
    }
}

impl Peer {
    /// The last moment of the peer's certificate; none without one.
    pub fn not_after(&self) -> Option<Timestamp> {
        Some(self.certificate.as_ref()?.not_after)
    }

    /// Whether the peer may still be heard: its certificate has not ended at `now`.
    pub fn is_current(&self, now: Timestamp) -> bool {
        self.not_after().is_none_or(|not_after| now < not_after)
    }

    /// The peer's address without its port.
    pub fn ip(&self) -> IpAddr {
        self.address.ip().to_canonical()
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Tls(..) => "Tls",
        })
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("transport", &self.transport)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

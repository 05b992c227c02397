//! The listener: connections within limits, and no longer than their certificate.
//!
//! Promises: a connection is closed at its peer's notAfter, whatever it is doing, and no session is
//! resumed ([`tls`]), so an expired certificate opens nothing and keeps nothing open (assurance M1
//! to M3). Every wait, size and count has a limit ([`limits`]). The end is graceful and has an end.
//! Over HTTP/1.1 only a head with one reading gets further ([`head`]).
//! Refuses: connections beyond the limits (closed right after accept), peers that present a
//! certificate which does not verify, and early data.

mod connection;
mod gate;
pub mod head;
pub mod limits;
mod peer;
mod stall;
pub(crate) mod strict;
pub mod tls;

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::listener::connection::{Connection, Protocol};
use crate::api::listener::gate::{Gate, Pass};
use crate::api::listener::limits::{ACCEPT_RETRY, Limits};
use crate::api::listener::tls::ALPN_HTTP_2;
use crate::time::Clock;

pub use crate::api::listener::peer::Peer;

/// What stands between TCP and HTTP.
#[derive(Clone)]
pub enum Transport {
    /// Nothing; for health and metrics on the machine itself.
    Plain,
    /// TLS as [`tls::server_config`] makes it.
    Tls(Arc<rustls::ServerConfig>),
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
        match &self.transport {
            Transport::Plain => {
                self.serve_peer(stream, address, None, Protocol::Http1)
                    .await;
            }
            Transport::Tls(config) => {
                let Some(stream) = self.shake_hands(config, stream, address).await else {
                    return;
                };
                let (_, session) = stream.get_ref();
                let protocol = match session.alpn_protocol() {
                    Some(ALPN_HTTP_2) => Protocol::Http2,
                    Some(_) | None => Protocol::Http1,
                };
                let leaf = session.peer_certificates().and_then(<[_]>::first).cloned();
                self.serve_peer(stream, address, leaf, protocol).await;
            }
        }
    }

    async fn shake_hands(
        &self,
        config: &Arc<rustls::ServerConfig>,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        let result = tokio::select! {
            result = timeout(self.limits.handshake, acceptor.accept(stream)) => result,
            () = self.stop.cancelled() => return None,
        };
        match result {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::info!(%address, %error, "handshake failed");
                None
            }
            Err(_) => {
                tracing::info!(%address, "handshake took too long");
                None
            }
        }
    }

    async fn serve_peer<S>(
        &self,
        stream: S,
        address: SocketAddr,
        leaf: Option<CertificateDer<'static>>,
        protocol: Protocol,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = match Peer::new(address, leaf.as_ref().map(AsRef::as_ref)) {
            Ok(peer) => peer,
            Err(error) => {
                let error: &dyn Error = &error;
                tracing::warn!(%address, error, "connection refused: its certificate is no SVID");
                return;
            }
        };
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

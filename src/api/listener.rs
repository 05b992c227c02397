//! The listener: connections within limits, and no longer than their certificate.
//!
//! Promises: a connection is closed at its peer's notAfter, whatever it is doing, and no session is
//! resumed ([`tls`]), so an expired certificate opens nothing and keeps nothing open (assurance M1
//! to M3). Every wait, size and count has a limit ([`limits`]). The end is graceful and has an end.
//! Over HTTP/1.1 only a head with one reading gets further ([`head`]). Nobody is left without a
//! word: beyond the limits there is a reserve ([`Lane`]), and beyond that a TLS alert.
//! Refuses: peers that present a certificate which does not verify, and early data.

mod connection;
mod gate;
pub mod head;
mod in_frames;
mod lasting;
pub mod limits;
mod peer;
mod stall;
pub(crate) mod strict;
pub mod tls;

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
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

use crate::api::listener::connection::{Connection, Protocol, Serving};
use crate::api::listener::gate::Gate;
use crate::api::listener::limits::{ACCEPT_RETRY, Limits};
use crate::api::listener::tls::ALPN_HTTP_2;
use crate::api::traffic::{HandshakeFault, Traffic};
use crate::time::Clock;

pub use crate::api::listener::gate::Lane;
pub(crate) use crate::api::listener::lasting::{Lasting, LastingStream};
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
    /// Told of peers whose certificate opens nothing, and why as a word.
    pub unproved: Arc<dyn Fn(IpAddr, &'static str) + Send + Sync>,
    /// Where connections live.
    pub tracker: TaskTracker,
    /// Counts connections and handshakes.
    pub traffic: Traffic,
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
                door.traffic.refused(door.transport.door());
                tracing::warn!(%address, "connection refused: too many are open");
                door.transport.turn_away(&stream);
                continue;
            };
            let of_door = Arc::clone(&door);
            let open = door.traffic.connection(door.transport.door());
            door.tracker.spawn(async move {
                // On the heap and gone when its part is done: what an idle connection keeps is
                // counted thousands of times (decisions, callers).
                let received = Box::pin(of_door.receive(stream, address, pass.lane()));
                if let Some(serving) = received.await {
                    serving.await;
                }
                drop((open, pass));
            });
        }
    }

    /// Takes a connection up to where it serves; none where it ends before.
    async fn receive(&self, stream: TcpStream, address: SocketAddr, lane: Lane) -> Option<Serving> {
        // Without it an answer of two writes waits for the peer's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "connection lost before it was served");
            return None;
        }
        match &self.transport {
            Transport::Plain => self.serve_peer(stream, address, None, Protocol::Http1, lane),
            Transport::Tls(config) => {
                let stream = self.shake_hands(config, stream, address, lane).await?;
                let (_, session) = stream.get_ref();
                let protocol = match session.alpn_protocol() {
                    Some(ALPN_HTTP_2) => Protocol::Http2,
                    Some(_) | None => Protocol::Http1,
                };
                let leaf = session.peer_certificates().and_then(<[_]>::first).cloned();
                self.serve_peer(stream, address, leaf.as_ref(), protocol, lane)
            }
        }
    }

    async fn shake_hands(
        &self,
        config: &Arc<rustls::ServerConfig>,
        stream: TcpStream,
        address: SocketAddr,
        lane: Lane,
    ) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(config));
        let result = tokio::select! {
            result = timeout(self.limits_of(lane).handshake, acceptor.accept(stream)) => result,
            () = self.stop.cancelled() => return None,
        };
        match result {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                self.traffic.handshake_failed(HandshakeFault::Tls);
                tracing::info!(%address, %error, "handshake failed");
                if is_of_certificate(&error) {
                    (self.unproved)(address.ip(), "certificate_unverified");
                }
                None
            }
            Err(_) => {
                self.traffic.handshake_failed(HandshakeFault::Slow);
                tracing::info!(%address, "handshake took too long");
                None
            }
        }
    }

    fn serve_peer<S>(
        &self,
        stream: S,
        address: SocketAddr,
        leaf: Option<&CertificateDer<'_>>,
        protocol: Protocol,
        lane: Lane,
    ) -> Option<Serving>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = match Peer::new(address, leaf.map(AsRef::as_ref), lane) {
            Ok(peer) => peer,
            Err(error) => {
                self.traffic.handshake_failed(HandshakeFault::NoSvid);
                let error: &dyn Error = &error;
                tracing::warn!(%address, error, "connection refused: its certificate is no SVID");
                (self.unproved)(address.ip(), "certificate_no_svid");
                return None;
            }
        };
        let connection = Connection {
            router: self.router.clone(),
            limits: self.limits_of(lane),
            clock: Arc::clone(&self.clock),
            tracker: self.tracker.clone(),
            stop: self.stop.clone(),
            peer,
        };
        Some(connection.serve(stream, protocol))
    }

    fn limits_of(&self, lane: Lane) -> Limits {
        match lane {
            Lane::Reserve => self.limits.of_reserve(),
            Lane::Served => self.limits,
        }
    }
}

impl Transport {
    /// A last word to somebody for whom there is not even a task: the peer's TLS library reports an
    /// alert, where it would only wonder about a closed connection.
    fn turn_away(&self, stream: &TcpStream) {
        match self {
            Self::Plain => {}
            Self::Tls(_) => {
                // A socket that was just accepted has room for seven bytes; where it has none, the
                // end of the connection is the word.
                let _ = stream.try_write(&INTERNAL_ERROR_ALERT);
            }
        }
    }

    /// The door's name in metrics.
    const fn door(&self) -> &'static str {
        match self {
            Self::Plain => "observe",
            Self::Tls(..) => "api",
        }
    }
}

/// Whether a handshake failed for what the peer presented.
fn is_of_certificate(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}

/// A fatal `internal_error` in a plaintext record (RFC 8446 5.1, 6.2), before any handshake.
const INTERNAL_ERROR_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

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

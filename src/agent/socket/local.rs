//! One connection, bound to the life of the process that made it.
//!
//! Promises: once that process has ended, nothing more is read and nothing more is written, also
//! where another process holds the connection by then.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

use crate::agent::attestor::Peer;
use crate::agent::local_caller::LocalCaller;
use crate::agent::socket::seats::Seat;

/// A connection whose caller is known.
#[derive(Debug)]
pub(crate) struct Local {
    stream: UnixStream,
    peer: Arc<Peer>,
    _seat: Seat,
}

impl Local {
    pub(super) fn new(stream: UnixStream, peer: Arc<Peer>, seat: Seat) -> Self {
        Self {
            stream,
            peer,
            _seat: seat,
        }
    }

    /// Who is at the other end.
    #[cfg(test)]
    pub(crate) const fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    fn check(&self) -> io::Result<()> {
        if self.peer.lives() {
            Ok(())
        } else {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
}

impl Connected for Local {
    type ConnectInfo = LocalCaller;

    fn connect_info(&self) -> LocalCaller {
        let peer: Arc<Peer> = Arc::clone(&self.peer);
        LocalCaller(peer)
    }
}

impl AsyncRead for Local {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The first wakes this task when the process ends, the second knows it without delay.
        if self.peer.poll_ended(cx).is_ready() || !self.peer.lives() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Local {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

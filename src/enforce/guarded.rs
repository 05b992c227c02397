//! A connection that ends at its peer's notAfter.
//!
//! A certificate is looked at in the handshake and never again: without this a right goes on for as
//! long as a connection is kept open (facts: hours).
//!
//! Promises: from the peer's notAfter on nothing is read and nothing written, also where nobody
//! writes: whoever waits for bytes is woken then.
//! Refuses: to let more time pass where the host's clock is set back: an end that was reached
//! stays.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::enforce::peer::Peer;
use crate::time::Clock;

/// A stream and the end of who is on its other side.
pub struct Guarded<S> {
    stream: S,
    peer: Arc<Peer>,
    clock: Arc<dyn Clock>,
    wake: Pin<Box<Sleep>>,
    ended: bool,
}

impl<S> Guarded<S> {
    /// Guards a stream until the peer's notAfter.
    pub(crate) fn new(stream: S, peer: Arc<Peer>, clock: Arc<dyn Clock>) -> Self {
        Self {
            stream,
            peer,
            clock,
            wake: Box::pin(sleep(Duration::ZERO)),
            ended: false,
        }
    }

    /// Who is on the other side.
    #[must_use]
    pub fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    /// An error once the peer's certificate has ended; until then the task is woken at its end.
    fn heed(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        loop {
            let left_ms = self.peer.not_after.unix_ms() - self.clock.now().unix_ms();
            self.ended |= left_ms <= 0;
            if self.ended {
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, ENDED));
            }
            // Not longer than a look: the wall clock may be set while this sleeps.
            let left = Duration::from_millis(left_ms.unsigned_abs()).min(LOOK_EVERY);
            match self.wake.as_mut().poll(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => self.wake.set(sleep(left)),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.heed(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.heed(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.heed(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Also after the end: the peer may be told that it is over.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.heed(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl<S> fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("peer", &self.peer)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

const ENDED: &str = "the peer's certificate has ended";
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::scope::SvidName;
    use crate::time::{ManualClock, Seconds, Timestamp};

    fn guarded(
        clock: &Arc<ManualClock>,
        life: u32,
    ) -> (Guarded<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (near, far) = duplex(64);
        let peer = Peer {
            id: "spiffe://td/web/scope/db.read".parse().unwrap(),
            name: SvidName::from_sans(&"spiffe://td/web/scope/db.read".parse().unwrap(), None)
                .unwrap(),
            serial: "01".to_owned(),
            not_after: clock.now().plus(Seconds::new(life)),
        };
        let clock: Arc<dyn Clock> = clock.clone();
        (Guarded::new(near, Arc::new(peer), clock), far)
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_bytes_is_woken_at_the_end() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_s(1_000).unwrap()));
        let (mut near, mut far) = guarded(&clock, 60);
        far.write_all(b"a").await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'a');
        let mut read = Box::pin(near.read_u8());
        let early = tokio::time::timeout(Duration::from_secs(5), &mut read).await;
        assert!(early.is_err(), "it goes on while the certificate lives");
        clock.advance(Seconds::new(60));
        let error = read.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        let error = near.write_all(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        // Set back, it stays over.
        clock.set_wall(Timestamp::from_unix_s(1_000).unwrap());
        assert!(near.write_all(b"more").await.is_err());
    }
}

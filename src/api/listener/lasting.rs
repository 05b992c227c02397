//! Streams that last as long as the peer's certificate.
//!
//! Promises: while one is open its connection does not age, and it hears of the stop, so that it
//! can end in words while the connection drains.
//! Refuses: nothing; the peer's notAfter and its silence end such a connection as any other.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What a handler needs whose answer lasts; an extension of every request on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Lasting {
    streams: watch::Sender<usize>,
    stop: CancellationToken,
}

/// One stream that lasts; counts until it is dropped.
#[derive(Debug)]
pub(crate) struct LastingStream(Lasting);

impl Lasting {
    /// For a connection of a door that is stopped so.
    pub(crate) fn new(stop: CancellationToken) -> Self {
        Self {
            streams: watch::Sender::new(0),
            stop,
        }
    }

    /// How many streams are open.
    pub(crate) fn count(&self) -> watch::Receiver<usize> {
        self.streams.subscribe()
    }

    /// One more stream.
    pub(crate) fn begin(&self) -> LastingStream {
        self.streams.send_modify(|open| *open += 1);
        LastingStream(self.clone())
    }
}

impl LastingStream {
    /// Ends when the door is stopped.
    pub(crate) async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }
}

impl Drop for LastingStream {
    fn drop(&mut self) {
        let streams = &self.0.streams;
        streams.send_modify(|open| *open = open.saturating_sub(1));
    }
}

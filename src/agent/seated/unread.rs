//! An answer, of which little waits for a caller who does not read.
//!
//! The HTTP/2 library takes hundreds of KiB of each answer in advance, when the caller's windows
//! are large and he lets the socket run full; and it keeps them after the answer itself has ended.
//! So each piece says when it has left.
//!
//! Promises: the next piece is asked for only while less than [`UNREAD_BYTES_MAX`] wait to leave; a
//! seat is kept until the answer is over and the last piece has left.
//! Refuses: to cut a piece: one message may be larger.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::agent::seats::Seat;

/// The answer.
pub(super) struct Unread {
    inner: Body,
    waits: Arc<Waits>,
}

/// What waits to leave.
struct Waits {
    bytes: AtomicUsize,
    /// Woken when less waits.
    answer: AtomicWaker,
    _seat: Option<Seat>,
}

/// A piece that is not gone.
struct Piece {
    bytes: Bytes,
    waits: Arc<Waits>,
}

impl Unread {
    pub(super) fn new(inner: Body, seat: Option<Seat>) -> Self {
        let waits = Waits {
            bytes: AtomicUsize::new(0),
            answer: AtomicWaker::new(),
            _seat: seat,
        };
        Self {
            inner,
            waits: Arc::new(waits),
        }
    }
}

impl Waits {
    fn are_many(&self) -> bool {
        UNREAD_BYTES_MAX <= self.bytes.load(Ordering::Acquire)
    }
}

impl http_body::Body for Unread {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.waits.are_many() {
            self.waits.answer.register(cx.waker());
            // It may have left between the look and the call to be woken.
            if self.waits.are_many() {
                return Poll::Pending;
            }
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        polled.map(|frame| {
            let frame = frame?;
            let waits = &self.waits;
            Some(frame.map(|frame| frame.map_data(|bytes| Piece::of(bytes, waits))))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Piece {
    fn of(bytes: Bytes, waits: &Arc<Waits>) -> Bytes {
        waits.bytes.fetch_add(bytes.len(), Ordering::AcqRel);
        Bytes::from_owner(Self {
            bytes,
            waits: Arc::clone(waits),
        })
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.waits
            .bytes
            .fetch_sub(self.bytes.len(), Ordering::AcqRel);
        self.waits.answer.wake();
    }
}

/// Several SVIDs with their chains.
const UNREAD_BYTES_MAX: usize = 16 * 1_024;

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[tokio::test]
    async fn what_is_not_read_is_little_and_is_read_on_when_it_has_left() {
        let pieces = stream::repeat(Bytes::from(vec![7; 1_000])).take(100);
        let frames = pieces.map(|bytes| Ok::<_, Status>(Frame::data(bytes)));
        let mut answer = Unread::new(Body::new(StreamBody::new(frames)), None);
        let mut waiting = Vec::new();
        while let Some(frame) = answer.frame().now_or_never() {
            waiting.push(frame.unwrap().unwrap().into_data().unwrap());
        }
        assert_eq!(waiting.len(), 17);
        let mut read = waiting.len();
        drop(waiting);
        while let Some(frame) = answer.frame().await {
            assert!(frame.is_ok());
            read += 1;
        }
        assert_eq!(read, 100);
    }

    #[tokio::test]
    async fn the_next_piece_is_woken_by_the_one_that_leaves() {
        let pieces = stream::repeat(Bytes::from(vec![7; UNREAD_BYTES_MAX])).take(2);
        let frames = pieces.map(|bytes| Ok::<_, Status>(Frame::data(bytes)));
        let mut answer = Unread::new(Body::new(StreamBody::new(frames)), None);
        let first = answer.frame().await;
        let mut second = Box::pin(answer.frame());
        assert!(second.as_mut().now_or_never().is_none());
        let leave = async { drop(first) };
        let (second, ()) = tokio::join!(second, leave);
        assert!(second.unwrap().is_ok());
    }
}

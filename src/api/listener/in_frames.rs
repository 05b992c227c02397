//! An answer's body in frames of a bounded size.
//!
//! Promises: the same bytes, not copied; no frame of data is larger than [`FRAME_BYTES_MAX`]. A
//! frame is handed over whole, however small the peer's window, and waits where no timer of the
//! stream runs; what is not handed over yet holds up the stream, which is reset (assurance H1).
//! Refuses: nothing.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// A body, and what is left of its last frame.
pub(crate) struct InFrames<B> {
    body: B,
    left: Bytes,
}

impl<B> InFrames<B> {
    pub(crate) const fn new(body: B) -> Self {
        Self {
            body,
            left: Bytes::new(),
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for InFrames<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.left.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.left = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.left.len().min(FRAME_BYTES_MAX);
        let data = self.left.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let left = u64::try_from(self.left.len()).unwrap_or(u64::MAX);
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(of_body.lower().saturating_add(left));
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

/// The largest frame of data, in bytes: also what HTTP/2 peers take at once (RFC 9113 4.2).
const FRAME_BYTES_MAX: usize = 16 * 1024;

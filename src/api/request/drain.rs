//! Reading what is left of a request that is refused early.
//!
//! Promises: a client that is still sending when it is refused gets the problem document. Over
//! HTTP/2 a body that nobody reads ends the stream with a reset, and clients such as curl then show
//! the reset instead of the answer.
//! Refuses: to read for long or for much: past the bounds the reset is the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::Frame;
use http_body_util::BodyExt as _;

/// A body that two hold: the handler, and who reads the rest after it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Body>>);

impl Shared {
    pub(crate) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// Reads the rest, within bounds.
    pub(crate) async fn drain(mut self) {
        let rest = async {
            let mut read = 0_usize;
            while let Some(Ok(frame)) = self.frame().await {
                read = read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                if DRAIN_BYTES_MAX < read {
                    return;
                }
            }
        };
        // Past the bound the reset is the answer.
        let _ = tokio::time::timeout(DRAIN_MAX, rest).await;
    }
}

impl http_body::Body for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .size_hint()
    }
}

/// The most that is read of a body whose request was refused, in bytes.
const DRAIN_BYTES_MAX: usize = 64 * 1_024;
/// The longest that such a body is waited for.
const DRAIN_MAX: Duration = Duration::from_secs(1);

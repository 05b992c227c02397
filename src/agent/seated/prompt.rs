//! A request of one message, that is there soon or ended.
//!
//! Promises: from when it is first asked for, the request has [`WHOLE_LONGEST`] to come to its end,
//! also where nothing of it ever comes, or its message is whole and the end is not.
//! Refuses: to begin anew with each piece: who sends a byte now and then gains nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use tonic::Status;
use tonic::body::Body;

/// The request.
pub(super) struct Prompt {
    inner: Body,
    /// From the first time that somebody waits for it.
    late: Option<Pin<Box<Sleep>>>,
}

impl Prompt {
    pub(super) const fn new(inner: Body) -> Self {
        Self { inner, late: None }
    }
}

impl http_body::Body for Prompt {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Poll::Ready(polled) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(polled);
        }
        let late = self
            .late
            .get_or_insert_with(|| Box::pin(sleep(WHOLE_LONGEST)));
        late.as_mut().poll(cx).map(|()| {
            Some(Err(Status::deadline_exceeded(
                "the request took too long to become whole: send it to its end at once",
            )))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A client writes its one message and the end of it at once.
const WHOLE_LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};
    use tokio::time::timeout;

    use super::*;

    fn prompt(frames: impl futures_util::Stream<Item = Bytes> + Send + 'static) -> Prompt {
        let frames = frames.map(|bytes| Ok::<_, Status>(Frame::data(bytes)));
        Prompt::new(Body::new(StreamBody::new(frames)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_does_not_come_or_does_not_end_is_ended() {
        let whole = Bytes::from_static(b"\0\0\0\0\0");
        let drips = stream::unfold((), |()| async {
            sleep(WHOLE_LONGEST / 4).await;
            Some((Bytes::from_static(b"x"), ()))
        });
        for body in [
            prompt(stream::pending()),
            prompt(stream::iter([whole]).chain(stream::pending())),
            prompt(drips),
        ] {
            let second = Duration::from_secs(1);
            let early = WHOLE_LONGEST.saturating_sub(second);
            let mut whole = Box::pin(body.collect());
            let early = timeout(early, &mut whole).await;
            assert!(early.is_err(), "it has its time");
            let late = timeout(2 * second, whole).await.unwrap();
            assert_eq!(late.unwrap_err().code(), tonic::Code::DeadlineExceeded);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_time_is_handed_on_as_it_is() {
        let pieces = stream::iter(["a", "b"]).then(|piece| async move {
            sleep(WHOLE_LONGEST / 3).await;
            Bytes::from_static(piece.as_bytes())
        });
        let whole = prompt(pieces).collect().await.unwrap().to_bytes();
        assert_eq!(whole, "ab");
    }
}

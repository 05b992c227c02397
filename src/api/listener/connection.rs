//! One connection, from its first request to its end.
//!
//! Promises: it ends when the peer ends it, when the peer's certificate ends (at once), when it is
//! idle, old or stopped (gracefully, and at the latest after the limit to drain). Age alone does
//! not end a stream that lasts.
//! Refuses: protocol switches: the handshake agreed on one protocol, and no other is guessed.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::api::listener::Peer;
use crate::api::listener::in_frames::InFrames;
use crate::api::listener::lasting::Lasting;
use crate::api::listener::limits::{
    CLOCK_LOOK_EVERY, ERROR_RESETS_MAX, HEAD_BYTES_MAX, HEADER_LIST_BYTES_MAX, HEADERS_MAX, Limits,
    PENDING_RESETS_MAX, PING_ANSWER_MAX, PING_EVERY, STREAM_SEND_BYTES_MAX, STREAMS_MAX,
};
use crate::api::listener::stall::Stall;
use crate::api::listener::strict::Strict;
use crate::time::Clock;

/// What a connection needs.
pub(crate) struct Connection {
    pub(crate) router: Router,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) peer: Peer,
}

/// A connection that is being served.
pub(crate) type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the handshake agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, which is also what a peer that agrees on nothing gets.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Connection {
    /// Serves the connection until it ends. No part of it is held twice, as the state of nested
    /// async functions would.
    pub(crate) fn serve<S>(self, stream: S, protocol: Protocol) -> Serving
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = Stall::new(stream, self.limits.write_stall);
        let open = watch::Sender::new(0_usize);
        let requests = open.subscribe();
        let lasting = Lasting::new(self.stop.clone());
        let streams = lasting.count();
        let (router, peer) = (self.router.clone(), self.peer.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(lasting.clone());
            answer(router.clone(), peer.clone(), open.clone(), request)
        });
        let counts = (requests, streams);
        match protocol {
            Protocol::Http1 => {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(self.limits.head_read)
                    .max_headers(HEADERS_MAX)
                    .max_buf_size(HEAD_BYTES_MAX)
                    .serve_connection(TokioIo::new(Strict::new(stream)), service);
                Box::pin(self.drive(Box::pin(connection), counts))
            }
            Protocol::Http2 => {
                let connection = http2::Builder::new(self.streams())
                    .timer(TokioTimer::new())
                    .max_concurrent_streams(STREAMS_MAX)
                    .max_header_list_size(HEADER_LIST_BYTES_MAX)
                    .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
                    .max_local_error_reset_streams(ERROR_RESETS_MAX)
                    .max_send_buf_size(STREAM_SEND_BYTES_MAX)
                    .keep_alive_interval(PING_EVERY)
                    .keep_alive_timeout(PING_ANSWER_MAX)
                    .serve_connection(TokioIo::new(stream), service);
                Box::pin(self.drive(Box::pin(connection), counts))
            }
        }
    }

    async fn drive<C>(self, mut connection: Pin<Box<C>>, (requests, streams): Counts)
    where
        C: GracefulConnection<Error = hyper::Error>,
    {
        let address = self.peer.address;
        let mut expiry = pin!(self.expiry());
        tokio::select! {
            biased;
            () = expiry.as_mut() => {
                tracing::info!(%address, "connection closed: the peer's certificate has ended");
                return;
            }
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%address, %error, "connection broke");
                }
                return;
            }
            () = idle(requests, self.limits.idle) => {}
            () = aged(streams, self.limits.age) => {}
            () = self.stop.cancelled() => {}
        }
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            () = expiry => {}
            _ = connection => {}
            () = sleep(self.limits.drain) => {
                tracing::debug!(%address, "connection closed: it did not drain in time");
            }
        }
    }

    fn streams(&self) -> Streams {
        Streams {
            tracker: self.tracker.clone(),
            stall: self.limits.stream_stall,
        }
    }

    /// Ends at the peer's notAfter by the protem clock; never for a peer without a certificate.
    async fn expiry(&self) {
        let Some(not_after) = self.peer.not_after() else {
            return std::future::pending().await;
        };
        loop {
            let left_ms = not_after.unix_ms() - self.clock.now().unix_ms();
            let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
            if left <= CLOCK_LOOK_EVERY {
                return sleep(left).await;
            }
            sleep(CLOCK_LOOK_EVERY).await;
        }
    }
}

/// How many requests are open, and how many streams that last.
type Counts = (watch::Receiver<usize>, watch::Receiver<usize>);

/// Counts one open request until its answer is written or given up.
struct OpenRequest(watch::Sender<usize>);

impl OpenRequest {
    fn new(open: watch::Sender<usize>) -> Self {
        open.send_modify(|count| *count += 1);
        Self(open)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Spawns the streams of an HTTP/2 connection where the end of the server waits for them. A stream
/// that makes no step for long is reset: a peer that opens no window for an answer would otherwise
/// hold it for as long as the connection lives (assurance H1).
#[derive(Clone)]
struct Streams {
    tracker: TaskTracker,
    stall: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let stall = self.stall;
        self.tracker.spawn(async move {
            let (mut stream, mut timer) = (pin!(stream), pin!(sleep(stall)));
            poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                // Woken by the timer alone: what it waited for has not come.
                if timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                timer.set(sleep(stall));
                timer.as_mut().poll(cx)
            })
            .await;
        });
    }
}

async fn answer(
    router: Router,
    peer: Peer,
    open: watch::Sender<usize>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let counted = OpenRequest::new(open);
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer);
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| {
        Body::new(InFrames::new(body.map_frame(move |frame| {
            // Lives as long as the answer's body.
            let _ = &counted;
            frame
        })))
    }))
}

/// Ends when the connection is so old, and no stream is open that lasts as long as the peer's
/// certificate.
async fn aged(mut streams: watch::Receiver<usize>, max: Duration) {
    sleep(max).await;
    // Where the service is gone, the connection ends by itself.
    let _ = streams.wait_for(|open| *open == 0).await;
}

/// Ends when no request was open for the whole of `max`.
async fn idle(mut requests: watch::Receiver<usize>, max: Duration) {
    loop {
        let open = *requests.borrow_and_update();
        tokio::select! {
            changed = requests.changed() => if changed.is_err() {
                // The service is gone, and the connection ends by itself.
                return std::future::pending().await;
            },
            () = sleep(max), if open == 0 => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn age_alone_ends_no_stream_that_lasts() {
        let lasting = Lasting::new(CancellationToken::new());
        let [one, two] = [lasting.begin(), lasting.begin()];
        let mut aged = pin!(aged(lasting.count(), Duration::from_secs(5)));
        let waited = tokio::time::timeout(Duration::from_hours(1), aged.as_mut());
        assert!(waited.await.is_err());
        drop(one);
        assert!(futures_util::poll!(aged.as_mut()).is_pending());
        drop(two);
        aged.await;
    }
}

//! A service each of whose calls has a seat until its answer has ended.
//!
//! Promises: a stream that stays open keeps its seat, so that one process has few; the seat is free
//! again as soon as the answer is dropped.
//! Refuses: callers whom the connection does not name.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use http_body_util::BodyExt as _;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use crate::agent::local_caller::LocalCaller;
use crate::agent::refusal::Refusal;
use crate::agent::seats::Seats;

/// A service whose calls take seats.
#[derive(Clone)]
pub(crate) struct Seated<S> {
    inner: S,
    seats: Arc<Seats>,
}

impl<S> Seated<S> {
    /// With seats that other services may share.
    pub(crate) fn new(inner: S, seats: &Arc<Seats>) -> Self {
        Self {
            inner,
            seats: Arc::clone(seats),
        }
    }
}

impl<S: NamedService> NamedService for Seated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Seated<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let seat = LocalCaller::of(request.extensions())
            .and_then(|caller| self.seats.take(caller.holder()).ok_or(Refusal::Streams));
        let seat = match seat {
            Ok(seat) => seat,
            Err(refusal) => return ready(Ok(Status::from(refusal).into_http())).boxed(),
        };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            Ok(answer.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _sits = &seat;
                    frame
                }))
            }))
        })
    }
}

//! A service each of whose calls has a seat, from before its request is read until its answer is
//! gone.
//!
//! ```text
//! caller -> seat -> prompt request -> service -> unread answer -> caller
//! ```
//!
//! Promises: what a call holds while nobody has read its request is counted, of its process and of
//! its user; a request of one message is whole within [`prompt`]'s time; an answer that the caller
//! does not read is small, and keeps its seat until it has left or the connection ends.
//! Refuses: callers whom the connection does not name.

mod prompt;
mod unread;

use std::convert::Infallible;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tower::Service;

use crate::agent::caller::Caller;
use crate::agent::seated::prompt::Prompt;
use crate::agent::seated::unread::Unread;
use crate::agent::seats::{Seat, Seats};
use crate::metric::{Counter, One};

/// A service whose calls, of callers of the kind `P`, take seats.
#[derive(Debug)]
pub(crate) struct Seated<S, P> {
    inner: S,
    room: Room,
    callers: PhantomData<fn() -> P>,
}

/// Where the calls of a service sit; services may share seats.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    /// Of calls whose request is one message.
    pub(crate) single: Arc<Seats>,
    /// Of calls whose request is a stream.
    pub(crate) streamed: Arc<Seats>,
    /// Until when.
    pub(crate) until: Until,
    /// Callers who found none.
    pub(crate) refused: One<Counter>,
    /// What they are told.
    pub(crate) full: fn() -> Status,
}

/// How long a call keeps its seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Until it is answered: the service itself takes a seat for what it leaves open.
    Answered,
    /// Until nothing of its answer is here any more.
    Gone,
}

impl<S, P> Seated<S, P> {
    /// With seats in this room.
    pub(crate) fn new(inner: S, room: &Room) -> Self {
        Self {
            inner,
            room: room.clone(),
            callers: PhantomData,
        }
    }
}

impl Room {
    /// The same seats for every kind of call.
    pub(crate) fn of(
        seats: Arc<Seats>,
        until: Until,
        refused: One<Counter>,
        full: fn() -> Status,
    ) -> Self {
        Self {
            single: Arc::clone(&seats),
            streamed: seats,
            until,
            refused,
            full,
        }
    }

    fn seat<P: Caller>(&self, caller: Option<&P>, streamed: bool) -> Result<Seat, Status> {
        let seats = if streamed {
            &self.streamed
        } else {
            &self.single
        };
        let caller =
            caller.ok_or_else(|| Status::unavailable("the connection does not say who calls"))?;
        seats.take(caller).ok_or_else(|| {
            self.refused.add();
            (self.full)()
        })
    }
}

impl<S: Clone, P> Clone for Seated<S, P> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), &self.room)
    }
}

impl<S: NamedService, P> NamedService for Seated<S, P> {
    const NAME: &'static str = S::NAME;
}

impl<S, P> Service<http::Request<Body>> for Seated<S, P>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
    P: Caller,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let streamed = is_streamed(request.uri().path());
        let seat = match self.room.seat(request.extensions().get::<P>(), streamed) {
            Ok(seat) => seat,
            Err(status) => return ready(Ok(status.into_http())).boxed(),
        };
        let request = if streamed {
            request
        } else {
            request.map(|body| Body::new(Prompt::new(body)))
        };
        let until = self.room.until;
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let seat = Some(seat).filter(|_| until == Until::Gone);
            Ok(answer.map(|body| Body::new(Unread::new(body, seat))))
        })
    }
}

/// Whether a method takes a stream of messages, as all do here that begin so.
fn is_streamed(path: &str) -> bool {
    let method = path.rsplit('/').next().unwrap_or_default();
    STREAMED.iter().any(|begin| method.starts_with(begin))
}

const STREAMED: &[&str] = &["Stream", "Delta", "ServerReflectionInfo"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_a_stream_is_told_by_its_name() {
        for streamed in [
            "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets",
            "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets",
            "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        ] {
            assert!(is_streamed(streamed), "{streamed}");
        }
        for single in [
            "/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets",
            "/SpiffeWorkloadAPI/FetchX509SVID",
            "/grpc.health.v1.Health/Watch",
            "/protem.agent.v1.LocalAgent/Status",
            "",
        ] {
            assert!(!is_streamed(single), "{single}");
        }
    }
}

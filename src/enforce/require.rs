//! Which peers a service is for.
//!
//! Promises: a request passes whose peer has exactly one of the SPIFFE IDs and has not ended at
//! this moment; everybody else gets 403, in the words of gRPC where he speaks that. Nothing of the
//! request is read.
//! Refuses: prefixes, suffixes and patterns: they let in what nobody named (facts/mesh.md 1.2).

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service};

use crate::enforce::peer::Peer;
use crate::identity::{SpiffeId, SpiffeIdError};
use crate::time::{Clock, SystemClock};

/// A layer that lets exactly these SPIFFE IDs pass; cheap to clone.
#[derive(Clone)]
pub struct Require {
    ids: Arc<BTreeSet<SpiffeId>>,
    clock: Arc<dyn Clock>,
}

/// A service behind [`Require`].
#[derive(Clone, Debug)]
pub struct Required<S> {
    inner: S,
    require: Require,
}

impl Require {
    /// Lets peers with one of these SPIFFE IDs pass: an elevated one names the scope that it has.
    ///
    /// # Errors
    /// The first that is no SPIFFE ID.
    pub fn exactly<'i>(ids: impl IntoIterator<Item = &'i str>) -> Result<Self, SpiffeIdError> {
        let ids: Result<BTreeSet<SpiffeId>, _> = ids.into_iter().map(str::parse).collect();
        Ok(Self {
            ids: Arc::new(ids?),
            clock: Arc::new(SystemClock),
        })
    }

    /// The same by another clock.
    #[must_use]
    pub fn by_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Whether the peer of a request may pass now; none where nobody said who it is.
    fn lets_pass(&self, peer: Option<&Peer>) -> bool {
        peer.is_some_and(|peer| self.ids.contains(&peer.id) && peer.is_current(self.clock.now()))
    }
}

impl<S> Layer<S> for Require {
    type Service = Required<S>;

    fn layer(&self, inner: S) -> Required<S> {
        let require = self.clone();
        Required { inner, require }
    }
}

impl<S, B, R> Service<Request<B>> for Required<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.require.lets_pass(request.extensions().get::<Peer>()) {
            return Box::pin(self.inner.call(request));
        }
        let refused = refusal(request.headers().get(CONTENT_TYPE));
        Box::pin(async { Ok(refused) })
    }
}

impl fmt::Debug for Require {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Require")
            .field("ids", &self.ids)
            .finish_non_exhaustive()
    }
}

/// 403, or for gRPC a response of trailers alone that says `PERMISSION_DENIED`.
fn refusal<R: Default>(content_type: Option<&HeaderValue>) -> Response<R> {
    let grpc = content_type.is_some_and(|kind| kind.as_bytes().starts_with(GRPC.as_bytes()));
    let mut response = Response::new(R::default());
    if grpc {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(GRPC));
        headers.insert("grpc-status", HeaderValue::from_static(PERMISSION_DENIED));
        headers.insert("grpc-message", HeaderValue::from_static(WORDS));
    } else {
        *response.status_mut() = StatusCode::FORBIDDEN;
    }
    response
}

const GRPC: &str = "application/grpc";
const PERMISSION_DENIED: &str = "7";
const WORDS: &str = "the peer's SPIFFE ID is none of those that may, or its certificate has ended";

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::scope::SvidName;
    use crate::time::{ManualClock, Seconds, Timestamp};

    const READ: &str = "spiffe://td/web/scope/db.read";

    fn peer(id: &str, not_after: Timestamp) -> Peer {
        let id: SpiffeId = id.parse().unwrap();
        Peer {
            name: SvidName::from_sans(&id, None).unwrap(),
            id,
            serial: "01".to_owned(),
            not_after,
        }
    }

    #[tokio::test]
    async fn exactly_who_is_named_passes_until_his_end() {
        let now = Timestamp::from_unix_s(1_000).unwrap();
        let clock = Arc::new(ManualClock::new(now));
        let require = Require::exactly([READ]).unwrap().by_clock(clock.clone());
        let service = require.layer(service_fn(async |_: Request<()>| {
            Ok::<_, Infallible>(Response::new("read".to_owned()))
        }));
        let ask = async |peer: Option<Peer>| {
            let mut request = Request::new(());
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            let response = service.clone().oneshot(request).await.unwrap();
            (response.status().as_u16(), response.into_body())
        };
        let end = now.plus(Seconds::new(60));
        assert_eq!(ask(Some(peer(READ, end))).await, (200, "read".to_owned()));
        let refused = (403, String::new());
        for other in [
            "spiffe://td/web",
            "spiffe://td/web/scope/db.write",
            "spiffe://td/webx/scope/db.read",
            "spiffe://other/web/scope/db.read",
            "spiffe://td/web_db.read",
        ] {
            assert_eq!(ask(Some(peer(other, end))).await, refused, "{other}");
        }
        assert_eq!(ask(None).await, refused, "nobody said who it is");
        clock.advance(Seconds::new(60));
        assert_eq!(ask(Some(peer(READ, end))).await, refused, "it has ended");
    }

    #[test]
    fn a_refusal_is_said_as_the_caller_speaks() {
        let grpc = HeaderValue::from_static("application/grpc+proto");
        let response: Response<()> = refusal(Some(&grpc));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "7");
        let response: Response<()> = refusal(None);
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
}

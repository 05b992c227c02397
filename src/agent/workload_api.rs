//! The SPIFFE Workload API (SPIFFE Workload API and SPIFFE Workload Endpoint), X.509 profile.
//!
//! | Method | Answer |
//! |---|---|
//! | `FetchX509SVID` | a stream of everything that the caller holds, at once and after each change |
//! | `FetchX509Bundles` | a stream of the bundles that he is to trust |
//! | `FetchJWTSVID`, `FetchJWTBundles`, `ValidateJWTSVID` | `Unimplemented` |
//!
//! Promises: every message is the full state; codes and texts stand in `agent/refusal.rs`.
//! Refuses: requests without the header that the standard demands, before anything is looked at,
//! and more streams of one process than [`SocketLimits`](crate::agent::workload_socket) says.

mod handout;
mod subscription;

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use tonic::{Request, Response, Status};

use crate::agent::keeper::Keeper;
use crate::agent::local_caller::LocalCaller;
use crate::agent::refusal::Refusal;
use crate::agent::seats::Seats;
use crate::agent::workload_api::handout::{Handout, Kind};
use crate::agent::workload_api::subscription::Subscription;
use crate::proto::workload::spiffe_workload_api_server::SpiffeWorkloadApi;
use crate::proto::workload::{
    JwtBundlesRequest, JwtBundlesResponse, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, X509BundlesRequest, X509BundlesResponse, X509svidRequest,
    X509svidResponse,
};
use crate::time::Clock;

/// The service.
pub(crate) struct WorkloadApi {
    /// What callers hold.
    pub(crate) keeper: Keeper,
    /// Nothing that has ended by it is given.
    pub(crate) clock: Arc<dyn Clock>,
    /// Streams.
    pub(crate) seats: Arc<Seats>,
}

type Stream<T> = BoxStream<'static, Result<T, Status>>;

impl WorkloadApi {
    async fn stream<R, T: 'static>(
        &self,
        request: Request<R>,
        kind: Kind,
        message: fn(Handout) -> T,
    ) -> Result<Response<Stream<T>>, Status> {
        let caller = LocalCaller::of(request.extensions())?;
        let (pid, uid) = (caller.pid(), caller.uid());
        let told = move |refusal| tell(refusal, kind, pid, uid);
        let seat = self.seats.take(caller.holder());
        let seat = seat.ok_or(Refusal::Streams).map_err(told)?;
        let (keeper, clock) = (self.keeper.clone(), self.clock.clone());
        let subscription = Subscription::open(kind, caller, keeper, clock, seat).await;
        let handouts = subscription.map_err(told)?.handouts();
        let messages = handouts.map(move |handout| handout.map(message).map_err(told));
        Ok(Response::new(messages.boxed()))
    }
}

#[tonic::async_trait]
impl SpiffeWorkloadApi for WorkloadApi {
    type FetchX509SVIDStream = Stream<X509svidResponse>;
    type FetchX509BundlesStream = Stream<X509BundlesResponse>;
    type FetchJWTBundlesStream = Stream<JwtBundlesResponse>;

    async fn fetch_x509svid(
        &self,
        request: Request<X509svidRequest>,
    ) -> Result<Response<Self::FetchX509SVIDStream>, Status> {
        self.stream(request, Kind::Svids, Handout::svids).await
    }

    async fn fetch_x509_bundles(
        &self,
        request: Request<X509BundlesRequest>,
    ) -> Result<Response<Self::FetchX509BundlesStream>, Status> {
        self.stream(request, Kind::Bundles, Handout::bundles).await
    }

    async fn fetch_jwtsvid(
        &self,
        _: Request<JwtsvidRequest>,
    ) -> Result<Response<JwtsvidResponse>, Status> {
        Err(Refusal::JwtProfile.into())
    }

    async fn fetch_jwt_bundles(
        &self,
        _: Request<JwtBundlesRequest>,
    ) -> Result<Response<Self::FetchJWTBundlesStream>, Status> {
        Err(Refusal::JwtProfile.into())
    }

    async fn validate_jwtsvid(
        &self,
        _: Request<ValidateJwtsvidRequest>,
    ) -> Result<Response<ValidateJwtsvidResponse>, Status> {
        Err(Refusal::JwtProfile.into())
    }
}

/// Lets requests pass that carry `workload.spiffe.io: true` exactly once (SPIFFE Workload Endpoint
/// 3): a server that is talked into asking for a stranger cannot set it.
#[expect(
    clippy::result_large_err,
    clippy::needless_pass_by_value,
    reason = "the shape of tonic's interceptors"
)]
pub(crate) fn with_header(request: Request<()>) -> Result<Request<()>, Status> {
    let mut values = request.metadata().get_all(HEADER).iter();
    let right = values.next().is_some_and(|value| value == HEADER_VALUE);
    if right && values.next().is_none() {
        Ok(request)
    } else {
        Err(Refusal::Header.into())
    }
}

/// Logs the refusal once, and makes it the caller's.
fn tell(refusal: Refusal, kind: Kind, pid: u32, uid: u32) -> Status {
    tracing::info!(pid, uid, ?kind, why = %refusal, "a stream of the Workload API ended");
    refusal.into()
}

const HEADER: &str = "workload.spiffe.io";
const HEADER_VALUE: &str = "true";

//! Everything that is served on the socket of the Workload API.
//!
//! | Service | Header |
//! |---|---|
//! | `SpiffeWorkloadAPI` | demanded |
//! | `protem.agent.v1.LocalAgent` | demanded |
//! | `grpc.health.v1.Health` | not demanded: probes do not send it, and it tells no secret |
//! | `grpc.reflection.v1`, `v1alpha` | not demanded, for the same reason |
//!
//! Promises: what a caller sends is small or refused; what one connection and one process hold open
//! is bounded; a connection whose other end answers no ping is closed. Reflection lists what is
//! served here and nothing else.
//! Refuses: HTTP/1.

use std::sync::Arc;
use std::time::Duration;

use tonic::server::NamedService as _;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;
use tonic::transport::server::Router;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::{Builder, Error as ReflectionError};

use crate::agent::keeper::Keeper;
use crate::agent::local::{Local, LocalParts, StatusSource};
use crate::agent::seats::Seats;
use crate::agent::workload_api::{WorkloadApi, with_header};
use crate::client::Client;
use crate::proto::DESCRIPTORS;
use crate::proto::agent::local_agent_server::LocalAgentServer;
use crate::proto::workload::spiffe_workload_api_server::SpiffeWorkloadApiServer;
use crate::time::Clock;

/// The parts that the socket is made of.
pub(crate) struct WorkloadSocket {
    /// What callers hold.
    pub(crate) keeper: Keeper,
    /// Nothing that has ended by it is given.
    pub(crate) clock: Arc<dyn Clock>,
    /// The server, asked with the agent's SVID.
    pub(crate) server: Arc<Client>,
    /// What `protem agent status` shows.
    pub(crate) status: StatusSource,
    /// What probes are told; see [`serving`].
    pub(crate) health: HealthReporter,
    /// The user of this process.
    pub(crate) own_uid: u32,
    /// What one process and all together may have open.
    pub(crate) limits: SocketLimits,
}

/// How much may be open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketLimits {
    /// Streams of the Workload API of one process.
    pub(crate) streams_each: usize,
    /// Streams of the Workload API in all.
    pub(crate) streams: usize,
    /// Calls and streams of one connection.
    pub(crate) calls_per_connection: u32,
}

impl SocketLimits {
    /// What every real socket uses.
    pub(crate) const fn standard() -> Self {
        Self {
            streams_each: STREAMS_EACH_MAX,
            streams: STREAMS_MAX,
            calls_per_connection: CALLS_PER_CONNECTION_MAX,
        }
    }
}

impl WorkloadSocket {
    /// The services, ready for connections that carry a
    /// [`LocalCaller`](crate::agent::local_caller::LocalCaller).
    ///
    /// # Errors
    /// None in a released protem: a test builds it.
    pub(crate) fn router(self) -> Result<Router, ReflectionError> {
        let api = WorkloadApi {
            keeper: self.keeper.clone(),
            clock: self.clock.clone(),
            seats: Seats::new(self.limits.streams_each, self.limits.streams),
        };
        let api = SpiffeWorkloadApiServer::new(api)
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX);
        let local = Local::new(LocalParts {
            keeper: self.keeper,
            clock: self.clock,
            server: self.server,
            status: self.status,
            own_uid: self.own_uid,
        });
        let local = LocalAgentServer::new(local)
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(STATUS_BYTES_MAX);
        let health = HealthServer::new(HealthService::from_health_reporter(self.health))
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        let v1 = reflection()
            .build_v1()?
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        let v1alpha = reflection()
            .build_v1alpha()?
            .max_decoding_message_size(REQUEST_BYTES_MAX);
        let routes = Routes::new(InterceptedService::new(api, with_header))
            .add_service(InterceptedService::new(local, with_header))
            .add_service(health)
            .add_service(v1)
            .add_service(v1alpha)
            .prepare();
        Ok(server(self.limits).add_routes(routes))
    }
}

/// Tells probes whether callers are served: once the server has told what there is, until the end.
pub(crate) async fn serving(health: &HealthReporter, serving: bool) {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for service in SERVICES.into_iter().chain([""]) {
        health.set_service_status(service, status).await;
    }
}

fn server(limits: SocketLimits) -> Server {
    Server::builder()
        .timeout(OPEN_LONGEST)
        .max_concurrent_streams(limits.calls_per_connection)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_LONGEST))
        .http2_max_header_list_size(HEADER_BYTES_MAX)
}

fn reflection() -> Builder<'static> {
    SERVICES.into_iter().fold(
        Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS),
        Builder::with_service_name,
    )
}

const SERVICES: [&str; 2] = [
    SpiffeWorkloadApiServer::<WorkloadApi>::NAME,
    LocalAgentServer::<Local>::NAME,
];

/// Requests are empty or a few short texts.
const REQUEST_BYTES_MAX: usize = 4 * 1024;
/// What clients of gRPC take by default.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A whole agent with thousands of streams.
const STATUS_BYTES_MAX: usize = 16 * 1024 * 1024;
const WINDOW_BYTES: u32 = 64 * 1024 - 1;
const HEADER_BYTES_MAX: u32 = 8 * 1024;
/// Until a call is answered or a stream has begun; who sends half a request has no longer either.
const OPEN_LONGEST: Duration = Duration::from_secs(100);
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_LONGEST: Duration = Duration::from_secs(20);
/// A process needs one; libraries open one for each of their sources.
const STREAMS_EACH_MAX: usize = 64;
const STREAMS_MAX: usize = 65_536;
const CALLS_PER_CONNECTION_MAX: u32 = 128;

//! Everything that is served on the socket of the Workload API.
//!
//! | Service | Header |
//! |---|---|
//! | `SpiffeWorkloadAPI` | demanded |
//! | `protem.agent.v1.LocalAgent` | demanded |
//! | `grpc.health.v1.Health` | not demanded: probes do not send it, and it tells no secret |
//! | `grpc.reflection.v1`, `v1alpha` | not demanded, for the same reason |
//!
//! Promises: what a caller sends is small or refused; what one connection, one process and one user
//! hold open is bounded before anything of it is read, probes and reflection too; a connection
//! whose other end answers no ping is closed. Reflection lists what is served here and nothing
//! else. Refuses: HTTP/1.

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
use crate::agent::local::{LocalCalls, LocalParts, StatusSource};
use crate::agent::local_caller::LocalCaller;
use crate::agent::observe::Metrics;
use crate::agent::refusal::Refusal;
use crate::agent::seated::{Room, Seated, Until};
use crate::agent::seats::{Seats, SeatsMax};
use crate::agent::workload_api::{Ends, WorkloadApi, with_header};
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
    /// Where refused callers are counted.
    pub(crate) metrics: Metrics,
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
            ends: Ends::new(self.clock.clone(), self.metrics.streams_ended.clone()),
            seats: Seats::new(SeatsMax::of(self.limits.streams, self.limits.streams_each)),
        };
        let api = SpiffeWorkloadApiServer::new(api)
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX);
        let local = LocalCalls::new(LocalParts {
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
        let room = |max, until| {
            let refused = self.metrics.calls_refused.clone();
            Room::of(Seats::new(max), until, refused, || Refusal::Streams.into())
        };
        // Whoever is answered with a stream has a seat of its own by then.
        let api_room = room(SeatsMax::of(DOOR_MAX, DOOR_OF_PROCESS_MAX), Until::Answered);
        let local_room = room(SeatsMax::of(LOCAL_MAX, LOCAL_OF_PROCESS_MAX), Until::Gone);
        let probes = room(SeatsMax::of(PROBES_MAX, PROBES_EACH_MAX), Until::Gone);
        let api = Seated::<_, LocalCaller>::new(api, &api_room);
        let local = Seated::<_, LocalCaller>::new(local, &local_room);
        let routes = Routes::new(InterceptedService::new(api, with_header))
            .add_service(InterceptedService::new(local, with_header))
            .add_service(Seated::<_, LocalCaller>::new(health, &probes))
            .add_service(Seated::<_, LocalCaller>::new(v1, &probes))
            .add_service(Seated::<_, LocalCaller>::new(v1alpha, &probes))
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
    LocalAgentServer::<LocalCalls>::NAME,
];

/// Requests are empty or a few short texts.
const REQUEST_BYTES_MAX: usize = 4 * 1024;
/// What clients of gRPC take by default.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A whole agent with thousands of streams.
const STATUS_BYTES_MAX: usize = 16 * 1024 * 1024;
const WINDOW_BYTES: u32 = 64 * 1024 - 1;
/// Of clients of gRPC some hundred bytes.
const HEADER_BYTES_MAX: u32 = 4 * 1024;
/// Until a call is answered or a stream has begun.
const OPEN_LONGEST: Duration = Duration::from_secs(100);
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_LONGEST: Duration = Duration::from_secs(20);
/// A process needs one; libraries open one for each of their sources.
const STREAMS_EACH_MAX: usize = 64;
const STREAMS_MAX: usize = 65_536;
/// Calls of the Workload API that are not answered yet, so that who only begins them takes no seat
/// of a stream; a connection's worth of one process.
const DOOR_MAX: usize = 16_384;
const DOOR_OF_PROCESS_MAX: usize = 128;
/// Calls of the agent's own service, from their first byte to their last.
const LOCAL_MAX: usize = 1_024;
const LOCAL_OF_PROCESS_MAX: usize = 16;
/// Calls and streams of health and reflection of one process.
const PROBES_EACH_MAX: usize = 16;
const PROBES_MAX: usize = 4_096;
const CALLS_PER_CONNECTION_MAX: u32 = 128;

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tonic::metadata::MetadataValue;
    use tonic::transport::{Channel, Endpoint};
    use tonic::{Code, Request};
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1alpha;

    use super::*;
    use crate::agent::stand::{Served, Stand, identity};
    use crate::proto::agent::StatusRequest;
    use crate::proto::agent::local_agent_client::LocalAgentClient;
    use crate::proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
    use crate::proto::workload::{
        JwtBundlesRequest, JwtsvidRequest, ValidateJwtsvidRequest, X509BundlesRequest,
        X509svidRequest,
    };

    const A: &str = "spiffe://td/a";

    async fn channel(served: &Served) -> Channel {
        let uri = format!("unix:{}", served.path.display());
        Endpoint::from_shared(uri).unwrap().connect().await.unwrap()
    }

    fn with<T>(message: T, values: &[&'static str]) -> Request<T> {
        let mut request = Request::new(message);
        for value in values {
            let value = MetadataValue::from_static(value);
            request.metadata_mut().append("workload.spiffe.io", value);
        }
        request
    }

    /// How each method of the Workload API answers under these headers.
    async fn answers(served: &Served, values: &[&'static str]) -> Vec<Code> {
        let mut api = SpiffeWorkloadApiClient::new(channel(served).await);
        let code = |status: Option<tonic::Status>| status.map_or(Code::Ok, |status| status.code());
        vec![
            code(
                api.fetch_x509svid(with(X509svidRequest {}, values))
                    .await
                    .err(),
            ),
            code(
                api.fetch_x509_bundles(with(X509BundlesRequest {}, values))
                    .await
                    .err(),
            ),
            code(
                api.fetch_jwtsvid(with(JwtsvidRequest::default(), values))
                    .await
                    .err(),
            ),
            code(
                api.fetch_jwt_bundles(with(JwtBundlesRequest {}, values))
                    .await
                    .err(),
            ),
            code(
                api.validate_jwtsvid(with(ValidateJwtsvidRequest::default(), values))
                    .await
                    .err(),
            ),
        ]
    }

    fn one(stand: &Stand) {
        let svid = stand.base(A, 1);
        stand.tell(|holdings| {
            holdings.told = true;
            holdings.identities = vec![identity(A, None, Some(svid))];
        });
    }

    #[tokio::test]
    async fn the_header_is_demanded_once_and_right_before_anything_else() {
        let stand = Stand::new();
        one(&stand);
        let served = stand.serve();
        for wrong in [
            &[][..],
            &["True"],
            &["true", "true"],
            &["true", "false"],
            &[""],
        ] {
            let codes = answers(&served, wrong).await;
            assert_eq!(codes, [Code::InvalidArgument; 5], "{wrong:?}");
        }
        let seen = *stand.caller.asked.lock().unwrap();
        assert_eq!(seen, 0, "nobody was attested");
        let no = Code::Unimplemented;
        assert_eq!(
            answers(&served, &["true"]).await,
            [Code::Ok, Code::Ok, no, no, no]
        );
        let mut local = LocalAgentClient::new(channel(&served).await);
        let status = local.status(StatusRequest {}).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
    }

    #[tokio::test]
    async fn health_follows_the_agent_and_needs_no_header() {
        let stand = Stand::new();
        let health = HealthReporter::new();
        let served = stand.serve_with(SocketLimits::standard(), health.clone());
        let mut client = HealthClient::new(channel(&served).await);
        for on in [false, true, false] {
            serving(&health, on).await;
            for service in ["", "SpiffeWorkloadAPI", "protem.agent.v1.LocalAgent"] {
                let service = service.to_owned();
                let answer = client.check(HealthCheckRequest { service }).await.unwrap();
                let expected = if on { 1 } else { 2 };
                assert_eq!(answer.into_inner().status, expected);
            }
        }
    }

    #[tokio::test]
    async fn a_process_has_few_watches_of_health() {
        let stand = Stand::new();
        let served = stand.serve();
        let mut client = HealthClient::new(channel(&served).await);
        let mut watches = Vec::new();
        for _ in 0..PROBES_EACH_MAX {
            let watch = client.watch(HealthCheckRequest::default()).await;
            watches.push(watch.unwrap());
        }
        let full = client.watch(HealthCheckRequest::default()).await;
        assert_eq!(full.unwrap_err().code(), Code::Unavailable);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_call_has_a_seat_and_an_end() {
        let stand = Stand::new();
        one(&stand);
        let served = stand.serve();
        let (first, second) = (channel(&served).await, channel(&served).await);
        let calls = (0..2 * 100).map(|number| {
            let mut grpc = tonic::client::Grpc::new([&first, &second][number % 2].clone());
            async move {
                grpc.ready().await.unwrap();
                let sent = (number % 3 == 0).then_some(X509svidRequest {});
                let sent = tokio_stream::iter(sent).chain(tokio_stream::pending());
                let codec = crate::proto::Codec::<X509svidRequest, X509svidRequest>::default();
                let path = http::uri::PathAndQuery::from_static("/SpiffeWorkloadAPI/FetchX509SVID");
                let request = with((), &["true"]);
                let answer = grpc.client_streaming(request.map(|()| sent), path, codec);
                answer.await.unwrap_err().code()
            }
        });
        let ends: Vec<_> = futures_util::future::join_all(calls).await;
        let count = |code| ends.iter().filter(|end| **end == code).count();
        assert_eq!(count(Code::DeadlineExceeded), DOOR_OF_PROCESS_MAX);
        assert_eq!(count(Code::Unavailable), 200 - DOOR_OF_PROCESS_MAX);
        assert_eq!(*stand.caller.asked.lock().unwrap(), 0);
        assert_eq!(answers(&served, &["true"]).await[0], Code::Ok);
    }

    #[tokio::test]
    async fn reflection_lists_what_is_served_in_both_versions() {
        let stand = Stand::new();
        let served = stand.serve();
        let channel = channel(&served).await;
        let ask = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut client = ServerReflectionClient::new(channel.clone());
        let asked = tokio_stream::iter([ask]);
        let mut told = client
            .server_reflection_info(asked)
            .await
            .unwrap()
            .into_inner();
        let told = told.next().await.unwrap().unwrap().message_response;
        let Some(MessageResponse::ListServicesResponse(told)) = told else {
            panic!("{told:?}");
        };
        let names: Vec<_> = told.service.iter().map(|one| one.name.as_str()).collect();
        assert!(names.contains(&"SpiffeWorkloadAPI"), "{names:?}");
        assert!(names.contains(&"protem.agent.v1.LocalAgent"), "{names:?}");
        assert!(
            !names.iter().any(|name| name.starts_with("envoy.")),
            "{names:?}"
        );

        let ask = v1alpha::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(
                v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                    "SpiffeWorkloadAPI".to_owned(),
                ),
            ),
        };
        let asked = tokio_stream::iter([ask]);
        let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
        let mut told = client
            .server_reflection_info(asked)
            .await
            .unwrap()
            .into_inner();
        assert!(told.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_process_has_so_many_streams_and_its_closed_ones_count_no_more() {
        let stand = Stand::new();
        one(&stand);
        let limits = SocketLimits {
            streams_each: 2,
            ..SocketLimits::standard()
        };
        let served = stand.serve_with(limits, HealthReporter::new());
        let mut api = SpiffeWorkloadApiClient::new(channel(&served).await);
        let ask = || with(X509svidRequest {}, &["true"]);
        let first = api.fetch_x509svid(ask()).await.unwrap();
        let _second = api.fetch_x509svid(ask()).await.unwrap();
        let refused = api.fetch_x509svid(ask()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        drop(first);
        let mut seen = stand.seen.clone();
        let left = crate::agent::stand::Seen::Left;
        seen.wait_for(|seen| seen.contains(&left)).await.unwrap();
        api.fetch_x509svid(ask()).await.unwrap();
    }

    #[tokio::test]
    async fn long_requests_and_unknown_methods_are_refused() {
        let stand = Stand::new();
        one(&stand);
        let served = stand.serve();
        let mut api = SpiffeWorkloadApiClient::new(channel(&served).await);
        let long = JwtsvidRequest {
            audience: vec!["x".repeat(REQUEST_BYTES_MAX)],
            spiffe_id: String::new(),
        };
        let refused = api.fetch_jwtsvid(with(long, &["true"])).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange);
        assert_eq!(
            answers(&served, &["true"]).await[0],
            Code::Ok,
            "others go on"
        );
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_given_the_newest_when_it_does() {
        let stand = Stand::new();
        one(&stand);
        let served = stand.serve();
        let endpoint = Endpoint::from_shared(format!("unix:{}", served.path.display())).unwrap();
        let endpoint = endpoint.initial_stream_window_size(64);
        let mut api = SpiffeWorkloadApiClient::new(endpoint.connect().await.unwrap());
        let mut stream = api
            .fetch_x509svid(with(X509svidRequest {}, &["true"]))
            .await
            .unwrap();
        let first = stream.get_mut().message().await.unwrap().unwrap();
        let many = 200;
        for generation in 2..=many {
            let svid = stand.base(A, generation);
            stand.tell(|holdings| holdings.identities[0].svid = Some(svid));
            tokio::task::yield_now().await;
        }
        let newest = stand.holdings.borrow().identities[0].svid.clone().unwrap();
        let mut messages = 0;
        loop {
            let message = stream.get_mut().message().await.unwrap().unwrap();
            messages += 1;
            if message.svids[0].x509_svid == newest.chain_der {
                break;
            }
            assert_ne!(message, first);
        }
        assert!(messages < 10, "{messages} of {many} waited in line");
    }
}

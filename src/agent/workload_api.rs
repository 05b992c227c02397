//! The SPIFFE Workload API (SPIFFE Workload API and SPIFFE Workload Endpoint), X.509 profile.
//!
//! | Method | Answer |
//! |---|---|
//! | `FetchX509SVID` | a stream of all that the caller holds, at once and after each change |
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
use crate::agent::rarely::Rarely;
use crate::agent::refusal::Refusal;
use crate::agent::seats::Seats;
use crate::agent::workload_api::handout::{Handout, Kind};
use crate::agent::workload_api::subscription::Subscription;
use crate::metric::{Counter, Many};
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
    /// What is said of their ends.
    pub(crate) ends: Arc<Ends>,
}

/// What the log and the metrics are told of streams that end.
pub(crate) struct Ends {
    /// For the pace of the log.
    clock: Arc<dyn Clock>,
    lines: Rarely,
    counted: Many<Counter>,
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
        let ends = Arc::clone(&self.ends);
        let told = move |refusal| ends.tell(refusal, kind, pid, uid);
        let seat = self.seats.take(&caller);
        let seat = seat.ok_or(Refusal::Streams).map_err(&told)?;
        let (keeper, clock) = (self.keeper.clone(), self.clock.clone());
        let subscription = Subscription::open(kind, caller, keeper, clock, seat).await;
        let handouts = subscription.map_err(&told)?.handouts();
        let messages = handouts.map(move |handout| handout.map(message).map_err(&told));
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
pub(crate) fn with_header(request: Request<()>) -> Result<Request<()>, Status> {
    let mut values = request.metadata().get_all(HEADER).iter();
    let right = values.next().is_some_and(|value| value == HEADER_VALUE);
    if right && values.next().is_none() {
        Ok(request)
    } else {
        Err(Refusal::Header.into())
    }
}

impl Ends {
    /// Nothing yet.
    pub(crate) fn new(clock: Arc<dyn Clock>, counted: Many<Counter>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            lines: Rarely::default(),
            counted,
        })
    }

    /// Counts and logs the refusal, and makes it the caller's: he alone hears what he shows.
    fn tell(&self, refusal: Refusal, kind: Kind, pid: u32, uid: u32) -> Status {
        let why = refusal.kind();
        self.counted.add(why);
        if let Some(kept_back) = self.lines.due(why, &*self.clock) {
            tracing::info!(
                pid,
                uid,
                ?kind,
                why,
                kept_back,
                "a stream of the Workload API ended"
            );
        }
        refusal.into()
    }
}

const HEADER: &str = "workload.spiffe.io";
const HEADER_VALUE: &str = "true";

#[cfg(test)]
mod ends_tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;
    use crate::agent::refusal::Shows;
    use crate::metric::agent_table;
    use crate::time::{ManualClock, Timestamp};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_is_refused_again_and_again_fills_no_log_and_what_he_shows_is_not_in_it() {
        let log = Log::default();
        let to = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || to.clone());
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_s(1_000).unwrap()));
        let ends = Ends::new(clock, agent_table::STREAMS_ENDED.counters());
        tracing::subscriber::with_default(subscriber.finish(), || {
            for _ in 0..1_000 {
                let shows = Shows::of(&["unix:uid:4242".parse().unwrap()].into());
                let told = ends.tell(Refusal::NoIdentity(shows), Kind::Svids, 7, 8);
                assert!(told.message().contains("unix:uid:4242"), "{told}");
            }
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("no_identity") && !text.contains("4242"),
            "{text}"
        );
    }
}

/// Clients that others wrote, over a real socket.
#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Stdio;

    use serde_json::{Value, json};
    use spiffe::{WorkloadApiClient, WorkloadApiError, X509Source};
    use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
    use tokio::process::{Child, ChildStdout, Command};

    use super::*;
    use crate::agent::stand::{Served, Stand, identity};

    const A: &str = "spiffe://td/a";
    const B: &str = "spiffe://td/b";

    /// Two entries and one elevation, federated with a friend.
    fn hold(stand: &Stand, generation: u64) {
        let (a, b) = (stand.base(A, generation), stand.base(B, generation + 1));
        let elevated = stand.elevated(A, "db.read", generation + 2);
        stand.tell(|holdings| {
            holdings.told = true;
            holdings.identities = vec![
                identity(A, Some("main"), Some(a)),
                identity(B, None, Some(b)),
            ];
            holdings.elevated = vec![elevated];
            holdings.federates_with = ["friend".parse().unwrap()].into();
            let bundles = Arc::make_mut(&mut holdings.bundles);
            for domain in ["friend", "stranger"] {
                let root = crate::agent::stand::Root::new(domain, stand.now());
                bundles.generation.0 += 1;
                bundles
                    .roots
                    .insert(domain.parse().unwrap(), vec![root.der]);
            }
        });
    }

    fn endpoint(served: &Served) -> String {
        format!("unix://{}", served.path.display())
    }

    /// The Python client, and what it says line by line.
    struct Python {
        lines: Lines<BufReader<ChildStdout>>,
        /// Killed when it is dropped.
        _child: Child,
    }

    impl Python {
        fn start(act: &str, served: &Served) -> Self {
            let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
            let python = repository.join("target/tools/venv/bin/python");
            assert!(python.is_file(), "run `tests/run tools` once");
            let mut child = Command::new(python)
                .arg(repository.join("tests/workload_api/client.py"))
                .arg(act)
                .arg(&served.path)
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            Self {
                lines,
                _child: child,
            }
        }

        async fn says(&mut self) -> Value {
            let line = self.lines.next_line().await.unwrap();
            serde_json::from_str(&line.expect("it says nothing more")).unwrap()
        }
    }

    #[tokio::test]
    async fn the_rust_client_takes_what_is_held() {
        let stand = Stand::new();
        hold(&stand, 1);
        let served = stand.serve();
        let client = WorkloadApiClient::connect_to(endpoint(&served))
            .await
            .unwrap();
        let context = client.fetch_x509_context().await.unwrap();
        let ids = context
            .svids()
            .iter()
            .map(|svid| svid.spiffe_id().to_string());
        let ids: Vec<_> = ids.collect();
        assert_eq!(ids, [A, B, "spiffe://td/a/scope/db.read"]);
        assert_eq!(context.default_svid().unwrap().spiffe_id().to_string(), A);
        let hints = context
            .svids()
            .iter()
            .map(|svid| svid.hint().unwrap_or_default());
        assert_eq!(hints.collect::<Vec<_>>(), ["main", "", "scope/db.read"]);
        let bundles = client.fetch_x509_bundles().await.unwrap();
        assert_eq!(bundles.len(), 2, "his own and his friend's");
    }

    #[tokio::test]
    async fn the_rust_source_takes_an_update_and_is_told_of_the_end() {
        let stand = Stand::new();
        hold(&stand, 1);
        let served = stand.serve();
        let source = X509Source::builder().endpoint(endpoint(&served));
        let source = source.build().await.unwrap();
        let serial = || source.svid().unwrap().leaf().as_bytes().to_vec();
        let first = serial();
        let mut updated = source.updated();
        hold(&stand, 11);
        updated.changed().await.unwrap();
        assert_ne!(serial(), first);
        source.shutdown().await;

        stand.tell(|holdings| holdings.identities.clear());
        let client = WorkloadApiClient::connect_to(endpoint(&served))
            .await
            .unwrap();
        let denied = client.fetch_x509_svid().await.unwrap_err();
        assert!(
            matches!(denied, WorkloadApiError::NoIdentityIssued),
            "{denied}"
        );
    }

    #[tokio::test]
    async fn the_python_client_takes_what_is_held_each_update_and_the_end() {
        let stand = Stand::new();
        hold(&stand, 1);
        let served = stand.serve();
        let ids = json!([A, B, "spiffe://td/a/scope/db.read"]);
        let both = json!({ "td": 1, "friend": 1 });
        let told = Python::start("svids", &served).says().await;
        assert_eq!((&told["svids"], &told["default"]), (&ids, &json!(A)));
        assert_eq!(told["bundles"], both);
        assert_eq!(Python::start("bundles", &served).says().await, both);

        let mut watching = Python::start("watch", &served);
        let first = watching.says().await;
        hold(&stand, 11);
        let second = watching.says().await;
        assert_eq!((&first["svids"], &second["svids"]), (&ids, &ids));
        assert_ne!(first["serials"], second["serials"]);
        stand.tell(|holdings| holdings.elevated.clear());
        assert_eq!(watching.says().await["svids"], json!([A, B]));
        stand.tell(|holdings| holdings.identities.clear());
        let end = watching.says().await;
        assert!(
            end["error"].as_str().unwrap().contains("PERMISSION_DENIED"),
            "{end}"
        );
        let told = Python::start("svids", &served).says().await;
        assert!(
            told["error"]
                .as_str()
                .unwrap()
                .contains("no identity issued"),
            "{told}"
        );
    }

    #[tokio::test]
    async fn a_client_without_the_header_is_turned_away_by_every_method() {
        let stand = Stand::new();
        hold(&stand, 1);
        let served = stand.serve();
        let mut bare = Python::start("bare", &served);
        for method in [
            "FetchX509SVID",
            "FetchX509Bundles",
            "FetchJWTSVID",
            "FetchJWTBundles",
            "ValidateJWTSVID",
        ] {
            let told = bare.says().await;
            assert_eq!(
                (&told["method"], &told["code"]),
                (&json!(method), &json!("INVALID_ARGUMENT"))
            );
            assert!(
                told["words"]
                    .as_str()
                    .unwrap()
                    .contains("workload.spiffe.io"),
                "{told}"
            );
        }
        assert_eq!(*stand.caller.asked.lock().unwrap(), 0);
    }
}

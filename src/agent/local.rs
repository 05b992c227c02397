//! What the agent does for a local caller beside the Workload API: ask for elevations, and tell how
//! it fares.
//!
//! Promises: every call attests its caller anew, before anything is kept for him; an elevation is
//! asked for in the name of one of his own subjects, and only its subject hears of it. What the
//! server says goes to the caller in the server's words.
//! Refuses: more calls at once, and a faster pace of asking, waiting and looking, than the named
//! bounds; to take root of a container for root of the host.

mod ask;
mod pace;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use crate::agent::holdings::Holdings;
use crate::agent::keeper::{Ending, Keeper};
use crate::agent::local::pace::Pace;
pub(crate) use crate::agent::local::status::Part;
use crate::agent::local_caller::LocalCaller;
use crate::agent::refusal::{Refusal, Shows};
use crate::agent::seats::{Seat, Seats, SeatsMax};
use crate::client::{Client, ClientError};
use crate::identity::Selector;
use crate::proto::agent::local_agent_server::LocalAgent;
use crate::proto::agent::{
    ElevateRequest, ElevateResponse, StatusRequest, StatusResponse, WaitElevationRequest,
};
use crate::scope::Scope;
use crate::time::{Clock, Seconds};
use crate::wire::elevation::ElevationView;
use crate::wire::problem::ProblemKind;

/// Where the status comes from, made when it is asked for.
pub(crate) type StatusSource =
    Arc<dyn Fn(Part) -> BoxFuture<'static, Result<StatusResponse, Ending>> + Send + Sync>;

/// The service.
pub(crate) struct LocalCalls {
    keeper: Keeper,
    clock: Arc<dyn Clock>,
    server: Arc<Client>,
    status: StatusSource,
    own_uid: u32,
    pace: Pace,
    waits: Pace,
    looks: Pace<u32>,
    calls: Arc<Seats>,
}

/// A caller who is attested and has a seat.
struct Seated {
    selectors: Arc<BTreeSet<Selector>>,
    /// Whether he may see and do what the operator of this host may.
    of_host: bool,
    _seat: Seat,
}

/// The parts of [`LocalCalls`].
pub(crate) struct LocalParts {
    /// What callers hold.
    pub(crate) keeper: Keeper,
    /// For the pace.
    pub(crate) clock: Arc<dyn Clock>,
    /// The server, asked with the agent's SVID.
    pub(crate) server: Arc<Client>,
    /// All of it, as it stands.
    pub(crate) status: StatusSource,
    /// The user of this process.
    pub(crate) own_uid: u32,
}

impl LocalCalls {
    /// The service from its parts.
    pub(crate) fn new(parts: LocalParts) -> Self {
        Self {
            keeper: parts.keeper,
            clock: parts.clock,
            server: parts.server,
            status: parts.status,
            own_uid: parts.own_uid,
            pace: Pace::of_asking(),
            waits: Pace::of_waiting(),
            looks: Pace::of_status(),
            calls: Seats::new(SeatsMax::of(CALLS_MAX, CALLS_EACH_MAX)),
        }
    }

    /// Attests a caller and gives him a seat.
    async fn seat(&self, caller: &LocalCaller) -> Result<Seated, Refusal> {
        let selectors = caller.attest().await?;
        // The same number in a container is not the same user, or not with the same rights.
        let contained = selectors
            .iter()
            .any(|selector| selector.as_str().starts_with(OF_CONTAINER));
        let uid = caller.uid();
        let seat = self.calls.take(caller).ok_or(Refusal::Busy)?;
        Ok(Seated {
            selectors,
            of_host: !contained && (uid == ROOT || uid == self.own_uid),
            _seat: seat,
        })
    }

    async fn ask(&self, request: Request<ElevateRequest>) -> Result<ElevateResponse, Refusal> {
        let caller = LocalCaller::of(request.extensions())?;
        let asked = request.into_inner();
        let scope: Scope = asked.scope.parse().map_err(Refusal::Scope)?;
        let seated = self.seat(&caller).await?;
        let holdings = self.told(&caller, &seated).await?;
        let subject = ask::subject_of(&holdings, &asked.subject)?;
        let pace = self.pace.ask(subject, &*self.clock);
        pace.map_err(Refusal::Pace)?;
        let holder = ask::holder(&asked, caller.holder());
        let request = ask::request(asked, &scope, subject, &holder);
        let answer = self.server.elevate(&request).await;
        let (pid, uid) = (caller.pid(), caller.uid());
        let scope = scope.as_str();
        match answer {
            Ok(view) => {
                let (elevation, state) = (&view.id, &view.state);
                tracing::info!(pid, uid, %subject, scope, elevation, state, "elevation asked for");
                Ok(ask::answer(view))
            }
            Err(error) => {
                tracing::info!(pid, uid, %subject, scope, %error, "elevation asked for in vain");
                Err(Refusal::Server(Box::new(error)))
            }
        }
    }

    async fn wait(
        &self,
        request: Request<WaitElevationRequest>,
    ) -> Result<ElevateResponse, Refusal> {
        let caller = LocalCaller::of(request.extensions())?;
        let WaitElevationRequest { elevation, state } = request.into_inner();
        if !is_id(&elevation) {
            return Err(Refusal::NoElevation(
                elevation.chars().take(ID_BYTES_MAX).collect(),
            ));
        }
        let seated = self.seat(&caller).await?;
        let holdings = self.told(&caller, &seated).await?;
        // The server is asked for any id that somebody names, so not without a pace.
        let default = ask::subject_of(&holdings, "")?;
        let pace = self.waits.ask(default, &*self.clock);
        pace.map_err(Refusal::Pace)?;
        let view = own(
            self.server.elevation(&elevation).await,
            &elevation,
            &holdings,
        )?;
        if view.state != state {
            return Ok(ask::answer(view));
        }
        let waited = self.server.wait_elevation(&elevation, &state, WAIT_LONGEST);
        let view = own(waited.await, &elevation, &holdings)?;
        Ok(ask::answer(view))
    }

    async fn status_of(&self, request: Request<StatusRequest>) -> Result<StatusResponse, Refusal> {
        let caller = LocalCaller::of(request.extensions())?;
        let seated = self.seat(&caller).await?;
        if seated.of_host {
            let status = (self.status)(Part::All).await;
            return status.map_err(|_| Refusal::Ending);
        }
        let pace = self.looks.ask(&caller.uid(), &*self.clock);
        pace.map_err(Refusal::StatusPace)?;
        let status = (self.status)(Part::OfProcess(caller.pid())).await;
        let status = status.map_err(|_| Refusal::Ending)?;
        let selectors = Arc::clone(&seated.selectors);
        let following = self.keeper.follow(selectors, caller.holder()).await;
        let holdings = following.map_err(|_| Refusal::Ending)?.now();
        Ok(status::own_part(&status, &holdings, caller.pid()))
    }

    /// What the caller may hold, once the server has told.
    async fn told(&self, caller: &LocalCaller, seated: &Seated) -> Result<Arc<Holdings>, Refusal> {
        let selectors = Arc::clone(&seated.selectors);
        let following = self.keeper.follow(selectors, caller.holder()).await;
        let mut following = following.map_err(|_| Refusal::Ending)?;
        let told = async {
            loop {
                let holdings = following.now();
                if holdings.told {
                    return Ok(holdings);
                }
                following.changed().await.map_err(|_| Refusal::Ending)?;
            }
        };
        let told = timeout(TOLD_LONGEST, told).await;
        let holdings = told.map_err(|_| Refusal::NotTold)??;
        if holdings.identities.is_empty() {
            return Err(Refusal::NoIdentity(Shows::of(&seated.selectors)));
        }
        Ok(holdings)
    }
}

#[tonic::async_trait]
impl LocalAgent for LocalCalls {
    async fn elevate(
        &self,
        request: Request<ElevateRequest>,
    ) -> Result<Response<ElevateResponse>, Status> {
        Ok(Response::new(self.ask(request).await?))
    }

    async fn wait_elevation(
        &self,
        request: Request<WaitElevationRequest>,
    ) -> Result<Response<ElevateResponse>, Status> {
        Ok(Response::new(self.wait(request).await?))
    }

    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.status_of(request).await?))
    }
}

/// The elevation, where it is one of the caller's subjects; to everybody else it is not there.
fn own(
    answer: Result<ElevationView, ClientError>,
    id: &str,
    holdings: &Holdings,
) -> Result<ElevationView, Refusal> {
    let none = || Refusal::NoElevation(id.to_owned());
    let view = answer.map_err(|error| match error.problem() {
        Some(ProblemKind::NotFound | ProblemKind::Forbidden | ProblemKind::Unprocessable) => none(),
        _ => Refusal::Server(Box::new(error)),
    })?;
    let mut subjects = holdings
        .identities
        .iter()
        .map(|identity| identity.entry.subject.to_string());
    if subjects.any(|subject| subject == view.subject) {
        Ok(view)
    } else {
        Err(none())
    }
}

fn is_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    (1..=ID_BYTES_MAX).contains(&text.len())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

const ROOT: u32 = 0;
/// Of one process at once.
const CALLS_EACH_MAX: usize = 8;
/// Of all processes at once: each may hold a connection to the server.
const CALLS_MAX: usize = 128;
/// How a selector begins that only a process in a container shows.
const OF_CONTAINER: &str = "container:";
const ID_BYTES_MAX: usize = 64;
const TOLD_LONGEST: Duration = Duration::from_secs(5);
/// Shorter than what the socket lets a call take.
const WAIT_LONGEST: Seconds = Seconds::new(20);

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tonic::{Code, Extensions};

    use super::*;
    use crate::agent::local_caller::Attest;
    use crate::agent::stand::{Stand, TestCaller, identity};
    use crate::proto::agent::{HeldStatus, StreamStatus};

    const A: &str = "spiffe://td/a";

    fn local(stand: &Stand, status: StatusResponse) -> LocalCalls {
        LocalCalls::new(LocalParts {
            keeper: stand.keeper.clone(),
            clock: stand.clock.clone(),
            server: Arc::new(stand.nowhere()),
            status: Arc::new(move |_| {
                let status = status.clone();
                Box::pin(async move { Ok(status) })
            }),
            own_uid: 900,
        })
    }

    fn from<T>(caller: LocalCaller, message: T) -> Request<T> {
        let mut extensions = Extensions::new();
        extensions.insert(caller);
        Request::from_parts(tonic::metadata::MetadataMap::new(), extensions, message)
    }

    fn ask(scope: &str, subject: &str) -> ElevateRequest {
        ElevateRequest {
            scope: scope.to_owned(),
            subject: subject.to_owned(),
            ..ElevateRequest::default()
        }
    }

    fn one(stand: &Stand) {
        stand.tell(|holdings| {
            holdings.told = true;
            holdings.identities = vec![identity(A, None, None)];
        });
    }

    #[tokio::test(start_paused = true)]
    async fn asking_is_refused_with_the_reason_before_the_server_hears_of_it() {
        let stand = Stand::new();
        let local = local(&stand, StatusResponse::default());
        let code = async |scope, subject| {
            let request = from(stand.caller(), ask(scope, subject));
            let status = local.elevate(request).await.unwrap_err();
            (status.code(), status.message().to_owned())
        };
        assert_eq!(code("no scope", "").await.0, Code::InvalidArgument);
        let (not_told, words) = code("db.read", "").await;
        assert_eq!(not_told, Code::Unavailable);
        assert!(words.contains("has not heard"), "{words}");
        stand.tell(|holdings| holdings.told = true);
        let (denied, words) = code("db.read", "").await;
        assert_eq!(denied, Code::PermissionDenied);
        assert!(words.contains("no identity issued"), "{words}");
        one(&stand);
        assert_eq!(
            code("db.read", "spiffe://td/b").await.0,
            Code::PermissionDenied
        );
        *stand.caller.shows.lock().unwrap() = None;
        assert_eq!(code("db.read", "").await.0, Code::Unavailable);
        let nobody = local.elevate(Request::new(ask("db.read", ""))).await;
        assert_eq!(nobody.unwrap_err().code(), Code::Unavailable);
    }

    #[tokio::test]
    async fn a_server_that_is_away_is_told_and_asking_has_its_pace() {
        let stand = Stand::new();
        one(&stand);
        let local = local(&stand, StatusResponse::default());
        let ask = async || {
            let request = from(stand.caller(), ask("db.read", A));
            local.elevate(request).await.unwrap_err()
        };
        let away = ask().await;
        assert_eq!(away.code(), Code::Unavailable);
        assert!(
            away.message().contains("cannot reach"),
            "{}",
            away.message()
        );
        let subject = A.parse().unwrap();
        while local.pace.ask(&subject, &*stand.clock).is_ok() {}
        assert_eq!(ask().await.code(), Code::ResourceExhausted);
        let wait = async || {
            let request = WaitElevationRequest {
                elevation: "el-of-somebody".to_owned(),
                state: String::new(),
            };
            let waited = local.wait_elevation(from(stand.caller(), request)).await;
            waited.unwrap_err().code()
        };
        assert_eq!(wait().await, Code::Unavailable);
        while local.waits.ask(&subject, &*stand.clock).is_ok() {}
        assert_eq!(wait().await, Code::ResourceExhausted);
    }

    #[tokio::test]
    async fn one_process_has_few_seats_and_who_is_not_attested_takes_none() {
        let stand = Stand::new();
        let local = local(&stand, StatusResponse::default());
        let of = |uid, shows: Option<&str>| {
            LocalCaller(Arc::new(TestCaller {
                shows: Mutex::new(shows.map(|one| [one.parse().unwrap()].into())),
                asked: Mutex::new(0),
                uid,
            }))
        };
        for _ in 0..CALLS_MAX {
            assert!(local.seat(&of(7, None)).await.is_err());
        }
        let mut seated = Vec::new();
        for _ in 0..CALLS_EACH_MAX {
            seated.push(local.seat(&of(7, Some("unix:uid:7"))).await.unwrap());
        }
        assert!(local.seat(&of(7, Some("unix:uid:7"))).await.is_err());
        drop(seated);
        local.seat(&of(7, Some("unix:uid:7"))).await.unwrap();
    }

    #[tokio::test]
    async fn no_path_hides_in_the_id_of_an_elevation() {
        let stand = Stand::new();
        one(&stand);
        let local = local(&stand, StatusResponse::default());
        for elevation in ["", "../policy", "el-1/revoke", &"x".repeat(65)] {
            let request = WaitElevationRequest {
                elevation: elevation.to_owned(),
                state: String::new(),
            };
            let answer = local.wait_elevation(from(stand.caller(), request)).await;
            assert_eq!(answer.unwrap_err().code(), Code::NotFound, "{elevation}");
        }
    }

    #[tokio::test]
    async fn root_and_the_agent_of_the_host_see_all_and_others_their_own() {
        let stand = Stand::new();
        one(&stand);
        stand.tell(|holdings| holdings.elevated = vec![stand.elevated(A, "db.read", 3)]);
        let held = |subject: &str, scope: &str, elevation: &str| HeldStatus {
            subject: subject.to_owned(),
            scope: scope.to_owned(),
            elevation: elevation.to_owned(),
            ..HeldStatus::default()
        };
        let stream = |pid| StreamStatus {
            pid,
            ..StreamStatus::default()
        };
        let status = StatusResponse {
            agent: "spiffe://td/agent".to_owned(),
            held: vec![
                held(A, "", ""),
                held(A, "db.read", "el-3"),
                held(A, "db.read", "el-of-another-process"),
                held("spiffe://td/b", "", ""),
            ],
            streams: vec![stream(7), stream(8)],
            own_trouble: "own".to_owned(),
            server_trouble: "server".to_owned(),
            ..StatusResponse::default()
        };
        let local = local(&stand, status);
        let counts = async |uid, shows: &str| {
            let caller = TestCaller {
                shows: Mutex::new(Some([shows.parse().unwrap()].into())),
                asked: Mutex::new(0),
                uid,
            };
            let caller: Arc<dyn Attest> = Arc::new(caller);
            let request = from(LocalCaller(caller), StatusRequest {});
            let status = local.status(request).await.unwrap().into_inner();
            assert_eq!(status.agent, "spiffe://td/agent");
            let trouble = (
                status.own_trouble.is_empty(),
                status.server_trouble.is_empty(),
            );
            assert_eq!(trouble, (status.held.len() < 4, status.held.len() < 4));
            (status.held.len(), status.streams.len())
        };
        assert_eq!(counts(0, "uid:7").await, (4, 2));
        assert_eq!(counts(900, "uid:7").await, (4, 2));
        assert_eq!(counts(1_000, "uid:7").await, (2, 1));
        // Root of a container, and who has the number of the agent's user there.
        for uid in [0, 900] {
            assert_eq!(counts(uid, "container:id:7").await, (2, 1));
        }
        stand.tell(|holdings| holdings.identities.clear());
        assert_eq!(counts(1_000, "uid:7").await, (0, 1));
    }

    #[tokio::test]
    async fn who_is_nobody_has_a_pace_of_looking_and_nothing_is_copied_for_him() {
        let stand = Stand::new();
        one(&stand);
        let parts = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::clone(&parts);
        let mut local = local(&stand, StatusResponse::default());
        local.status = Arc::new(move |part| {
            asked.lock().unwrap().push(part);
            Box::pin(async { Ok(StatusResponse::default()) })
        });
        let look = async || local.status(from(stand.caller(), StatusRequest {})).await;
        while look().await.is_ok() {}
        assert_eq!(look().await.unwrap_err().code(), Code::ResourceExhausted);
        let parts = parts.lock().unwrap();
        assert_eq!(*parts, [Part::OfProcess(7); 10]);
    }
}

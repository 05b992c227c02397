//! Real sockets and real callers. Root runs these tests: some callers are of other users.

mod placing;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::agent::attestor::{AttestError, Attestor, SHA256_BYTES_MAX};
use crate::agent::callers::{Caller, by_itself};
use crate::time::SystemClock;

use super::*;
use crate::agent::socket::incoming::Tally;
use crate::agent::socket::local::Local;

/// A folder in which a socket may lie.
struct World {
    folder: TempDir,
    attestor: Arc<Attestor>,
}

impl World {
    fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "run the tests as root: they have callers of other users"
        );
        let folder = tempfile::tempdir().unwrap();
        let world = Self {
            folder,
            attestor: Attestor::new(SHA256_BYTES_MAX, Arc::new(SystemClock)).unwrap(),
        };
        mode(world.folder.path(), 0o755);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("run/agent.sock")
    }

    fn open(&self) -> Result<Incoming, SocketError> {
        self.open_at(Place::open_to_all(self.socket()))
    }

    fn open_at(&self, place: Place) -> Result<Incoming, SocketError> {
        Incoming::open(place, SeatLimits::default(), Arc::clone(&self.attestor))
    }

    fn open_with(&self, limits: SeatLimits) -> Incoming {
        let place = Place::open_to_all(self.socket());
        Incoming::open(place, limits, Arc::clone(&self.attestor)).unwrap()
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode_of(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

async fn next(incoming: &mut Incoming) -> Local {
    incoming.next().await.unwrap().unwrap()
}

/// How many files this process has open by which it knows this process or one that has ended.
fn pidfds_of(pid: u32) -> usize {
    let of = [format!("Pid:\t{pid}"), "Pid:\t-1".to_owned()];
    let open = fs::read_dir("/proc/self/fdinfo").unwrap();
    let texts = open.filter_map(|one| fs::read_to_string(one.ok()?.path()).ok());
    texts
        .filter(|text| text.lines().any(|line| of.contains(&line.to_owned())))
        .count()
}

fn sockets() -> usize {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let links = open.filter_map(|one| fs::read_link(one.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_socket_that_is_removed_or_replaced_is_made_anew() {
    let world = World::new();
    let mut incoming = world.open().unwrap();
    let tally = incoming.tally();
    let reached = |world: &World| {
        let mut caller = Caller::begin();
        caller.connects(&world.socket());
        caller
    };
    drop((reached(&world), next(&mut incoming).await));
    let attacks: [&dyn Fn(); 5] = [
        &|| fs::remove_file(world.socket()).unwrap(),
        &|| fs::rename(world.socket(), world.path("run/away")).unwrap(),
        &|| {
            fs::remove_file(world.socket()).unwrap();
            drop(std::os::unix::net::UnixListener::bind(world.socket()).unwrap());
        },
        &|| fs::remove_dir_all(world.path("run")).unwrap(),
        &|| fs::remove_file(world.path("run/agent.sock.lock")).unwrap(),
    ];
    for (number, attack) in (1..).zip(attacks) {
        attack();
        // The stream looks by itself while somebody waits for it.
        while tally.losses() < number {
            assert!(step(&mut incoming).await.is_none());
        }
        assert_eq!(*incoming.state().borrow(), SocketState::Serving);
        assert_eq!(mode_of(&world.socket()), 0o666);
        drop((reached(&world), next(&mut incoming).await));
        assert!(matches!(world.open(), Err(SocketError::InUse(_))));
    }
}

#[tokio::test]
async fn a_socket_is_not_made_anew_where_that_is_not_safe() {
    let world = World::new();
    let mut incoming = world.open().unwrap();
    let mut state = incoming.state();
    mode(&world.path("run"), 0o777);
    fs::remove_file(world.socket()).unwrap();
    let lost = state.wait_for(|state| *state == SocketState::Lost);
    let mut lost = Box::pin(lost);
    while (&mut lost).now_or_never().is_none() {
        assert!(step(&mut incoming).await.is_none());
    }
    drop(lost);
    assert!(!world.socket().exists());
    mode(&world.path("run"), 0o755);
    let mut back = Box::pin(state.wait_for(|state| *state == SocketState::Serving));
    while (&mut back).now_or_never().is_none() {
        assert!(step(&mut incoming).await.is_none());
    }
    assert!(world.socket().exists());
}

/// Lets the stream do what it has to; none where nobody has come meanwhile.
async fn step(incoming: &mut Incoming) -> Option<Local> {
    let a_moment = tokio::time::sleep(Duration::from_millis(20));
    tokio::select! {
        local = next(incoming) => Some(local),
        () = a_moment => None,
    }
}

#[tokio::test]
async fn a_connection_tells_whose_it_is_and_carries_bytes_both_ways() {
    let world = World::new();
    let mut incoming = world.open().unwrap();
    let mut caller = Caller::of(61_234, &[61_234]);
    caller.connects(&world.socket());
    let mut local = next(&mut incoming).await;
    assert_eq!(local.peer().uid(), 61_234);
    assert_eq!(local.peer().pid(), caller.pid());
    caller.does("send 0102");
    let mut bytes = [0; 2];
    local.read_exact(&mut bytes).await.unwrap();
    local.write_all(&bytes).await.unwrap();
    assert_eq!(caller.does("read"), "0102");
}

#[tokio::test]
async fn a_connection_ends_with_the_process_that_made_it() {
    let world = World::new();
    let mut incoming = world.open().unwrap();
    let mut caller = Caller::begin();
    caller.connects(&world.socket());
    let mut local = next(&mut incoming).await;
    // Another process holds it by then, and could go on.
    caller.does("hand_over");
    caller.is_over();
    caller.does("send 0102");
    let mut read = Vec::new();
    assert_eq!(local.read_to_end(&mut read).await.unwrap(), 0);
    let error = local.write_all(b"secret").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let error = local.peer().attest().await.unwrap_err();
    assert!(matches!(*error, AttestError::Gone), "{error}");
}

#[tokio::test]
async fn one_user_has_few_connections_and_root_gets_in() {
    let world = World::new();
    let mut incoming = world.open_with(SeatLimits {
        all_max: 4,
        of_uid_max: 2,
        for_root: 1,
    });
    let (tally, sitting) = (incoming.tally(), incoming.sitting());
    let mut greedy = Caller::of(61_234, &[61_234]);
    let mut held = Vec::new();
    for _ in 0..2 {
        greedy.connects(&world.socket());
        held.push(next(&mut incoming).await);
    }
    greedy.connects(&world.socket());
    let mut other = Caller::of(61_235, &[61_235]);
    other.connects(&world.socket());
    held.push(next(&mut incoming).await);
    assert_eq!(held[2].peer().uid(), 61_235);
    assert_eq!(tally.refused_full_of_uid(), 1);
    greedy.does("read_to_end");
    other.connects(&world.socket());
    let mut root = Caller::begin();
    root.connects(&world.socket());
    held.push(next(&mut incoming).await);
    assert_eq!(held[3].peer().uid(), 0);
    assert_eq!((tally.refused_full(), sitting()), (1, 4));
    drop(held);
    assert_eq!(sitting(), 0);
    greedy.connects(&world.socket());
    next(&mut incoming).await;
}

/// `PROTEM_SOAK_CALLERS` says how many; of 100,000 and alone in its process, memory is looked at.
#[tokio::test]
async fn callers_who_leave_leave_nothing() {
    let world = World::new();
    let mut incoming = world.open().unwrap();
    let (tally, sitting) = (incoming.tally(), incoming.sitting());
    #[expect(clippy::disallowed_methods, reason = "a setting of this test alone")]
    let wanted = std::env::var("PROTEM_SOAK_CALLERS");
    let count: u64 = wanted.map_or(5_000, |count| count.parse().unwrap());
    let mut caller = Caller::of(61_234, &[61_234]);
    let processes = count / 100;
    let before = resident_kib();
    caller.begins(&format!("storm {} {count}", world.socket().display()));
    caller.begins(&format!(
        "storm_of_many {} {processes}",
        world.socket().display()
    ));
    while let Some(mut local) = next_or_none(&mut incoming, &tally, count + processes).await {
        // It says nothing, and it ends.
        assert_eq!(local.read(&mut [0; 8]).await.unwrap(), 0);
    }
    assert_eq!((tally.faults(), sitting()), (0, 0));
    // Tests beside this one have some open too.
    let some = usize::try_from(processes / 2).unwrap();
    assert!(pidfds_of(caller.pid()) < some && sockets() < 1_000);
    if count >= 100_000 {
        assert!(
            resident_kib() < before + 16 * 1_024,
            "{before} {}",
            resident_kib()
        );
    }
}

/// None when all have come.
async fn next_or_none(incoming: &mut Incoming, tally: &Tally, all: u64) -> Option<Local> {
    while tally.accepted() + tally.refused_unknown() < all {
        if let Some(local) = step(incoming).await {
            return Some(local);
        }
    }
    None
}

#[tokio::test]
async fn accepting_that_failed_goes_on() {
    let world = World::new();
    let mut incoming = world.open().unwrap();
    incoming.rest("too many open files");
    let mut caller = Caller::begin();
    caller.connects(&world.socket());
    next(&mut incoming).await;
    assert_eq!(incoming.tally().faults(), 1);
}

#[tokio::test]
async fn accepting_goes_on_when_there_are_descriptors_again() {
    if !by_itself("agent::socket::tests::accepting_goes_on_when_there_are_descriptors_again") {
        return;
    }
    let world = World::new();
    let mut incoming = world.open().unwrap();
    let mut caller = Caller::begin();
    for _ in 0..20 {
        caller.connects(&world.socket());
    }
    let open = u64::try_from(fs::read_dir("/proc/self/fd").unwrap().count()).unwrap();
    let few = nix::sys::resource::Resource::RLIMIT_NOFILE;
    let (_, most) = nix::sys::resource::getrlimit(few).unwrap();
    nix::sys::resource::setrlimit(few, open + 10, most).unwrap();
    let mut held = Vec::new();
    while incoming.tally().faults() < 2 {
        held.extend(step(&mut incoming).await);
    }
    assert!(!held.is_empty() && held.len() < 20);
    nix::sys::resource::setrlimit(few, most, most).unwrap();
    caller.connects(&world.socket());
    // The one that could not be told apart for want of a descriptor was let go.
    while incoming.tally().accepted() < 19 {
        held.push(next(&mut incoming).await);
    }
}

/// Serves the health service, whose methods see who calls, until it is dropped.
fn served(incoming: Incoming) -> (TaskTracker, tokio_util::sync::DropGuard) {
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let (_, health) = tonic_health::server::health_reporter();
    let health = InterceptedService::new(health, |request: tonic::Request<()>| {
        let peer = request
            .extensions()
            .get::<crate::agent::local_caller::LocalCaller>();
        match peer.map(crate::agent::local_caller::LocalCaller::uid) {
            Some(0) => Ok(request),
            Some(_) | None => Err(tonic::Status::permission_denied("")),
        }
    });
    let stopped = stop.clone().cancelled_owned();
    let server = Server::builder().add_service(health);
    tracker.spawn(server.serve_with_incoming_shutdown(incoming, stopped));
    tracker.close();
    (tracker, stop.drop_guard())
}

#[tokio::test]
async fn methods_know_who_calls() {
    let world = World::new();
    let (tracker, stop) = served(world.open().unwrap());
    let address = format!("unix://{}", world.socket().display());
    let channel = Endpoint::from_shared(address).unwrap().connect().await;
    let mut client = HealthClient::new(channel.unwrap());
    let answer = client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status, 1);
    drop((client, stop));
    tracker.wait().await;
    assert!(!world.socket().exists());
}

#[tokio::test]
async fn what_is_no_http_2_is_cut_off() {
    let world = World::new();
    let _serving = served(world.open().unwrap());
    let sent = [
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "POST /SpiffeWorkloadAPI/FetchX509SVID HTTP/1.1\r\nworkload.spiffe.io: true\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{0} hello, this is TLS, is it not?",
        &"\0".repeat(24),
    ];
    for text in sent.map(str::to_owned) {
        let socket = world.socket();
        tokio::task::spawn_blocking(move || {
            let mut caller = Caller::begin();
            caller.connects(&socket);
            caller.does(&format!("send {}", crate::id::hex::text(text.as_bytes())));
            caller.does("read_to_end");
        })
        .await
        .unwrap();
    }
}

/// A stream that waits for news, opened by hand: HTTP/2 with one literal header after another.
fn watch_call() -> String {
    let frame = |kind: u8, flags: u8, stream: u8, body: &[u8]| {
        let length = u8::try_from(body.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], body].concat()
    };
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/grpc.health.v1.Health/Watch"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let literal = headers.map(|(name, value)| [vec![0], text(name), text(value)].concat());
    let bytes = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        frame(1, 4, 1, &literal.concat()),
        frame(0, 1, 1, &[0; 5]),
    ];
    crate::id::hex::text(&bytes.concat())
}

#[tokio::test]
async fn a_stream_ends_with_the_process_that_opened_it() {
    let world = World::new();
    let incoming = world.open().unwrap();
    let sitting = incoming.sitting();
    let _serving = served(incoming);
    let socket = world.socket();
    let handed_over = tokio::task::spawn_blocking(move || {
        let mut caller = Caller::begin();
        caller.connects(&socket);
        caller.does(&format!("send {}", watch_call()));
        let answered = caller.does("read");
        assert!(!answered.is_empty());
        caller.does("hand_over");
        caller.is_over();
        // Whoever holds it now sees its end.
        caller.does("read_to_end");
        caller
    });
    let caller = handed_over.await.unwrap();
    while sitting() > 0 {
        tokio::task::yield_now().await;
    }
    drop(caller);
}

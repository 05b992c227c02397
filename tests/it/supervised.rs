//! The process and what stands above it: a service manager, a container in which it is process 1.
//!
//! The test plays the manager: it binds the socket that systemd would, and reads what the real
//! binary says there. Requests under way are held open by hand, with `Expect: 100-continue`, so
//! that both sides know that they are.

use std::fs;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::live::{Live, Place};
use super::tools::{repository, run, tool};

/// A service manager with one service.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
    place: Place,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let place = Place::new(&folder.path().join("data"));
        Self {
            folder,
            socket,
            place,
        }
    }

    /// Starts the service, directly or by a program before it.
    fn start(&self, before: &[&str]) -> Live {
        let program = env!("CARGO_BIN_EXE_protem");
        let mut command = match before {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = tool(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        command.env("WATCHDOG_USEC", "2000000");
        self.place.start_as(command)
    }

    /// Waits for the next datagram with `word`; answers all that came before it.
    #[track_caller]
    fn hears(&self, word: &str) -> Vec<String> {
        let mut before = Vec::new();
        let mut bytes = [0; 4_096];
        loop {
            let read = match self.socket.recv(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read,
            };
            let read = read.unwrap_or_else(|error| panic!("no {word} ({error}): {before:#?}"));
            let said = String::from_utf8(bytes[..read].to_vec()).unwrap();
            if said.lines().any(|line| line.starts_with(word)) {
                return before;
            }
            before.push(said);
        }
    }

    /// Asks for a join token and holds back the end of the request; the server waits for it.
    fn request_under_way(&self) -> UnderWay {
        let data = &self.place.directory;
        let body = "{\"subject\":\"spiffe://dev.protem.test/ns/demo/sa/web\"}";
        let secret = fs::read_to_string(data.join("operator.token")).unwrap();
        let mut openssl = tool("openssl");
        openssl.args(["s_client", "-quiet", "-connect"]);
        openssl.arg(format!("127.0.0.1:{}", self.place.port));
        openssl.arg("-CAfile").arg(data.join("bundle.pem"));
        openssl.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut client = openssl.stderr(Stdio::null()).spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        write!(
            input,
            "POST /v1/tokens HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             authorization: Bearer {}\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
            secret.trim(),
            body.len()
        )
        .unwrap();
        let mut answer = BufReader::new(client.stdout.take().unwrap()).lines();
        let first = answer.next().unwrap().unwrap();
        assert_eq!(first, "HTTP/1.1 100 Continue");
        UnderWay {
            client,
            input,
            body,
            answer: Box::new(answer.map_while(Result::ok)),
        }
    }
}

/// A request whose body is still to come.
struct UnderWay {
    client: Child,
    input: ChildStdin,
    body: &'static str,
    answer: Box<dyn Iterator<Item = String>>,
}

impl UnderWay {
    /// Sends the rest; answers the status line.
    fn finish(mut self) -> String {
        self.input.write_all(self.body.as_bytes()).unwrap();
        let status = |line: &String| line.starts_with("HTTP/1.1 ");
        self.answer.find(status).unwrap()
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

#[test]
fn the_manager_hears_ready_alive_and_stopping() {
    let manager = Manager::new();
    let live = manager.start(&[]);
    // `dev` activates its policy after the doors are open: until then a person's word is missing,
    // and the manager is asked for patience instead of told a lie.
    let before = manager.hears("READY=1");
    assert!(
        before.iter().all(|said| !said.contains("STOPPING")),
        "{before:#?}"
    );
    let mut curl = tool("curl");
    curl.args(["--silent", "--fail", "--cacert"]);
    curl.arg(manager.place.directory.join("bundle.pem"));
    let ready = run(curl.arg(format!("{}/readyz", manager.place.url()))).expect_success();
    assert_eq!(ready, "ok\n");
    for _ in 0..3 {
        manager.hears("WATCHDOG=1");
    }
    kill_process(live.pid(), Signal::TERM).unwrap();
    manager.hears("STOPPING=1");
    let (status, said) = live.ended();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    // A problem names its request: `dev` shows the line that it leads to.
    let logged = said.iter().any(|line| line.contains("request answered"));
    assert!(logged, "{said:#?}");
}

/// The store's one writer gets no turn: no sign of life, so that the manager starts the server
/// anew; and when it gets one, life goes on.
#[test]
fn the_watchdog_is_silent_while_the_store_is_stuck() {
    let manager = Manager::new();
    let mut live = manager.start(&[]);
    live.until_serving();
    manager.hears("READY=1");
    let stuck = "STATUS=not ready: the store does not answer";
    let store = Connection::open(manager.place.directory.join("protem.db")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    manager.hears(stuck);
    // Five looks, each of which would have been a sign of life.
    for _ in 0..5 {
        let between = manager.hears(stuck);
        assert!(between.is_empty(), "{between:#?}");
    }
    store.execute_batch("ROLLBACK").unwrap();
    manager.hears("WATCHDOG=1");
    manager.hears("STATUS=ready");
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    manager.hears(stuck);
    // Told twice it ends, though its store is not done with what waits.
    kill_process(live.pid(), Signal::TERM).unwrap();
    manager.hears("STOPPING=1");
    kill_process(live.pid(), Signal::TERM).unwrap();
    let (status, said) = live.ended();
    assert_eq!(status.code(), Some(1), "{said:#?}");
}

/// Process 1 has no default actions: a signal that nobody handles is lost, and a container then
/// waits until it is killed.
#[test]
fn as_process_1_it_answers_what_is_under_way_and_ends_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let manager = Manager::new();
        let live = manager.start(&AS_PROCESS_1);
        manager.hears("READY=1");
        let under_way = manager.request_under_way();
        let inner = only_child(live.pid());
        kill_process(inner, signal).unwrap();
        manager.hears("STOPPING=1");
        assert_eq!(under_way.finish(), "HTTP/1.1 201 Created");
        let (status, said) = live.ended();
        assert_eq!(status.code(), Some(0), "{signal:?}: {said:#?}");
    }
}

#[test]
fn as_process_1_a_second_signal_ends_it_at_once_with_1() {
    let manager = Manager::new();
    let live = manager.start(&AS_PROCESS_1);
    manager.hears("READY=1");
    let _under_way = manager.request_under_way();
    let inner = only_child(live.pid());
    kill_process(inner, Signal::TERM).unwrap();
    manager.hears("STOPPING=1");
    kill_process(inner, Signal::INT).unwrap();
    let (status, said) = live.ended();
    assert_eq!(status.code(), Some(1), "{said:#?}");
    let said = said.join("\n");
    assert!(said.contains("told to stop at once"), "{said}");
    assert!(said.contains("before everything under way was answered"));
}

/// Process 1 must collect children that others left; this one has none and starts none.
#[test]
fn the_server_starts_no_process() {
    let manager = Manager::new();
    let live = manager.start(&AS_PROCESS_1);
    manager.hears("READY=1");
    let inner = only_child(live.pid());
    assert_eq!(children(inner), Vec::<i32>::new());
    let starting: Vec<PathBuf> = rust_files(&repository("src"))
        .into_iter()
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.contains("process::Command") || text.contains("Command::new(")
        })
        .collect();
    // The command of a person, and tests.
    let of_server = starting.iter().filter(|path| {
        let place = path.strip_prefix(repository("src")).unwrap();
        !place.starts_with("agent") && place != Path::new("cli/agent/write.rs")
    });
    assert_eq!(of_server.count(), 0, "{starting:?}");
    kill_process(inner, Signal::TERM).unwrap();
    assert_eq!(live.ended().0.code(), Some(0));
}

fn only_child(of: Pid) -> Pid {
    let children = children(of);
    assert_eq!(children.len(), 1, "unshare has one child");
    Pid::from_raw(children[0]).unwrap()
}

fn children(of: Pid) -> Vec<i32> {
    let tasks = format!("/proc/{}/task", of.as_raw_nonzero());
    let tasks = fs::read_dir(tasks).unwrap();
    let listed = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")));
    let listed: Vec<String> = listed.map(Result::unwrap).collect();
    let words = listed.iter().flat_map(|list| list.split_whitespace());
    words.map(|word| word.parse().unwrap()).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                rust_files(&path)
            } else {
                vec![path]
            }
        })
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// util-linux; root may do this, and whoever may make user namespaces.
const AS_PROCESS_1: [&str; 5] = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"];
/// What only a broken run waits for.
const PATIENCE: Duration = Duration::from_mins(1);

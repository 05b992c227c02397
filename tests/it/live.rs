//! A real server process: started, heard, ended by a signal.
//!
//! Promises: every wait has a bound; what the server said is in every failure; the process is
//! gone when the value is dropped.
//! Refuses: to leave it unnoticed when the server ends by itself.

use std::io::{BufRead as _, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How to start `protem dev`, again and again in the same place.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    pub(crate) port: u16,
    pub(crate) policy: Option<PathBuf>,
    /// What the process finds in its environment besides ours.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// A program with its words that starts the process.
    pub(crate) under: Vec<String>,
}

/// A running `protem dev`.
#[derive(Debug)]
pub(crate) struct Live {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Place {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            port: free_port(),
            policy: None,
            environment: Vec::new(),
            under: Vec::new(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Starts the process and does not wait for it.
    pub(crate) fn start(&self) -> Live {
        let program = env!("CARGO_BIN_EXE_protem").to_owned();
        let mut words = self.under.iter().chain([&program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).envs(self.environment.iter().cloned());
        self.start_as(command)
    }

    /// As [`Self::start`], by a program that takes protem's arguments behind its own.
    pub(crate) fn start_as(&self, mut command: Command) -> Live {
        command.arg("--dir").arg(&self.directory).arg("dev");
        command.args(["--listen", &format!("127.0.0.1:{}", self.port)]);
        if let Some(policy) = &self.policy {
            command.arg("--policy").arg(policy);
        }
        Live::start(command)
    }

    /// Starts the process and waits until it serves.
    pub(crate) fn serve(&self) -> Live {
        let mut live = self.start();
        live.until_serving();
        live
    }
}

impl Live {
    /// Starts a server and does not wait for it.
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (sender, lines) = channel();
        listen(child.stdout.take().unwrap(), sender.clone());
        listen(child.stderr.take().unwrap(), sender);
        Self {
            child,
            lines,
            said: Vec::new(),
        }
    }

    /// The process that was started.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Waits for a line with these words.
    #[track_caller]
    pub(crate) fn until_said(&mut self, words: &str) {
        self.until(|line| line.contains(words));
    }

    /// Waits for a line with these words among those that are still to come; answers it.
    #[track_caller]
    #[allow(dead_code, reason = "asked by the measurements, which share this file")]
    pub(crate) fn until_said_anew(&mut self, words: &str) -> String {
        self.said.extend(self.lines.try_iter());
        let known = self.said.len();
        let is_it = |line: &&String| line.contains(words);
        let end = Instant::now() + SAID_ANEW_LONGEST;
        loop {
            if let Some(line) = self.said[known..].iter().find(is_it) {
                return line.clone();
            }
            match self.lines.recv_timeout(end - Instant::now().min(end)) {
                Ok(line) => self.said.push(line),
                Err(why) => panic!("it does not say `{words}` ({why}): {:#?}", self.said),
            }
        }
    }

    /// Waits for the line that says where it serves.
    #[track_caller]
    pub(crate) fn until_serving(&mut self) {
        self.until(|line| line.starts_with("protem serves "));
    }

    /// Waits for a line.
    #[track_caller]
    pub(crate) fn until(&mut self, wanted: impl Fn(&str) -> bool) {
        let end = Instant::now() + START_LONGEST;
        while !self.said.iter().any(|line| wanted(line)) {
            match self.lines.recv_timeout(end - Instant::now().min(end)) {
                Ok(line) => self.said.push(line),
                Err(why) => panic!("the server does not say it ({why}): {:#?}", self.said),
            }
        }
    }

    /// Waits until it serves, or has ended before.
    pub(crate) fn serves(&mut self) -> bool {
        let end = Instant::now() + START_LONGEST;
        loop {
            match self.lines.recv_timeout(end - Instant::now().min(end)) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("neither: {:#?}", self.said),
            }
            if self
                .said
                .iter()
                .any(|line| line.starts_with("protem serves "))
            {
                return true;
            }
        }
    }

    /// Lets it run for a while; fails when it ends by itself.
    #[track_caller]
    pub(crate) fn run_for(&mut self, pause: Duration) {
        let end = Instant::now() + pause;
        loop {
            match self.lines.recv_timeout(end - Instant::now().min(end)) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Timeout) => return,
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the server ended by itself: {:#?}", self.said)
                }
            }
        }
    }

    /// What of it lies in memory, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.unwrap().trim().trim_end_matches(" kB");
        number.parse().unwrap()
    }

    /// `kill -9`. Answers what it had said.
    pub(crate) fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.ended().1
    }

    /// SIGTERM. Answers how it ended and what it had said.
    #[track_caller]
    pub(crate) fn terminate(self) -> (ExitStatus, Vec<String>) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        self.ended()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let end = Instant::now() + STOP_LONGEST;
        loop {
            match self.lines.recv_timeout(end - Instant::now().min(end)) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:#?}", self.said),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Its output is closed, so it is ending or has ended.
        let status = self.child.wait().unwrap();
        (status, std::mem::take(&mut self.said))
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(pipe: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}

/// A port below those that the system gives to outgoing connections: a client that asks while the
/// server is away must not be given the server's own port.
pub(crate) fn free_port() -> u16 {
    let entropy = protem::id::entropy::Entropy::system();
    std::iter::repeat_with(|| 20_000 + u16::from_be_bytes(entropy.bytes()) % 12_000)
        .take(100)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

const START_LONGEST: Duration = Duration::from_mins(1);
/// Half the life of the shortest base SVID, and some more.
#[allow(dead_code, reason = "as above")]
const SAID_ANEW_LONGEST: Duration = Duration::from_secs(90);
/// More than the grace that a server gives to requests under way.
const STOP_LONGEST: Duration = Duration::from_secs(40);

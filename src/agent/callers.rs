//! Processes that call on a socket, for tests: other users, programs that become others, processes
//! that hand their connection on.
//!
//! Each is a small Python program that does one word after another and says when it is done.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// One process, ended with this value.
#[derive(Debug)]
pub(crate) struct Caller {
    child: Child,
    words: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// Runs this test once more in a process of its own, for what is the whole process's: limits,
/// the umask. True in that process, false in the one that ran it.
#[track_caller]
pub(crate) fn by_itself(test: &str) -> bool {
    #[expect(clippy::disallowed_methods, reason = "a word of a test to itself")]
    if std::env::var_os(BY_ITSELF).is_some() {
        return true;
    }
    let ran = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(BY_ITSELF, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{ran:?}");
    false
}

impl Caller {
    /// A process of root's.
    #[track_caller]
    pub(crate) fn begin() -> Self {
        let mut child = Command::new("python3")
            .args(["-u", "-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed for tests: install it");
        let words = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            words,
            answers,
        }
    }

    /// A process of this user and these groups; the first is its own, the rest supplementary.
    #[track_caller]
    pub(crate) fn of(uid: u32, groups: &[u32]) -> Self {
        let mut caller = Self::begin();
        let groups: Vec<_> = groups.iter().map(ToString::to_string).collect();
        caller.does(&format!("become {uid} {}", groups.join(" ")));
        caller
    }

    /// Does it, and says what came of it.
    #[track_caller]
    pub(crate) fn does(&mut self, words: &str) -> String {
        self.begins(words);
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        let answer = answer.trim_end().to_owned();
        assert!(answer.starts_with("done"), "{words}: {answer}");
        answer.trim_start_matches("done").trim_start().to_owned()
    }

    /// Does it without saying when it is done.
    #[track_caller]
    pub(crate) fn begins(&mut self, words: &str) {
        let to = self.words.as_mut().unwrap();
        writeln!(to, "{words}").unwrap();
    }

    /// Connects to a socket.
    #[track_caller]
    pub(crate) fn connects(&mut self, socket: &Path) {
        self.does(&format!("connect {}", socket.display()));
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end; the one that it handed over to goes on.
    #[track_caller]
    pub(crate) fn is_over(&mut self) {
        self.child.wait().unwrap();
    }

    /// Ends it at once.
    #[track_caller]
    pub(crate) fn dies(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // What it handed over to reads on, and ends with what it reads.
        self.words = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const BY_ITSELF: &str = "PROTEM_TEST_BY_ITSELF";
const PROGRAM: &str = r#"
import os, socket, sys
held = []
def connect(path):
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].connect(path)
def become(uid, *groups):
    groups = [int(group) for group in groups]
    os.setgroups(groups[1:])
    os.setresgid(groups[0], groups[0], groups[0])
    os.setresuid(int(uid), int(uid), int(uid))
while True:
    line = sys.stdin.readline()
    if not line:
        break
    word, *rest = line.split()
    said = ""
    try:
        if word == "connect":
            connect(rest[0])
        elif word == "become":
            become(*rest)
        elif word == "send":
            held[-1].sendall(bytes.fromhex(rest[0]))
        elif word == "read":
            held[-1].settimeout(20)
            said = held[-1].recv(65536).hex()
        elif word == "read_to_end":
            held[-1].settimeout(20)
            try:
                while held[-1].recv(65536):
                    pass
            except ConnectionResetError:
                pass
        elif word == "storm":
            for _ in range(int(rest[1])):
                connect(rest[0])
                held.pop().close()
        elif word == "storm_of_many":
            for _ in range(int(rest[1])):
                child = os.fork()
                if child == 0:
                    connect(rest[0])
                    os._exit(0)
                os.waitpid(child, 0)
        elif word == "hand_over":
            if os.fork() != 0:
                os._exit(0)
        elif word == "exec":
            for one in held:
                one.set_inheritable(True)
            os.execv(rest[0], rest)
        elif word == "leave":
            os._exit(0)
    except OSError as error:
        print("failed", error)
        continue
    print("done", said)
"#;

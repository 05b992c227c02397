//! The bench of the walk: one folder, one `protem dev`, and every process that a test starts there.
//!
//! Promises: the system chooses each port as it is bound; nothing outlives the bench; when a test
//! fails it prints what each process said. Waiting is asking again, with a bound that only a broken
//! run reaches.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use protem::time::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::cli::{protem, stderr, stdout};
use crate::tools::{repository, run, tool};

pub(crate) const WEB: &str = "spiffe://dev.protem.test/ns/demo/sa/web";
pub(crate) const DB: &str = "spiffe://dev.protem.test/ns/demo/sa/db";

pub(crate) struct Bench {
    folder: tempfile::TempDir,
    started: Mutex<Vec<Started>>,
}

/// A process that dies with its bench.
struct Started {
    name: &'static str,
    child: Child,
}

/// Where the parts of the mesh listen.
pub(crate) struct Mesh {
    /// The options of `drive.py` that lead to the server Envoy.
    pub(crate) server: String,
    /// The option that leads to web's own Envoy.
    pub(crate) client: String,
}

impl Bench {
    /// Starts `protem dev` under the example policy with an SVID life of 10 s, and registers the
    /// two workloads with lives below 15 minutes: the server Envoy's ceiling of what an elevated
    /// SVID can have would else hide that a base SVID matches by its name.
    pub(crate) fn open() -> Self {
        let bench = Self::serving(&|name, text| lives(name, text, "10s"));
        for (subject, life) in [(WEB, "14m"), (DB, "60s")] {
            let who = format!("--subject {subject} --owner demo --group demo");
            bench.protem(&format!("entry put {who} --life {life}"));
        }
        bench
    }

    /// Starts `protem dev` under the example policy with each file changed.
    pub(crate) fn serving(change: &dyn Fn(&str, String) -> String) -> Self {
        let bench = Self::unserved();
        write_policy(&bench.path("policy"), change);
        bench.keep("protem", "dev --listen 127.0.0.1:0 --policy policy");
        bench.until_served();
        // It listens before its first policy is in force, and says so when that is.
        until("the first policy", || {
            bench
                .text("protem.out")
                .contains("protem serves")
                .then_some(())
        });
        bench
    }

    /// Waits until protem answers.
    pub(crate) fn until_served(&self) {
        until("protem dev", || TcpStream::connect(self.authority()).ok());
    }

    /// A bench on which nothing runs yet.
    pub(crate) fn unserved() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            started: Mutex::default(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `HOST:PORT` of protem; empty while it is not written down.
    pub(crate) fn authority(&self) -> String {
        self.text(".protem/server.url").replace("https://", "")
    }

    /// Runs one command to its end and returns what it printed.
    #[track_caller]
    pub(crate) fn protem(&self, line: &str) -> String {
        let output = self.attempt(line);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        stdout(&output)
    }

    /// Runs one command to its end and reads what it printed.
    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.protem(&format!("{line} --json"))).unwrap()
    }

    /// Runs one command to its end, whatever that is.
    pub(crate) fn attempt(&self, line: &str) -> Output {
        protem(self.folder.path(), &words(line))
    }

    /// Starts a command that stays.
    pub(crate) fn keep(&self, name: &'static str, line: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_protem"));
        self.start(name, command.args(words(line)));
    }

    /// Starts the keeper of a base SVID and waits for what it writes.
    pub(crate) fn keep_base(&self, name: &'static str, subject: &str) {
        let token = self.protem(&format!("token create {subject}"));
        self.keep(
            name,
            &format!("svid write --out {name} --join-token {token}"),
        );
        self.wait_for_svid(name);
    }

    /// `svid.yaml` is written last: what it says holds for the whole folder.
    pub(crate) fn wait_for_svid(&self, name: &str) {
        let file = format!("{name}/svid.yaml");
        until(&file, || {
            self.text(&file).contains("tls_certificate").then_some(())
        });
    }

    /// The notAfter of the SVID in a folder, as the option of `drive.py`.
    pub(crate) fn not_after(&self, name: &str) -> String {
        let shown = self.json(&format!("svid show {name}"));
        let not_after: Timestamp = shown["not_after"].as_str().unwrap().parse().unwrap();
        format!("--not-after {}", not_after.unix_s())
    }

    /// Waits for the end of a process that ends by itself; returns its exit code.
    pub(crate) fn end_of(&self, name: &str) -> Option<i32> {
        let mut started = self.started.lock().unwrap();
        let process = started.iter_mut().find(|one| one.name == name).unwrap();
        until(name, || process.child.try_wait().unwrap()).code()
    }

    /// Sends a signal to a process and waits for its end; returns its exit code, if it has one.
    pub(crate) fn end(&self, name: &str, signal: Signal) -> Option<i32> {
        let mut started = self.started.lock().unwrap();
        let place = started.iter().position(|one| one.name == name).unwrap();
        let mut process = started.remove(place);
        kill_process(Pid::from_child(&process.child), signal).unwrap();
        until(name, || process.child.try_wait().unwrap()).code()
    }

    /// Starts the service behind, on a free port.
    pub(crate) fn start_echo(&self) -> u16 {
        let script = repository("deploy/demo/echo.py");
        self.start("echo", tool("python").arg(script).arg("0"));
        until("echo", || self.text("echo.out").trim().parse().ok())
    }

    /// Starts echo and both Envoys on the folders `web`, `db` and `presented`. Each takes a free
    /// port when it starts, and says which.
    pub(crate) fn start_mesh(&self) -> Mesh {
        fs::create_dir(self.path("presented")).unwrap();
        fs::write(self.path("presented/svid.yaml"), "{\"resources\":[]}\n").unwrap();
        let echo = self.start_echo();
        let server = self.start_envoy_on("server", &self.fill_in_files("server", 0, echo));
        let client = self.start_envoy_on("client", &self.fill_in_files("client", server, echo));
        Mesh {
            server: format!("--server 127.0.0.1:{server} --bundle web/bundle.pem"),
            client: format!("--url http://127.0.0.1:{client}/"),
        }
    }

    /// Returns the port of its first listener, which it lists as `NAME::ADDRESS:PORT`.
    pub(crate) fn start_envoy_on(&self, name: &'static str, config: &Path) -> u16 {
        let admin = self.path(&format!("{name}.admin"));
        // Of an earlier life.
        let _ = fs::remove_file(&admin);
        let mut envoy = tool("envoy");
        envoy.arg("--config-path").arg(config);
        envoy.arg("--admin-address-path").arg(&admin);
        envoy.args(["--disable-hot-restart", "--concurrency", "1"]);
        // Asked for by those alone whose configuration names it.
        let modules = repository("target/envoy-module/release");
        envoy.env("ENVOY_DYNAMIC_MODULES_SEARCH_PATH", modules);
        envoy.args([
            "--log-level",
            "warning",
            "--file-flush-interval-msec",
            "100",
        ]);
        self.start(name, &mut envoy);
        let admin = || fs::read_to_string(&admin).ok();
        until(name, || {
            ask(&admin()?, "/ready").filter(|answer| answer.contains(" 200 OK"))
        });
        self.listener(name, "")
    }

    /// The port of the first listener of an Envoy whose name begins so.
    pub(crate) fn listener(&self, name: &str, listener: &str) -> u16 {
        let admin = fs::read_to_string(self.path(&format!("{name}.admin"))).unwrap();
        let listeners = ask(&admin, "/listeners").unwrap();
        let lines = listeners.lines().filter(|line| line.starts_with(listener));
        let mut ports = lines.filter_map(|line| line.split_once("::127.0.0.1:"));
        ports.next().unwrap().1.trim().parse().unwrap()
    }

    /// Writes the configuration of an Envoy that reads files.
    pub(crate) fn fill_in_files(&self, name: &str, server: u16, echo: u16) -> PathBuf {
        let folder = |name| self.path(name).display().to_string();
        let places = [
            ("SERVER_PORT", server.to_string()),
            ("ECHO_PORT", echo.to_string()),
            ("SERVER_SVID_DIR", folder("db")),
            ("BASE_SVID_DIR", folder("web")),
            ("ELEVATED_SVID_DIR", folder("presented")),
        ];
        let template = repository(&format!("tests/envoy/files-{name}.yaml"));
        self.fill_in(name, fs::read_to_string(template).unwrap(), &places)
    }

    /// Writes the configuration of an Envoy with its places filled in.
    pub(crate) fn fill_in(
        &self,
        name: &str,
        mut text: String,
        places: &[(&str, String)],
    ) -> PathBuf {
        let always = [
            ("TRUST_DOMAIN", "dev.protem.test".to_owned()),
            ("SERVER_ADMIN_PORT", "0".to_owned()),
            ("CLIENT_PORT", "0".to_owned()),
            ("CLIENT_ADMIN_PORT", "0".to_owned()),
            ("LOG_DIR", self.path("").display().to_string()),
        ];
        for (place, value) in places.iter().chain(&always) {
            text = text.replace(&format!("${{{place}}}"), value);
        }
        let path = self.path(&format!("{name}.yaml"));
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs `drive.py` to its end: every check must be ok, and none of `wanted` may be missing.
    #[track_caller]
    pub(crate) fn drive(&self, line: &str, wanted: &[&str]) {
        self.drive_by("drive", line, wanted);
    }

    /// The same with another script of `tests/envoy`.
    #[track_caller]
    pub(crate) fn drive_by(&self, script: &str, line: &str, wanted: &[&str]) {
        let ran = run(tool("python")
            .arg("-B")
            .arg(repository(&format!("tests/envoy/{script}.py")))
            .args(words(line))
            .current_dir(self.folder.path()));
        print!("{}", ran.stdout);
        let checks: Vec<Value> = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let failed: Vec<_> = checks.iter().filter(|check| check["ok"] != true).collect();
        assert!(
            failed.is_empty() && ran.success,
            "{line}: {failed:#?}\n{}",
            ran.stderr
        );
        let done: BTreeSet<_> = checks
            .iter()
            .map(|check| check["check"].as_str().unwrap())
            .collect();
        assert_eq!(done, wanted.iter().copied().collect(), "{line}");
    }

    pub(crate) fn start(&self, name: &'static str, command: &mut Command) {
        let out = fs::File::create(self.path(&format!("{name}.out"))).unwrap();
        let child = command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        self.started.lock().unwrap().push(Started { name, child });
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if std::thread::panicking() {
            for Started { name, .. } in started.iter() {
                eprintln!("--- {name}:\n{}", self.text(&format!("{name}.out")));
            }
            for line in self.text("server.log").lines().rev().take(20) {
                eprintln!("{line}");
            }
        }
        for Started { child, .. } in started.iter_mut().rev() {
            end(child);
        }
    }
}

/// Asks a process to end, because the demo's script then takes its own children with it; one that
/// does not listen is killed.
fn end(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        let _ = kill_process(Pid::from_child(child), Signal::TERM);
        let begin = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && begin.elapsed() < PATIENCE {
            std::thread::sleep(ASK_EVERY);
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::sleep(ASK_EVERY);
    }
}

/// The example policy with each file changed.
pub(crate) fn write_policy(to: &Path, change: &dyn Fn(&str, String) -> String) {
    let from = repository("policy");
    for folder in ["", "tests"] {
        fs::create_dir_all(to.join(folder)).unwrap();
        for file in fs::read_dir(from.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                let name = path.strip_prefix(&from).unwrap();
                let text = fs::read_to_string(&path).unwrap();
                fs::write(to.join(name), change(name.to_str().unwrap(), text)).unwrap();
            }
        }
    }
}

/// A life of `db.read` that a test can wait for.
pub(crate) fn lives(name: &str, text: String, life: &str) -> String {
    if name != "scopes.toml" {
        return text;
    }
    let example = "svid_life = \"60s\"";
    assert!(
        text.contains(example),
        "the life of `db.read` stands elsewhere now"
    );
    let short = text.replacen(example, &format!("svid_life = \"{life}\""), 1);
    format!("test_lives = true\n{short}")
}

/// What an Envoy's admin page says.
fn ask(admin: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(admin).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

const PATIENCE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(20);

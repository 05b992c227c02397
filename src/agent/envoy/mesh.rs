//! Real Envoys on the sockets of stages, and a client of theirs.
//!
//! Promises: configurations are those of `deploy/demo`; the system chooses each port; nothing
//! outlives its mesh, and a test that fails prints what each process said.
//! Refuses: use outside tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::stage::soon;

/// The processes of one test.
pub(crate) struct Mesh {
    folder: tempfile::TempDir,
    started: Vec<(String, Child)>,
}

/// One kept connection, plain HTTP/1.1.
pub(crate) struct Http(TcpStream);

impl Mesh {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            started: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the service behind; returns its port.
    pub(crate) async fn start_echo(&mut self) -> u16 {
        let mut command = Command::new(tool("python"));
        command.arg(repository("deploy/demo/echo.py")).arg("0");
        self.start("echo", &mut command);
        let out = self.path("echo.out");
        until(async || fs::read_to_string(&out).ok()?.trim().parse().ok()).await
    }

    /// Starts an Envoy on a configuration of `deploy/demo`; returns the port of its admin page.
    pub(crate) fn start_demo(
        &mut self,
        name: &str,
        socket: &Path,
        upstream: u16,
        change: impl FnOnce(String) -> String,
    ) {
        let text = repository(&format!("deploy/demo/{name}.yaml"));
        let text = change(fs::read_to_string(text).unwrap());
        self.start_envoy(name, socket, upstream, &text);
    }

    /// Starts an Envoy on any configuration with the places of those of `deploy/demo`.
    pub(crate) fn start_envoy(&mut self, name: &str, socket: &Path, upstream: u16, text: &str) {
        let mut text = text.to_owned();
        for (place, value) in [
            ("TRUST_DOMAIN", "td.test".to_owned()),
            ("CLIENT_PORT", "0".to_owned()),
            ("CLIENT_ADMIN_PORT", "0".to_owned()),
            ("SERVER_ADMIN_PORT", "0".to_owned()),
            ("ECHO_PORT", upstream.to_string()),
            ("AGENT_SOCKET", socket.display().to_string()),
            ("LOG_DIR", self.folder.path().display().to_string()),
            // The server's own, and for a client its server's.
            (
                "SERVER_PORT",
                if name == "client" {
                    upstream.to_string()
                } else {
                    "0".to_owned()
                },
            ),
        ] {
            text = text.replace(&format!("${{{place}}}"), &value);
        }
        let config = self.path(&format!("{name}.yaml"));
        fs::write(&config, text).unwrap();
        let mut command = Command::new(tool("envoy"));
        command.arg("--config-path").arg(config);
        command
            .arg("--admin-address-path")
            .arg(self.path(&format!("{name}.admin")));
        command.args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "warning",
        ]);
        command.args(["--file-flush-interval-msec", "50"]);
        self.start(name, &mut command);
    }

    /// The port of the one listener of an Envoy, when it has opened.
    pub(crate) async fn port(&self, name: &str) -> u16 {
        until(async || {
            self.admin(name, "/ready")
                .await
                .filter(|answer| answer.contains("LIVE"))?;
            let listeners = self.admin(name, "/listeners").await?;
            let mut ports = listeners
                .lines()
                .filter_map(|line| line.split_once("::127.0.0.1:"));
            ports.next()?.1.trim().parse().ok()
        })
        .await
    }

    /// What the admin page of an Envoy says.
    pub(crate) async fn admin(&self, name: &str, path: &str) -> Option<String> {
        let address = fs::read_to_string(self.path(&format!("{name}.admin"))).ok()?;
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    /// Waits until an Envoy has the certificate with this serial number in use.
    pub(crate) async fn until_in_use(&self, name: &str, serial: &str) {
        let serial = serial.trim_start_matches('0');
        until(async || {
            self.admin(name, "/certs")
                .await
                .filter(|certs| certs.contains(serial))
        })
        .await;
    }

    /// The lines that an Envoy has logged of requests, the newest last.
    pub(crate) fn logged(&self, name: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
        let lines = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["status"].is_number()).collect()
    }

    /// Waits until an Envoy has logged the request for this path.
    pub(crate) async fn logged_of(&self, name: &str, path: &str) -> Value {
        until(async || {
            let lines = self.logged(name);
            lines.into_iter().find(|line| line["path"] == path)
        })
        .await
    }

    /// Starts any process.
    pub(crate) fn start(&mut self, name: &str, command: &mut Command) {
        let out = fs::File::create(self.path(&format!("{name}.out"))).unwrap();
        let child = command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        self.started.push((name.to_owned(), child));
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        for (name, child) in &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                for file in ["out", "log"] {
                    let path = self.folder.path().join(format!("{name}.{file}"));
                    let text = fs::read_to_string(path).unwrap_or_default();
                    let lines: Vec<&str> = text.lines().collect();
                    let last = lines.len().saturating_sub(30);
                    eprintln!("--- {name}.{file}:\n{}", lines[last..].join("\n"));
                }
            }
        }
    }
}

impl Http {
    pub(crate) async fn connect(port: u16) -> Self {
        Self(TcpStream::connect(("127.0.0.1", port)).await.unwrap())
    }

    /// Asks for a path, with the header for a scope; returns the status and the body.
    #[track_caller]
    pub(crate) fn get(
        &mut self,
        path: &str,
        scope: Option<&str>,
    ) -> impl Future<Output = (u16, String)> {
        soon(self.exchange(path.to_owned(), scope.map(str::to_owned)))
    }

    async fn exchange(&mut self, path: String, scope: Option<String>) -> (u16, String) {
        let scope = scope.map_or(String::new(), |scope| {
            format!("x-protem-scope: {scope}\r\n")
        });
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n{scope}\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).await.unwrap();
        (status, String::from_utf8(body).unwrap())
    }
}

/// Asks until there is an answer.
#[track_caller]
pub(crate) fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    soon(async move {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
}

fn tool(name: &str) -> PathBuf {
    let path = repository("target/tools/venv/bin").join(name);
    assert!(
        path.is_file(),
        "`{name}` is not installed: run `tests/run tools` once"
    );
    path
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

//! Real Envoys with the configuration of `deploy/demo`, each a process of a group of its own, and
//! a client's side of them.
//!
//! Promises: the system chooses each port; nothing outlives its mesh, and what a process said
//! stands in a failure.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protem::client::HeldSvid;
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::tools::{repository, tool};

/// The processes beside server and agent.
pub(crate) struct Mesh {
    folder: PathBuf,
    started: Vec<(String, Child)>,
}

/// One kept connection, HTTP/1.1.
pub(crate) struct Http<S>(S);

impl Mesh {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            started: Vec::new(),
        }
    }

    /// Starts the service behind; returns its port.
    pub(crate) async fn start_echo(&mut self) -> u16 {
        let mut command = tool("python");
        command.arg(repository("deploy/demo/echo.py")).arg("0");
        self.start("echo", 0, &mut command);
        let out = self.folder.join("echo.out");
        until("echo", async || {
            fs::read_to_string(&out).ok()?.trim().parse().ok()
        })
        .await
    }

    /// Starts an Envoy; returns the port of its one listener.
    pub(crate) async fn start_envoy(
        &mut self,
        name: &str,
        gid: u32,
        template: &str,
        places: &[(&str, &str)],
    ) -> u16 {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).unwrap();
        let logs = folder.display().to_string();
        let mut text = fs::read_to_string(repository(template)).unwrap();
        let usual = [
            ("${TRUST_DOMAIN}", "dev.protem.test"),
            ("${CLIENT_PORT}", "0"),
            ("${CLIENT_ADMIN_PORT}", "0"),
            ("${SERVER_ADMIN_PORT}", "0"),
            ("${LOG_DIR}", &logs),
        ];
        for (place, value) in places.iter().chain(&usual) {
            text = text.replace(place, value);
        }
        let config = folder.join("envoy.yaml");
        fs::write(&config, text).unwrap();
        let admin = folder.join("admin");
        let mut command = tool("envoy");
        command.arg("--config-path").arg(config);
        command.arg("--admin-address-path").arg(&admin);
        command.args(["--disable-hot-restart", "--concurrency", "1"]);
        command.args(["--log-level", "warning"]);
        self.start(name, gid, &mut command);
        until(name, async || {
            ask(&admin, "/ready")
                .await
                .filter(|answer| answer.contains("LIVE"))?;
            let listeners = ask(&admin, "/listeners").await?;
            let mut ports = listeners
                .lines()
                .filter_map(|line| line.split_once("::127.0.0.1:"));
            ports.next()?.1.trim().parse().ok()
        })
        .await
    }

    /// Starts any process as a process of a group.
    pub(crate) fn start(&mut self, name: &str, gid: u32, command: &mut Command) {
        let out = fs::File::create(self.folder.join(format!("{name}.out"))).unwrap();
        let child = command
            .gid(gid)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        self.started.push((name.to_owned(), child));
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        for (name, child) in &mut self.started {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                let out = self.folder.join(format!("{name}.out"));
                let said = fs::read_to_string(out).unwrap_or_default();
                let lines: Vec<&str> = said.lines().collect();
                let last = lines.len().saturating_sub(20);
                println!("--- {name}:\n{}", lines[last..].join("\n"));
            }
        }
    }
}

impl Http<TcpStream> {
    /// To an Envoy that takes plain HTTP.
    pub(crate) async fn plain(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }
}

impl Http<tokio_rustls::client::TlsStream<TcpStream>> {
    /// To an Envoy that asks for a certificate: this one.
    pub(crate) async fn mutual(port: u16, held: &HeldSvid) -> Self {
        let chain = held.chain.iter();
        let chain = chain.map(|one| CertificateDer::from(one.der().to_vec()));
        let key = PrivatePkcs8KeyDer::from(held.key.to_pkcs8_der().unwrap().to_vec());
        let key = PrivateKeyDer::Pkcs8(key);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_client_auth_cert(chain.collect(), key)
            .unwrap();
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        Self(connector.connect(name, stream).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http<S> {
    /// Asks, naming a scope or none; answers the status.
    pub(crate) async fn get(&mut self, scope: Option<&str>) -> u16 {
        let scope = scope.map_or(String::new(), |scope| {
            format!("x-protem-scope: {scope}\r\n")
        });
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{scope}\r\n");
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
        status
    }
}

/// Asks until there is an answer.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// What an Envoy's admin page says.
async fn ask(admin: &Path, path: &str) -> Option<String> {
    let address = fs::read_to_string(admin).ok()?;
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

/// Who the server is, is not what is measured.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const PATIENCE: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(1);

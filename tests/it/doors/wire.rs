//! HTTP by hand: bytes for HTTP/1.1, so that a test can be wrong on purpose, and a plain client for
//! HTTP/2.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A connection of bytes.
pub(crate) struct Bare<S> {
    stream: S,
    read: Vec<u8>,
}

/// HTTP/1.1 over TLS.
pub(crate) type Http1 = Bare<TlsStream<TcpStream>>;
/// No TLS at all.
pub(crate) type Tcp = Bare<TcpStream>;

/// HTTP/2 over TLS.
pub(crate) struct Http2 {
    sender: http2::SendRequest<Empty<Bytes>>,
    closed: watch::Receiver<bool>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        Some(value)
    }

    /// The `code` of the problem that the answer is; empty for any other.
    pub(crate) fn code(&self) -> String {
        let document: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        document["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Bare<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Sends bytes; that the peer has gone shows when the answer is read.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref()).await;
        let _ = self.stream.flush().await;
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.try_get(target).await.unwrap()
    }

    pub(crate) async fn try_get(&mut self, target: &str) -> Option<Answer> {
        self.send(&format!(
            "GET {target} HTTP/1.1\r\nhost: protem.test\r\n\r\n"
        ))
        .await;
        self.answer().await
    }

    /// The next answer; none where the connection ends before it is whole.
    pub(crate) async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            match self
                .read
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                Some(at) => break at + 4,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8(self.read.drain(..end).collect()).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_owned(), value.trim().to_owned())
        };
        let mut answer = Answer {
            status,
            headers: lines.map(header).collect(),
            body: String::new(),
        };
        let length = answer
            .header("content-length")
            .map_or(0, |text| text.parse().unwrap());
        while self.read.len() < length {
            self.more().await?;
        }
        answer.body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        Some(answer)
    }

    /// Everything until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        String::from_utf8(self.rest_bytes().await).unwrap()
    }

    /// The same, where it may be no text.
    pub(crate) async fn rest_bytes(&mut self) -> Vec<u8> {
        while self.more().await.is_some() {}
        std::mem::take(&mut self.read)
    }

    /// Everything, when the connection ends within the pause.
    pub(crate) async fn ended_within(&mut self, pause: Duration) -> Option<String> {
        timeout(pause, self.rest()).await.ok()
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }
}

impl Http1 {
    pub(crate) fn handshake(&self) -> Option<rustls::HandshakeKind> {
        self.stream.get_ref().1.handshake_kind()
    }

    pub(crate) fn tickets(&self) -> u32 {
        self.stream.get_ref().1.tls13_tickets_received()
    }
}

impl Tcp {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl Http2 {
    pub(crate) async fn over(stream: TlsStream<TcpStream>) -> Self {
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let (ended, closed) = watch::channel(false);
        tokio::spawn(async move {
            let _ = connection.await;
            ended.send_replace(true);
        });
        Self { sender, closed }
    }

    /// The answer; none where the connection ends before it.
    pub(crate) async fn get(&self, target: &str) -> Option<Answer> {
        let request = http::Request::get(format!("https://protem.test{target}"));
        let request = request.body(Empty::new()).unwrap();
        let response = self.sender.clone().send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some(Answer {
            status,
            headers: Vec::new(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        })
    }

    /// Returns when the connection has ended.
    pub(crate) async fn closed(mut self) {
        self.closed.wait_for(|ended| *ended).await.unwrap();
    }
}

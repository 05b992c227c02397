//! One request and its answer over one fresh connection.
//!
//! Promises: connecting and answering have a longest time, an answer a greatest size; the
//! connection is driven by the caller's own task and ends with the exchange.
//! Refuses: to keep a connection: its client certificate would outlive a rotation.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{ClientError, ServerAddress};

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Empty where the body went to a sink.
    pub(crate) body: Vec<u8>,
}

/// Takes the pieces of a successful answer as they arrive.
pub(crate) type Sink<'a> = &'a mut (dyn FnMut(&[u8]) -> io::Result<()> + Send);

/// What a conversation goes over.
pub(crate) type Stream = TlsStream<TcpStream>;

/// Whom to ask, how, and for how long.
pub(crate) struct Exchange<'a> {
    pub(crate) address: &'a ServerAddress,
    pub(crate) tls: ClientConfig,
    /// The longest time from the sent request to the whole answer.
    pub(crate) patience: Duration,
}

impl Exchange<'_> {
    /// Sends the request and reads the answer; a successful one goes to the sink, if there is one.
    pub(crate) async fn perform(
        self,
        request: Request<Full<Bytes>>,
        sink: Option<Sink<'_>>,
    ) -> Result<Answer, ClientError> {
        let server = self.address.to_string();
        let patience = self.patience;
        let stream = connect_within(self.address, self.tls).await?;
        match timeout(patience, converse(&server, stream, request, sink)).await {
            Ok(answer) => answer,
            Err(_) => Err(timed_out(server, patience)),
        }
    }
}

/// A connection to a server that is proved, within the longest time for that.
pub(crate) async fn connect_within(
    address: &ServerAddress,
    tls: ClientConfig,
) -> Result<Stream, ClientError> {
    match timeout(CONNECT_LONGEST, connect(address, tls)).await {
        Ok(stream) => stream,
        Err(_) => Err(timed_out(address.to_string(), CONNECT_LONGEST)),
    }
}

async fn connect(address: &ServerAddress, tls: ClientConfig) -> Result<Stream, ClientError> {
    let server = address.to_string();
    let unreachable = |source| ClientError::Unreachable {
        server: server.clone(),
        source,
    };
    let name = ServerName::try_from(address.host().to_owned())
        .map_err(|error| unreachable(io::Error::other(error)))?;
    let stream = TcpStream::connect((address.host(), address.port()))
        .await
        .map_err(unreachable)?;
    // Else a small piece of a request waits until the server has acknowledged the piece before it,
    // which a server that waits for the rest puts off for 40 ms.
    stream.set_nodelay(true).map_err(unreachable)?;
    TlsConnector::from(Arc::new(tls))
        .connect(name, stream)
        .await
        .map_err(|source| ClientError::Handshake { server, source })
}

async fn converse(
    server: &str,
    stream: Stream,
    request: Request<Full<Bytes>>,
    sink: Option<Sink<'_>>,
) -> Result<Answer, ClientError> {
    let broken = |source| ClientError::Broken {
        server: server.to_owned(),
        source,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(broken)?;
        read(server, response, sink).await
    };
    let mut exchange = std::pin::pin!(exchange);
    // The connection does the work; when it ends first, what it received is still to be read.
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

async fn read(
    server: &str,
    response: Response<Incoming>,
    mut sink: Option<Sink<'_>>,
) -> Result<Answer, ClientError> {
    let status = response.status();
    let mut incoming = response.into_body();
    let mut body = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|source| ClientError::Broken {
            server: server.to_owned(),
            source,
        })?;
        let Some(piece) = frame.data_ref() else {
            continue;
        };
        match &mut sink {
            Some(sink) if status.is_success() => sink(piece).map_err(ClientError::Sink)?,
            _ => body.extend_from_slice(piece),
        }
        if body.len() > ANSWER_BYTES_MAX {
            return Err(ClientError::TooLarge {
                server: server.to_owned(),
                bytes_max: ANSWER_BYTES_MAX,
            });
        }
    }
    Ok(Answer { status, body })
}

fn timed_out(server: String, after: Duration) -> ClientError {
    ClientError::TimedOut { server, after }
}

/// TCP and TLS together.
const CONNECT_LONGEST: Duration = Duration::from_secs(5);
/// A page of 1000 events with all their fields stays below.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

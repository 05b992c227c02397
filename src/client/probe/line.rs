//! One connection on which a probe asks again and again.
//!
//! Promises: it is driven by who asks, and by nobody else; an answer has a greatest size.
//! Refuses: to open a second connection when the first has ended.

use std::io;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{DATE, HOST};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::client::probe::{ANSWER_LONGEST, Endpoint, ProbeError, tls};
use crate::time::Timestamp;
use crate::x509::Certificate;

/// An open connection.
pub(super) struct Line {
    sender: SendRequest<Empty<Bytes>>,
    /// None once it has ended.
    connection: Option<BoxFuture<'static, Result<(), hyper::Error>>>,
    /// The last second of the other side's certificate.
    pub(super) peer_not_after: Option<Timestamp>,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The `Date` header.
    pub(super) date: Option<String>,
    pub(super) body: String,
}

impl Line {
    /// Opens it with a full handshake.
    pub(super) async fn open(endpoint: &Endpoint) -> Result<Self, ProbeError> {
        let failed = |error| endpoint.unreachable(io::Error::other(error));
        let mut config = tls::config(endpoint, &[&TLS13, &TLS12]).map_err(ProbeError::Tls)?;
        config.resumption = Resumption::disabled();
        let stream = endpoint.connect().await?;
        let connecting = TlsConnector::from(Arc::new(config)).connect(endpoint.name()?, stream);
        let silent = |_| ProbeError::Silent(endpoint.address.to_string());
        let stream = timeout(ANSWER_LONGEST, connecting).await.map_err(silent)?;
        let stream = stream.map_err(|error| endpoint.unreachable(error))?;
        let leaf = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first);
        let leaf = leaf.and_then(|leaf| Certificate::parse(leaf.as_ref()).ok());
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(failed)?;
        Ok(Self {
            sender,
            connection: Some(Box::pin(connection)),
            peer_not_after: leaf.map(|leaf| leaf.tbs().not_after),
        })
    }

    /// Asks; an error says that the connection has ended.
    pub(super) async fn get(&mut self, path: &str, host: &str) -> Result<Answer, LineError> {
        let sender = &mut self.sender;
        let mut exchange = pin!(async {
            sender.ready().await?;
            let request = Request::get(path).header(HOST, host).body(Empty::new())?;
            let answer = sender.send_request(request).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?;
            let date = head.headers.get(DATE).and_then(|date| date.to_str().ok());
            Ok(Answer {
                status: head.status,
                date: date.map(str::to_owned),
                body: String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            })
        });
        let Some(connection) = &mut self.connection else {
            return exchange.await;
        };
        tokio::select! {
            answer = &mut exchange => return answer,
            // How it ended is seen by what is still to be read of it.
            _ = connection => {}
        }
        self.connection = None;
        exchange.await
    }
}

impl Endpoint {
    /// What the handshake names.
    pub(super) fn name(&self) -> Result<ServerName<'static>, ProbeError> {
        let name = ServerName::try_from(self.address.host().to_owned());
        name.map_err(|error| self.unreachable(io::Error::other(error)))
    }
}

type LineError = Box<dyn std::error::Error + Send + Sync>;

const ANSWER_BYTES_MAX: usize = 1 << 20;

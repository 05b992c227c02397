//! What concerns an agent, told by the server for as long as the connection lasts.
//!
//! Promises: one HTTP/2 connection of its own, made as every other call makes its; a server that is
//! gone is noticed within [`PING_EVERY`] and [`PING_ANSWER_LONGEST`] together. The connection ends
//! with the stream, and with the SVID that it was made with. A refusal keeps what the server wrote.
//! Refuses: to connect again: who watches decides when, and asks for everything anew.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::transport::Endpoint;
use tower::service_fn;

use crate::client::call::ANSWER_LONGEST;
use crate::client::exchange::{Stream, connect_within};
use crate::client::tls::ALPN_HTTP_2;
use crate::client::{Client, ClientError};
use crate::proto::agent::agents_client::AgentsClient;
use crate::proto::agent::{Change, WatchRequest};
use crate::wire::problem::{PROBLEM_METADATA, ProblemView};

impl Client {
    /// Everything that concerns the calling agent, and then every change of it; with `deny_list`
    /// also which certificates were denied before their end.
    ///
    /// Where the stream ends, [`Client::of_status`] tells why.
    ///
    /// # Errors
    /// Why there is no stream.
    pub async fn watch(&self, deny_list: bool) -> Result<tonic::Streaming<Change>, ClientError> {
        let tls = self.tls(ALPN_HTTP_2)?;
        let mut request = tonic::Request::new(WatchRequest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            deny_list,
        });
        if let Some(secret) = self.proof.authorization()? {
            let mut value = MetadataValue::try_from(secret.as_bytes())
                .map_err(|error| self.of_status(&tonic::Status::internal(error.to_string())))?;
            value.set_sensitive(true);
            request.metadata_mut().insert("authorization", value);
        }
        let stream = connect_within(&self.address, tls).await?;
        match timeout(ANSWER_LONGEST, self.open(stream, request)).await {
            Ok(opened) => opened.map_err(|status| self.of_status(&status)),
            Err(_) => Err(ClientError::TimedOut {
                server: self.address.to_string(),
                after: ANSWER_LONGEST,
            }),
        }
    }

    /// Why a stream ended, as the server told it or as the connection did.
    #[must_use]
    pub fn of_status(&self, status: &tonic::Status) -> ClientError {
        match problem(status.metadata()) {
            Some(problem) => ClientError::Problem(Box::new(problem)),
            None => ClientError::NoStream {
                server: self.address.to_string(),
                source: Box::new(status.clone()),
            },
        }
    }

    async fn open(
        &self,
        stream: Stream,
        request: tonic::Request<WatchRequest>,
    ) -> Result<tonic::Streaming<Change>, tonic::Status> {
        let once = Mutex::new(Some(stream));
        let connector = service_fn(move |_| {
            let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            std::future::ready(stream.map(TokioIo::new).ok_or_else(used))
        });
        let endpoint = Endpoint::from_shared(self.address.to_string()).map_err(failed)?;
        let channel = endpoint
            .user_agent(concat!("protem/", env!("CARGO_PKG_VERSION")))
            .map_err(failed)?
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_ANSWER_LONGEST)
            .keep_alive_while_idle(true)
            .connect_with_connector(connector)
            .await
            .map_err(failed)?;
        let mut agents = AgentsClient::new(channel).max_decoding_message_size(CHANGE_BYTES_MAX);
        Ok(agents.watch(request).await?.into_inner())
    }
}

fn problem(metadata: &MetadataMap) -> Option<ProblemView> {
    let bytes = metadata.get_bin(PROBLEM_METADATA)?.to_bytes().ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn failed(error: tonic::transport::Error) -> tonic::Status {
    tonic::Status::from_error(Box::new(error))
}

fn used() -> io::Error {
    io::Error::other("the connection has ended; watch again")
}

/// How often a silent server is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long it may think.
const PING_ANSWER_LONGEST: Duration = Duration::from_secs(10);
/// The largest change: the bundle of a trust domain with many roots stays far below.
const CHANGE_BYTES_MAX: usize = 4 * 1024 * 1024;

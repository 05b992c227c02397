//! The access-log service of Envoy.
//!
//! Promises: reads until the Envoy ends, and answers nothing, as the protocol has it; a reporter
//! has an entry at this agent, and what he tells is kept in the name of his default identity.
//! Refuses: callers without one: a use keeps an elevation from being ended as unused.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::caller::{Caller, Look, attest, caller_of};
use crate::agent::keeper::Keeper;
use crate::agent::uses::Uses;
use crate::agent::xds::{Service, Streams};
use crate::identity::Subject;
use crate::proto::access_log::access_log_service_server::AccessLogService;
use crate::proto::access_log::{StreamAccessLogsMessage, StreamAccessLogsResponse};
use crate::time::Clock;

/// Access logs of callers of the kind `P`.
pub(crate) struct AccessLogs<P> {
    uses: Arc<Uses>,
    keeper: Keeper,
    clock: Arc<dyn Clock>,
    streams: Arc<Streams>,
    stop: CancellationToken,
    callers: PhantomData<fn() -> P>,
}

impl<P: Caller> AccessLogs<P> {
    /// Reads into `uses`.
    pub(crate) fn new(
        uses: Arc<Uses>,
        keeper: Keeper,
        clock: Arc<dyn Clock>,
        streams: Arc<Streams>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            uses,
            keeper,
            clock,
            streams,
            stop,
            callers: PhantomData,
        }
    }

    /// The caller's default identity, when an entry fits him; waits until the server has told.
    async fn identity(&self, caller: &P) -> Result<Option<Subject>, Status> {
        let selectors = attest(caller, Look::Anew).await?;
        let ending = |_| Status::unavailable("the agent is ending");
        let following = self.keeper.follow(selectors, caller.holder()).await;
        let mut following = following.map_err(ending)?;
        let told = async {
            loop {
                let holdings = following.now();
                if holdings.told || !holdings.identities.is_empty() {
                    let first = holdings.identities.first();
                    return Ok(first.map(|identity| identity.entry.subject.clone()));
                }
                following.changed().await.map_err(ending)?;
            }
        };
        tokio::time::timeout(TOLD_WAIT, told)
            .await
            .unwrap_or_else(|_| {
                Err(Status::unavailable(
                    "the server has not told yet who is registered here",
                ))
            })
    }
}

#[tonic::async_trait]
impl<P: Caller> AccessLogService for AccessLogs<P> {
    async fn stream_access_logs(
        &self,
        request: Request<Streaming<StreamAccessLogsMessage>>,
    ) -> Result<Response<StreamAccessLogsResponse>, Status> {
        let caller = caller_of::<P, _>(&request)?;
        let _place = self.streams.enter(&caller, Service::AccessLog);
        let Some(server) = self.identity(&caller).await? else {
            return Err(Status::permission_denied(
                "no entry fits the caller: register the Envoy that reports",
            ));
        };
        let listeners = self.uses.listeners();
        let _listening = listeners.listen(server.clone(), Arc::clone(&self.clock));
        let mut messages = request.into_inner();
        loop {
            tokio::select! {
                message = messages.message() => match message? {
                    Some(message) => self.uses.read(&server, &message, self.clock.now()),
                    None => return Ok(Response::new(StreamAccessLogsResponse {})),
                },
                () = self.stop.cancelled() => {
                    return Err(Status::unavailable("the agent is ending"));
                }
            }
        }
    }
}

impl<P> std::fmt::Debug for AccessLogs<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AccessLogs").field(&self.uses).finish()
    }
}

const TOLD_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;
    use crate::agent::envoy::held::{nothing, of_web};
    use crate::agent::envoy::stage::{Stage, soon};
    use crate::agent::holdings::Holdings;
    use crate::agent::sds::Options;
    use crate::proto::access_log::access_log_service_client::AccessLogServiceClient;
    use crate::proto::access_log::stream_access_logs_message::{HttpAccessLogEntries, LogEntries};

    #[tokio::test]
    async fn who_has_an_entry_reports_until_he_ends() {
        let stage = Stage::new(of_web(), Options::default());
        let mut client = AccessLogServiceClient::new(stage.connect().await);
        let (send, messages) = tokio::sync::mpsc::channel(4);
        let elevated = "spiffe://td.test/ns/shop/sa/web/scope/db.read";
        let entry = crate::agent::uses::tests::entry(elevated, 200);
        let logs = HttpAccessLogEntries {
            log_entry: vec![entry],
        };
        for _ in 0..3 {
            let message = StreamAccessLogsMessage {
                identifier: None,
                log_entries: Some(LogEntries::HttpLogs(logs.clone())),
            };
            send.send(message).await.unwrap();
        }
        drop(send);
        soon(client.stream_access_logs(ReceiverStream::new(messages)))
            .await
            .unwrap();
        let taken = stage.uses.take();
        let (server, uses) = taken.into_iter().next().unwrap();
        assert_eq!(server.to_string(), "spiffe://td.test/ns/shop/sa/web");
        assert_eq!(uses.into_values().next().unwrap().count, 3);
    }

    #[tokio::test]
    async fn who_has_none_is_refused() {
        let told = Holdings {
            told: true,
            ..nothing()
        };
        let stage = Stage::new(told, Options::default());
        let mut client = AccessLogServiceClient::new(stage.connect().await);
        let (_send, messages) = tokio::sync::mpsc::channel(4);
        let reported = client.stream_access_logs(ReceiverStream::new(messages));
        let status = soon(reported).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::PermissionDenied);
    }
}

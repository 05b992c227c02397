//! The access-log service of Envoy.
//!
//! Promises: reads until the Envoy ends, and answers nothing, as the protocol has it; a reporter
//! has an entry at this agent, and what he tells is kept in the name of his default identity, for
//! as long as it is that: he is looked at again before each message (as of the last second) and
//! when entries change.
//! Refuses: callers without one: a use keeps an elevation from being ended as unused.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::caller::{Caller, Look, attest, caller_of};
use crate::agent::holdings::Holdings;
use crate::agent::keeper::{Ending, Following, Keeper};
use crate::agent::uses::Uses;
use crate::agent::xds::{Service, Streams};
use crate::identity::{Selector, Subject};
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

    /// Who the caller reports as: his default identity; waits until the server has told.
    async fn reporter(&self, caller: &P) -> Result<Reporter, Status> {
        let sight = self.keeper.sight();
        let shows = attest(caller, Look::Anew).await?;
        let following = self.keeper.follow(shows.clone(), caller.holder()).await;
        let mut following = following.map_err(ending)?;
        following.attested_by(sight);
        let told = async {
            loop {
                let holdings = following.now();
                if holdings.told || !holdings.identities.is_empty() {
                    return first(&holdings).ok_or_else(|| {
                        Status::permission_denied(
                            "no entry fits the caller: register the Envoy that reports",
                        )
                    });
                }
                following.changed().await.map_err(ending)?;
            }
        };
        let server = tokio::time::timeout(TOLD_WAIT, told).await;
        let server = server.unwrap_or_else(|_| {
            Err(Status::unavailable(
                "the server has not told yet who is registered here",
            ))
        })?;
        Ok(Reporter {
            server,
            shows,
            following,
        })
    }

    /// The same caller again, where he still reports as who he did before.
    async fn still(&self, caller: &P, server: &Subject) -> Result<Reporter, Status> {
        let reporter = self.reporter(caller).await?;
        if reporter.server == *server {
            Ok(reporter)
        } else {
            Err(Status::permission_denied(
                "the caller's default identity is another now: report anew",
            ))
        }
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
        let mut reporter = self.reporter(&caller).await?;
        let server = reporter.server.clone();
        let listeners = self.uses.listeners();
        let _listening = listeners.listen(server.clone(), Arc::clone(&self.clock));
        let mut messages = request.into_inner();
        loop {
            tokio::select! {
                message = messages.message() => {
                    let Some(message) = message? else {
                        return Ok(Response::new(StreamAccessLogsResponse {}));
                    };
                    if attest(&caller, Look::Lately).await? != reporter.shows {
                        reporter = self.still(&caller, &server).await?;
                    }
                    self.uses.read(&server, &message, self.clock.now());
                }
                changed = reporter.following.changed() => {
                    changed.map_err(ending)?;
                    if reporter.is_in_question() {
                        reporter = self.still(&caller, &server).await?;
                    }
                }
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

/// Who reports, and by what he was told.
struct Reporter {
    server: Subject,
    shows: Arc<BTreeSet<Selector>>,
    following: Following,
}

impl Reporter {
    /// Whether what changed concerns who he is.
    fn is_in_question(&mut self) -> bool {
        self.following.is_outdated() || first(&self.following.now()).as_ref() != Some(&self.server)
    }
}

/// The default identity.
fn first(holdings: &Holdings) -> Option<Subject> {
    let first = holdings.identities.first();
    first.map(|identity| identity.entry.subject.clone())
}

fn ending(_: Ending) -> Status {
    Status::unavailable("the agent is ending")
}

const TOLD_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;
    use crate::agent::envoy::held::{nothing, of_web};
    use crate::agent::envoy::stage::{Stage, soon};
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
    async fn who_has_become_another_reports_no_more() {
        for becomes in [Some("unix:uid:0"), None] {
            let stage = Stage::new(of_web(), Options::default());
            let mut client = AccessLogServiceClient::new(stage.connect().await);
            let (send, messages) = tokio::sync::mpsc::channel(4);
            let talk = client.stream_access_logs(ReceiverStream::new(messages));
            let act = async {
                let message = StreamAccessLogsMessage::default();
                send.send(message.clone()).await.unwrap();
                while stage.uses.listeners().since().is_empty() {
                    tokio::task::yield_now().await;
                }
                stage.peer.show(becomes);
                send.send(message).await.unwrap();
            };
            let (ended, ()) = soon(async { tokio::join!(talk, act) }).await;
            assert!(ended.is_err());
            assert!(stage.uses.listeners().since().is_empty());
        }
    }

    #[tokio::test]
    async fn an_entry_that_goes_ends_the_report() {
        let stage = Stage::new(of_web(), Options::default());
        let mut client = AccessLogServiceClient::new(stage.connect().await);
        let (_send, messages) = tokio::sync::mpsc::channel(4);
        let talk = client.stream_access_logs(ReceiverStream::new(messages));
        let act = async {
            while stage.uses.listeners().since().is_empty() {
                tokio::task::yield_now().await;
            }
            stage.hold(Holdings {
                told: true,
                ..nothing()
            });
        };
        let (ended, ()) = soon(async { tokio::join!(talk, act) }).await;
        assert_eq!(ended.unwrap_err().code(), tonic::Code::PermissionDenied);
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

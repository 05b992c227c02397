//! The agent of this machine, seen from a workload: its Workload API and what it does beside it.
//!
//! Promises: connecting and a first answer have a longest time; a connection whose other end is
//! gone is noticed; an answer is read whole or refused.
//! Refuses: an answer that does not fit together.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tower::service_fn;

use crate::client::fetched::{Fetched, FetchedError};
use crate::proto::agent::local_agent_client::LocalAgentClient;
use crate::proto::agent::{
    ElevateRequest, ElevateResponse, StatusRequest, StatusResponse, WaitElevationRequest,
};
use crate::proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use crate::proto::workload::{X509svidRequest, X509svidResponse};

/// A connection to the agent.
pub(crate) struct AgentSocket {
    channel: Channel,
    path: PathBuf,
}

/// What a caller holds, again and again.
pub(crate) struct Updates {
    stream: Streaming<X509svidResponse>,
    path: PathBuf,
}

/// Why the agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentSocketError {
    /// What came is not usable.
    #[error("the agent's answer is not usable")]
    Answer(#[from] FetchedError),
    /// The agent closed without a word.
    #[error("the agent ended the stream")]
    Ended,
    /// The agent said no.
    #[error("{words}")]
    Refused {
        /// Its code.
        code: Code,
        /// Its words.
        words: String,
    },
    /// No answer in time.
    #[error("the agent did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The system lets this user not connect.
    #[error(
        "user {uid} may not connect to `{}`: a folder above it, or the socket itself, is closed to \
         him",
        path.display()
    )]
    Closed {
        /// The socket.
        path: PathBuf,
        /// Who asks.
        uid: u32,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody else listens there: the agent's socket for Envoy, or another program.
    #[error(
        "what listens at `{}` is no SPIFFE Workload API: name the agent's `workload_socket`, not \
         the socket of its `[sds]`",
        .0.display()
    )]
    Other(PathBuf),
    /// Nobody listens there.
    #[error(
        "cannot reach an agent at `{}`: start one, or name its socket with `--socket` or \
         `SPIFFE_ENDPOINT_SOCKET`",
        path.display()
    )]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl AgentSocketError {
    /// Whether asking the same again gives the same (SPIFFE Workload Endpoint, appendix A).
    pub(crate) const fn is_final(&self) -> bool {
        match self {
            Self::Refused { code, .. } => matches!(
                code,
                Code::FailedPrecondition
                    | Code::InvalidArgument
                    | Code::NotFound
                    | Code::Unimplemented
            ),
            Self::Other(_) => true,
            Self::Answer(_)
            | Self::Closed { .. }
            | Self::Ended
            | Self::Silent(_)
            | Self::Unreachable { .. } => false,
        }
    }

    /// Whether the agent says that this caller may hold nothing.
    pub(crate) const fn is_no_identity(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Code::PermissionDenied,
                ..
            }
        )
    }

    /// Whether the agent said that what was asked is wrong.
    pub(crate) const fn is_wrong(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Code::InvalidArgument,
                ..
            }
        )
    }

    /// Whether nobody answered, or nobody who can for now.
    pub(crate) const fn is_unreachable(&self) -> bool {
        match self {
            Self::Closed { .. } | Self::Ended | Self::Silent(_) | Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => matches!(
                code,
                Code::Cancelled | Code::DeadlineExceeded | Code::Unavailable
            ),
            Self::Answer(_) | Self::Other(_) => false,
        }
    }
}

impl AgentSocket {
    /// Connects.
    pub(crate) async fn connect(path: &Path) -> Result<Self, AgentSocketError> {
        let unreachable = |source: io::Error| {
            let path = path.to_owned();
            if source.kind() == io::ErrorKind::PermissionDenied {
                let uid = rustix::process::geteuid().as_raw();
                AgentSocketError::Closed { path, uid, source }
            } else {
                AgentSocketError::Unreachable { path, source }
            }
        };
        // A first connection tells what the system says, in the system's words.
        let first = timeout(CONNECT_LONGEST, UnixStream::connect(path)).await;
        let first = first.map_err(|_| AgentSocketError::Silent(CONNECT_LONGEST))?;
        let mut first = Some(first.map_err(unreachable)?);
        let socket = path.to_owned();
        let connector = service_fn(move |_| {
            let (first, socket) = (first.take(), socket.clone());
            async move {
                let stream = match first {
                    Some(stream) => stream,
                    None => UnixStream::connect(socket).await?,
                };
                Ok::<_, io::Error>(TokioIo::new(stream))
            }
        });
        // gRPC wants an authority; over a Unix socket it means nothing.
        let endpoint = Endpoint::from_static("http://localhost")
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_LONGEST)
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_with_connector(connector).await;
        let channel = channel.map_err(|error| unreachable(io::Error::other(error)))?;
        let path = path.to_owned();
        Ok(Self { channel, path })
    }

    /// Begins to listen to what this process holds.
    pub(crate) async fn updates(&self) -> Result<Updates, AgentSocketError> {
        let mut client = SpiffeWorkloadApiClient::new(self.channel.clone());
        let stream = client.fetch_x509svid(with_header(X509svidRequest {})).await;
        let stream = stream.map_err(|status| self.refused(&status))?;
        Ok(Updates {
            stream: stream.into_inner(),
            path: self.path.clone(),
        })
    }

    /// What this process holds now.
    pub(crate) async fn fetch(&self) -> Result<Fetched, AgentSocketError> {
        within(FIRST_LONGEST, async { self.updates().await?.next().await }).await
    }

    /// The same, as soon as one of what it holds has this hint; after [`HINT_LONGEST`] without.
    pub(crate) async fn fetch_with(&self, hint: &str) -> Result<Fetched, AgentSocketError> {
        let mut newest = None;
        let coming = async {
            let mut updates = self.updates().await?;
            loop {
                let fetched = updates.next().await?;
                if fetched.pick(Some(hint)).is_some() {
                    return Ok(fetched);
                }
                newest = Some(fetched);
            }
        };
        match timeout(HINT_LONGEST, coming).await {
            Ok(fetched) => fetched,
            Err(_) => newest.ok_or(AgentSocketError::Silent(HINT_LONGEST)),
        }
    }

    /// Asks for an elevation.
    pub(crate) async fn elevate(
        &self,
        request: ElevateRequest,
    ) -> Result<ElevateResponse, AgentSocketError> {
        let mut client = LocalAgentClient::new(self.channel.clone());
        within(CALL_LONGEST, async {
            let answer = client.elevate(with_header(request)).await;
            Ok(answer.map_err(|status| self.refused(&status))?.into_inner())
        })
        .await
    }

    /// An elevation as soon as its state is another than `state`, or after some seconds.
    pub(crate) async fn wait_elevation(
        &self,
        elevation: &str,
        state: &str,
    ) -> Result<ElevateResponse, AgentSocketError> {
        let mut client = LocalAgentClient::new(self.channel.clone());
        let request = WaitElevationRequest {
            elevation: elevation.to_owned(),
            state: state.to_owned(),
        };
        within(CALL_LONGEST, async {
            let answer = client.wait_elevation(with_header(request)).await;
            Ok(answer.map_err(|status| self.refused(&status))?.into_inner())
        })
        .await
    }

    /// How the agent fares.
    pub(crate) async fn status(&self) -> Result<StatusResponse, AgentSocketError> {
        let client = LocalAgentClient::new(self.channel.clone());
        let mut client = client.max_decoding_message_size(STATUS_BYTES_MAX);
        within(FIRST_LONGEST, async {
            let answer = client.status(with_header(StatusRequest {})).await;
            Ok(answer.map_err(|status| self.refused(&status))?.into_inner())
        })
        .await
    }
}

impl AgentSocket {
    fn refused(&self, status: &Status) -> AgentSocketError {
        refused(status, &self.path)
    }
}

impl Updates {
    /// The next one; the agent's last word where there is none.
    pub(crate) async fn next(&mut self) -> Result<Fetched, AgentSocketError> {
        let message = self.stream.message().await;
        let message = message.map_err(|status| refused(&status, &self.path))?;
        let message = message.ok_or(AgentSocketError::Ended)?;
        Ok(Fetched::read(message)?)
    }
}

async fn within<T>(
    longest: Duration,
    answer: impl Future<Output = Result<T, AgentSocketError>>,
) -> Result<T, AgentSocketError> {
    let answer = timeout(longest, answer).await;
    answer.map_err(|_| AgentSocketError::Silent(longest))?
}

/// SPIFFE Workload Endpoint 3.
fn with_header<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = MetadataValue::from_static("true");
    request.metadata_mut().insert("workload.spiffe.io", value);
    request
}

fn refused(status: &Status, path: &Path) -> AgentSocketError {
    // Our agent says why; a server that has no such service says nothing.
    if status.code() == Code::Unimplemented && status.message().is_empty() {
        return AgentSocketError::Other(path.to_owned());
    }
    AgentSocketError::Refused {
        code: status.code(),
        words: status.message().to_owned(),
    }
}

const CONNECT_LONGEST: Duration = Duration::from_secs(5);
/// Longer than an agent waits for its first SVID.
const FIRST_LONGEST: Duration = Duration::from_secs(30);
/// Longer than a right that was just given is on its way, and than an agent without a word waits.
const HINT_LONGEST: Duration = Duration::from_secs(8);
/// Longer than an agent asks its server.
const CALL_LONGEST: Duration = Duration::from_secs(110);
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_LONGEST: Duration = Duration::from_secs(20);
const STATUS_BYTES_MAX: usize = 16 * 1024 * 1024;

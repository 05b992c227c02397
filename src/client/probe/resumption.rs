//! Does an endpoint resume sessions, also of a certificate that has ended (assurance E3, M2)?
//!
//! A resumed session is not checked against notAfter again in most servers: an ended right then
//! opens new connections for hours or days.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::{Resumption, Tls12Resumption};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use crate::client::probe::{ANSWER_LONGEST, Endpoint, ProbeError, tls};
use crate::time::{Clock, Seconds};

/// A way to resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// TLS 1.2, by the server's memory.
    Tls12Id,
    /// TLS 1.2, by a ticket, or by the server's memory where it gives none.
    Tls12Ticket,
    /// TLS 1.3, by a ticket.
    Tls13Ticket,
}

/// What became of an attempt to resume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// The session went on.
    Accepted,
    /// The server asked for a full handshake, and that went well.
    FullHandshake,
    /// There was no session to resume, or it was not tried.
    NotTried,
    /// The handshake failed.
    Refused(String),
}

/// What one way to resume came to.
#[derive(Clone, Debug)]
pub struct SessionReport {
    /// Which.
    pub session: Session,
    /// Why this version is not spoken; none when it is.
    pub not_spoken: Option<String>,
    /// While the holder's certificate lived.
    pub at_once: Resumed,
    /// After the end of the holder's certificate.
    pub after_end: Resumed,
}

/// Tries every way to resume; waits for the end of the holder's certificate when that comes within
/// `wait`.
///
/// # Errors
/// When the endpoint speaks no TLS with this holder at all.
pub async fn probe_resumption(
    endpoint: &Endpoint,
    clock: &dyn Clock,
    wait: Seconds,
) -> Result<Vec<SessionReport>, ProbeError> {
    drop(endpoint.connect().await?);
    let mut reports = Vec::new();
    let mut configs = Vec::new();
    for session in [Session::Tls13Ticket, Session::Tls12Ticket, Session::Tls12Id] {
        let config = Arc::new(session.config(endpoint).map_err(ProbeError::Tls)?);
        let first = hello(endpoint, &config).await;
        let spoken = matches!(first, Resumed::FullHandshake | Resumed::Accepted);
        let at_once = if spoken {
            hello(endpoint, &config).await
        } else {
            Resumed::NotTried
        };
        reports.push(SessionReport {
            session,
            not_spoken: match first {
                Resumed::Refused(why) => Some(why),
                Resumed::Accepted | Resumed::FullHandshake | Resumed::NotTried => None,
            },
            at_once,
            after_end: Resumed::NotTried,
        });
        configs.push(config);
    }
    let Some(end) = endpoint.not_after() else {
        return Ok(reports);
    };
    let past = end.plus(PAST_END);
    if past.since(clock.now()) <= wait {
        let left_ms = past.unix_ms().saturating_sub(clock.now().unix_ms());
        sleep(Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))).await;
        for (report, config) in reports.iter_mut().zip(&configs) {
            // Where nothing was resumed while it lived there is no session to try now.
            if report.at_once == Resumed::Accepted {
                report.after_end = hello(endpoint, config).await;
            }
        }
    }
    Ok(reports)
}

impl Session {
    /// The way in words.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tls12Id => "TLS 1.2 session id",
            Self::Tls12Ticket => "TLS 1.2 ticket",
            Self::Tls13Ticket => "TLS 1.3 ticket",
        }
    }

    fn config(self, endpoint: &Endpoint) -> Result<ClientConfig, rustls::Error> {
        let (version, tls12): (&'static SupportedProtocolVersion, _) = match self {
            Self::Tls12Id => (&TLS12, Tls12Resumption::SessionIdOnly),
            Self::Tls12Ticket => (&TLS12, Tls12Resumption::SessionIdOrTickets),
            Self::Tls13Ticket => (&TLS13, Tls12Resumption::Disabled),
        };
        let mut config = tls::config(endpoint, &[version])?;
        config.resumption = Resumption::in_memory_sessions(SESSIONS).tls12_resumption(tls12);
        Ok(config)
    }
}

/// One connection with one request, read until the server has said something: in TLS 1.3 tickets
/// and refusals come after the handshake.
async fn hello(endpoint: &Endpoint, config: &Arc<ClientConfig>) -> Resumed {
    match timeout(ANSWER_LONGEST * 2, converse(endpoint, config)).await {
        Ok(Ok(kind)) => match kind {
            HandshakeKind::Resumed => Resumed::Accepted,
            HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest => {
                Resumed::FullHandshake
            }
        },
        Ok(Err(why)) => Resumed::Refused(why),
        Err(_) => Resumed::Refused("no answer".to_owned()),
    }
}

async fn converse(
    endpoint: &Endpoint,
    config: &Arc<ClientConfig>,
) -> Result<HandshakeKind, String> {
    let words = |error: std::io::Error| error.to_string();
    let stream = endpoint
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    let name = endpoint.name().map_err(|error| error.to_string())?;
    let connecting = TlsConnector::from(Arc::clone(config)).connect(name, stream);
    let mut stream = connecting.await.map_err(words)?;
    let request = format!(
        "GET / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        endpoint.address.authority()
    );
    stream.write_all(request.as_bytes()).await.map_err(words)?;
    let mut answer = [0; 4_096];
    // Who speaks no HTTP says nothing; his tickets have come by then.
    if let Ok(Err(error)) = timeout(SAYS_NOTHING, stream.read(&mut answer)).await {
        return Err(error.to_string());
    }
    let (_, session) = stream.get_ref();
    session
        .handshake_kind()
        .ok_or_else(|| "the handshake did not end".to_owned())
}

/// notAfter is inclusive; servers differ by that second.
const PAST_END: Seconds = Seconds::new(2);
const SAYS_NOTHING: Duration = Duration::from_secs(2);
const SESSIONS: usize = 8;

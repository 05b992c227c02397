//! What a connection that asks for nothing, and one that begins too late, come to at the end of the
//! holder's certificate.
//!
//! Promises: no protocol is spoken on the first, so it is told of whatever stands behind TLS; the
//! second is a full handshake, tried when the certificate's last second is over.
//! Refuses: to wait longer than it is told.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::probe::{ANSWER_LONGEST, ConnectionEnd, Endpoint, ProbeError, tls};
use crate::time::{Clock, Seconds, Timestamp};

/// What was seen; offsets are milliseconds after notAfter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndsReport {
    /// The end of the holder's certificate.
    pub not_after: Timestamp,
    /// How the connection ended that asked for nothing.
    pub idle: ConnectionEnd,
    /// What became of a connection that began afterwards.
    pub late: Late,
}

/// What became of a connection that began after the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Late {
    /// It stands: the certificate is not looked at.
    Accepted,
    /// It was refused, in the system's or the library's words.
    Refused(String),
}

/// Opens a connection, says nothing on it until `past` after the holder's notAfter, and then opens
/// another.
///
/// # Errors
/// When the holder's certificate has ended, the end comes later than `wait`, or the endpoint cannot
/// be reached before it.
pub async fn probe_ends(
    endpoint: &Endpoint,
    clock: &dyn Clock,
    (wait, past): (Seconds, Seconds),
) -> Result<EndsReport, ProbeError> {
    let not_after = endpoint.not_after().ok_or(ProbeError::NoLife)?;
    let now = clock.now();
    if not_after <= now || wait < not_after.since(now) {
        return Err(ProbeError::NoLife);
    }
    let mut stream = handshake(endpoint).await?;
    let until = not_after.plus(past);
    let left = |to: Timestamp| {
        let left_ms = to.unix_ms().saturating_sub(clock.now().unix_ms()).max(0);
        Duration::from_millis(left_ms.unsigned_abs())
    };
    let closed = timeout(left(until), ended(&mut stream)).await;
    let idle = match closed {
        Ok(()) => {
            let at_ms = clock.now().unix_ms().saturating_sub(not_after.unix_ms());
            ConnectionEnd::Closed(at_ms)
        }
        Err(_) => ConnectionEnd::Open,
    };
    // The last second counts in a handshake (RFC 5280 4.1.2.5).
    sleep(left(not_after.plus(PAST_END))).await;
    Ok(EndsReport {
        not_after,
        idle,
        late: late(endpoint).await,
    })
}

/// A server may take what it refuses for shaken hands at first (TLS 1.3): only that it stays open
/// says that it was accepted.
async fn late(endpoint: &Endpoint) -> Late {
    match handshake(endpoint).await {
        Err(error) => Late::Refused(error.to_string()),
        Ok(mut stream) => match timeout(STAYS_OPEN, ended(&mut stream)).await {
            Ok(()) => Late::Refused("closed after the handshake".to_owned()),
            Err(_) => Late::Accepted,
        },
    }
}

async fn handshake(endpoint: &Endpoint) -> Result<TlsStream<TcpStream>, ProbeError> {
    let mut config = tls::config(endpoint, &[&TLS13, &TLS12]).map_err(ProbeError::Tls)?;
    config.resumption = Resumption::disabled();
    let stream = endpoint.connect().await?;
    let connecting = TlsConnector::from(Arc::new(config)).connect(endpoint.name()?, stream);
    let shaken = timeout(ANSWER_LONGEST, connecting).await;
    let shaken = shaken.map_err(|_| ProbeError::Silent(endpoint.address.to_string()))?;
    shaken.map_err(|error| endpoint.unreachable(error))
}

/// Reads until the other side has ended the connection, however it does that.
async fn ended(stream: &mut TlsStream<TcpStream>) {
    let mut bytes = [0; 1_024];
    loop {
        let read: io::Result<usize> = stream.read(&mut bytes).await;
        if !matches!(read, Ok(1..)) {
            return;
        }
    }
}

const PAST_END: Seconds = Seconds::new(2);
/// Longer than a refusal takes to arrive, from a busy machine too.
const STAYS_OPEN: Duration = Duration::from_secs(5);

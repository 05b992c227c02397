//! Does a proxy end what runs when the holder's certificate ends (assurance M3)?
//!
//! TLS looks at notAfter in the handshake only. So a connection is opened while the certificate
//! lives, and asked on it again and again until some time after its end.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::client::probe::line::Line;
use crate::client::probe::{ANSWER_LONGEST, Endpoint, ProbeError};
use crate::time::{Clock, Seconds, Timestamp};

/// What was seen on one connection; offsets are milliseconds after notAfter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryReport {
    /// The end of the holder's certificate.
    pub not_after: Timestamp,
    /// How many requests were answered with success.
    pub served: u32,
    /// The last success.
    pub last_served_ms: Option<i64>,
    /// The first refusal by an answer, with its status.
    pub refused: Option<(i64, u16)>,
    /// How the connection ended.
    pub end: ConnectionEnd,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// The other side closed or broke it.
    Closed(i64),
    /// It was open when the probe ended.
    Open,
    /// No answer came any more.
    Silent(i64),
}

/// Opens a connection and asks for `path` until `past` after the holder's notAfter.
///
/// # Errors
/// When the holder's certificate has ended, the end comes later than `wait`, or the proxy cannot
/// be reached.
pub async fn probe_expiry(
    endpoint: &Endpoint,
    path: &str,
    host: &str,
    clock: &dyn Clock,
    (wait, past): (Seconds, Seconds),
) -> Result<ExpiryReport, ProbeError> {
    let not_after = endpoint.not_after().ok_or(ProbeError::NoLife)?;
    let now = clock.now();
    if not_after <= now || wait < not_after.since(now) {
        return Err(ProbeError::NoLife);
    }
    let mut line = Line::open(endpoint).await?;
    let mut report = ExpiryReport {
        not_after,
        served: 0,
        last_served_ms: None,
        refused: None,
        end: ConnectionEnd::Open,
    };
    let offset_ms = || clock.now().unix_ms().saturating_sub(not_after.unix_ms());
    while offset_ms() < i64::from(past.count()).saturating_mul(1_000) {
        let begun_ms = offset_ms();
        match timeout(ANSWER_LONGEST, line.get(path, host)).await {
            Ok(Ok(answer)) if answer.status.is_success() => {
                report.served = report.served.saturating_add(1);
                report.last_served_ms = Some(begun_ms);
            }
            Ok(Ok(answer)) => {
                let status = answer.status.as_u16();
                report.refused.get_or_insert((begun_ms, status));
            }
            Ok(Err(_)) => {
                report.end = ConnectionEnd::Closed(offset_ms());
                break;
            }
            Err(_) => {
                report.end = ConnectionEnd::Silent(begun_ms);
                break;
            }
        }
        sleep(ASK_EVERY).await;
    }
    Ok(report)
}

const ASK_EVERY: Duration = Duration::from_millis(50);

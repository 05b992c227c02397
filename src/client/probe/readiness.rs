//! Is a protem server ready, and what does its clock show?

use tokio::time::timeout;

use crate::client::probe::line::Line;
use crate::client::probe::{ANSWER_LONGEST, Endpoint, ProbeError};
use crate::time::{Clock, Timestamp};

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Why it cannot do its work, one line each; empty when it can.
    pub reasons: String,
    /// How many seconds its clock is before the given one; whole seconds, from `Date`.
    pub ahead_s: Option<i64>,
    /// The last second of its certificate.
    pub not_after: Option<Timestamp>,
}

/// Asks `/readyz`.
///
/// # Errors
/// When there is no answer.
pub async fn probe_readiness(
    endpoint: &Endpoint,
    clock: &dyn Clock,
) -> Result<Readiness, ProbeError> {
    let mut line = Line::open(endpoint).await?;
    let silent = || ProbeError::Silent(endpoint.address.to_string());
    let asking = line.get("/readyz", "localhost");
    let answer = timeout(ANSWER_LONGEST, asking)
        .await
        .map_err(|_| silent())?;
    let answer = answer.map_err(|_| silent())?;
    let theirs = answer.date.as_deref().and_then(Timestamp::from_http_date);
    Ok(Readiness {
        reasons: if answer.status.is_success() {
            String::new()
        } else {
            answer.body.trim().to_owned()
        },
        ahead_s: theirs.map(|at| at.unix_s() - clock.now().unix_s()),
        not_after: line.peer_not_after,
    })
}

//! The reporter: what Envoys logged of elevated SVIDs, brought to the server.
//!
//! Promises: a report goes out every [`REPORT_EVERY`], also an empty one: its word that nothing
//! else was used is what lets the server end a right that nobody uses. What could not be brought is
//! brought with the next round, and no word is given beyond what was.
//! Refuses: to report what no access log said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::agent::uses::{BySubject, Use, Uses};
use crate::client::{Client, ClientError};
use crate::identity::Subject;
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};
use crate::wire::problem::ProblemKind;
use crate::wire::uses::{CoverRequest, UseLine, UsesRequest};

/// Reports until the stop.
pub(crate) async fn uses(uses: Arc<Uses>, client: Arc<Client>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(REPORT_EVERY) => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            () = round(&uses, &client) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn round(uses: &Uses, client: &Client) {
    // What ended before has been told by now: proxies gather for a second.
    let until = client.clock.now().minus(SETTLE);
    let mut covers: BTreeMap<Timestamp, Vec<String>> = BTreeMap::new();
    for (server, since) in uses.listeners().since() {
        if since < until {
            covers.entry(since).or_default().push(server.to_string());
        }
    }
    let mut taken = lines_of(uses.take());
    if taken.is_empty() && covers.is_empty() {
        return;
    }
    if let Err(error) = bring(client, &mut taken, covers, until).await {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            error,
            "uses were not reported; they are brought with the next"
        );
        for (server, of, one) in taken {
            uses.give_back(&server, [(of, one)].into(), client.clock.now());
        }
    }
}

/// Brings all uses, and only then gives a word that they are all. What was brought is no longer in
/// `left`.
async fn bring(
    client: &Client,
    left: &mut Vec<Line>,
    covers: BTreeMap<Timestamp, Vec<String>>,
    until: Timestamp,
) -> Result<(), ClientError> {
    while !left.is_empty() {
        let from = left.len().saturating_sub(LINES_MAX);
        let uses = left.iter().skip(from).map(line).collect();
        let report = UsesRequest { uses, cover: None };
        tell(client, &report).await?;
        left.truncate(from);
    }
    for (since, servers) in covers {
        for servers in servers.chunks(LINES_MAX) {
            let cover = CoverRequest {
                servers: servers.to_vec(),
                since: since.rfc3339(),
                until: until.rfc3339(),
            };
            let report = UsesRequest {
                uses: Vec::new(),
                cover: Some(cover),
            };
            tell(client, &report).await?;
        }
    }
    Ok(())
}

/// Sends one report. One that nobody may send is over: its servers are not this agent's any more.
async fn tell(client: &Client, report: &UsesRequest) -> Result<(), ClientError> {
    match client.report_uses(report).await {
        Err(error) if error.problem() == Some(ProblemKind::Denied) => {
            tracing::warn!(%error, "uses at servers that are not this agent's are dropped");
            Ok(())
        }
        told => told.map(|_| ()),
    }
}

type Line = (Subject, (Subject, Scope), Use);

fn lines_of(uses: BTreeMap<Subject, BySubject>) -> Vec<Line> {
    let uses = uses.into_iter().flat_map(|(server, of_server)| {
        let of_server = of_server.into_iter();
        of_server.map(move |(of, one)| (server.clone(), of, one))
    });
    uses.collect()
}

fn line((server, (subject, scope), used): &Line) -> UseLine {
    UseLine {
        server: server.to_string(),
        spiffe_id: None,
        subject: Some(subject.to_string()),
        scope: Some(scope.to_string()),
        first: used.first.rfc3339(),
        last: used.last.rfc3339(),
        count: u32::try_from(used.count.max(1)).unwrap_or(u32::MAX),
    }
}

/// How often the server hears of uses.
const REPORT_EVERY: Duration = Duration::from_secs(10);
const SETTLE: Seconds = Seconds::new(5);
/// What one report may hold.
const LINES_MAX: usize = 1_000;

//! The reporter: what Envoys logged of elevated SVIDs, brought to the server.
//!
//! Promises: a report goes out every [`REPORT_EVERY`], also an empty one: its word that nothing
//! else was used is what lets the server end a right that nobody uses. What could not be brought is
//! brought with the next round, and no word is given beyond what was. Refuses: to report what no
//! access log said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::agent::uses::{Use, Uses};
use crate::client::{Client, ClientError};
use crate::identity::Subject;
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};
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
    let taken = uses.take();
    if taken.is_empty() && covers.is_empty() {
        return;
    }
    if let Err(error) = bring(client, &taken, covers, until).await {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(
            error,
            "uses were not reported; they are brought with the next"
        );
        uses.give_back(taken, client.clock.now());
    }
}

/// Brings all uses, and only then gives a word that they are all.
async fn bring(
    client: &Client,
    taken: &BTreeMap<(Subject, Scope), Use>,
    covers: BTreeMap<Timestamp, Vec<String>>,
    until: Timestamp,
) -> Result<(), ClientError> {
    let lines: Vec<UseLine> = taken.iter().map(line).collect();
    for uses in lines.chunks(LINES_MAX) {
        let uses = uses.to_vec();
        let report = UsesRequest { uses, cover: None };
        client.report_uses(&report).await?;
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
            client.report_uses(&report).await?;
        }
    }
    Ok(())
}

fn line(((subject, scope), used): (&(Subject, Scope), &Use)) -> UseLine {
    UseLine {
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

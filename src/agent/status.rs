//! What `protem agent status` shows: what is held, and how the agent fares.
//!
//! Promises: made when it is asked for, of the part that is asked for; nothing of it is a secret.
//! Refuses: to say who may see it; that is its door's.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::agent::identity::Own;
use crate::agent::keeper::{Ending, Keeper};
use crate::agent::link::Fare;
use crate::agent::local::{Part, StatusSource};
use crate::agent::trouble::{Trouble, Troubles};
use crate::agent::xds::Streams;
use crate::proto::agent::StatusResponse;

/// Where the status comes from; cheap to clone.
#[derive(Clone)]
pub(crate) struct Statuses {
    /// The agent's SPIFFE ID.
    pub(crate) agent: String,
    /// Who knows what is held.
    pub(crate) keeper: Keeper,
    /// The agent's own SVID.
    pub(crate) own: watch::Receiver<Option<Own>>,
    /// The stream from the server.
    pub(crate) fare: watch::Receiver<Fare>,
    /// Why it is not well.
    pub(crate) troubles: Troubles,
    /// The streams of Envoys.
    pub(crate) streams: Arc<Streams>,
}

impl Statuses {
    /// All of it, or a part, as it stands.
    ///
    /// # Errors
    /// When the agent is ending.
    pub(crate) async fn now(&self, part: Part) -> Result<StatusResponse, Ending> {
        let held = self.keeper.status().await?;
        let (own, fare) = (*self.own.borrow(), *self.fare.borrow());
        let Trouble {
            own: own_trouble,
            server: server_trouble,
        } = self.troubles.now();
        Ok(StatusResponse {
            agent: self.agent.clone(),
            connected: fare.connected,
            skew_ms: fare.skew_ms,
            own_not_after_ms: own.map_or(0, |own| own.not_after.unix_ms()),
            held,
            streams: self.streams.rows_where(|pid| part.has(pid)),
            own_trouble,
            server_trouble,
        })
    }
}

impl Statuses {
    /// The same for a door.
    pub(crate) fn source(&self) -> StatusSource {
        let this = self.clone();
        Arc::new(move |part| {
            let this = this.clone();
            Box::pin(async move { this.now(part).await })
        })
    }
}

impl fmt::Debug for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Statuses").field(&self.agent).finish()
    }
}

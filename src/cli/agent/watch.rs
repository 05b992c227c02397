//! `protem agent watch`: what the calling process holds, again after each change.
//!
//! Promises: one line an update; an agent that goes away is waited for, with growing pauses.
//! Refuses: to go on where the agent says that asking again is of no use.

use std::sync::Arc;

use clap::Args;

use crate::cli::agent::show::{json_of, line};
use crate::cli::agent::socket::Socket;
use crate::cli::exit::{Exit, words};
use crate::cli::reach::Reach;
use crate::cli::screen::{Screen, span, time_of_day};
use crate::client::keep::{Stop, pause_after, until};
use crate::client::{AgentSocket, AgentSocketError, Fetched, Updates};
use crate::config::WorkloadEndpoint;
use crate::id::entropy::Entropy;
use crate::time::{Clock as _, SystemClock, Timestamp};

#[derive(Args)]
pub(crate) struct Watch {
    #[command(flatten)]
    socket: Socket,
}

impl Watch {
    pub(crate) async fn run(self, screen: &mut Screen) -> anyhow::Result<Exit> {
        let mut follower = Follower::new(self.socket.endpoint()?)?;
        loop {
            let Some(news) = follower.next(screen).await? else {
                return Ok(Exit::Done);
            };
            match news {
                News::Held(fetched) if screen.is_json() => {
                    screen.json_line(&json_of(&fetched).to_string())?;
                }
                News::Held(fetched) => screen.line(&line(&fetched, Reach::now()))?,
                News::Lost => {}
            }
        }
    }
}

/// What came of listening.
pub(crate) enum News {
    /// What is held now.
    Held(Box<Fetched>),
    /// Nothing is held any more: the agent says that this process has no identity.
    Lost,
}

/// Listens to an agent for as long as nobody stops it.
pub(crate) struct Follower {
    endpoint: WorkloadEndpoint,
    updates: Option<Updates>,
    failures: u32,
    /// When to ask again.
    resume: Option<Timestamp>,
    /// Whether it was told that nothing is held.
    lost: bool,
    stop: Stop,
    entropy: Arc<Entropy>,
}

impl Follower {
    pub(crate) fn new(endpoint: WorkloadEndpoint) -> anyhow::Result<Self> {
        Ok(Self {
            endpoint,
            updates: None,
            failures: 0,
            resume: None,
            lost: false,
            stop: Stop::listen()?,
            entropy: Arc::new(Entropy::system()),
        })
    }

    /// The next news; none when the process is told to stop. Dropped and called again, it misses
    /// nothing.
    ///
    /// # Errors
    /// What asking again does not change.
    pub(crate) async fn next(&mut self, screen: &mut Screen) -> anyhow::Result<Option<News>> {
        loop {
            if let Some(at) = self.resume {
                tokio::select! {
                    () = until(&SystemClock, at) => {}
                    () = self.stop.asked() => return Ok(None),
                }
                self.resume = None;
            }
            let listened = tokio::select! {
                listened = listen(&self.endpoint, &mut self.updates) => listened,
                () = self.stop.asked() => return Ok(None),
            };
            let error = match listened {
                Ok(fetched) => {
                    self.failures = 0;
                    self.lost = false;
                    return Ok(Some(News::Held(Box::new(fetched))));
                }
                Err(error) if error.is_final() => return Err(error.into()),
                Err(error) => error,
            };
            self.updates = None;
            let lost = error.is_no_identity() && !self.lost;
            self.failures = self.failures.saturating_add(1);
            let chance = u16::from_be_bytes(self.entropy.bytes());
            let pause = pause_after(self.failures, chance);
            let now = SystemClock.now();
            screen.say(&format!(
                "{}  {}; asking again in {}",
                time_of_day(now),
                words(&error.into()),
                span(pause)
            ));
            self.resume = Some(now.plus(pause));
            if lost {
                self.lost = true;
                return Ok(Some(News::Lost));
            }
        }
    }
}

async fn listen(
    endpoint: &WorkloadEndpoint,
    updates: &mut Option<Updates>,
) -> Result<Fetched, AgentSocketError> {
    if let Some(updates) = updates {
        return updates.next().await;
    }
    let socket = AgentSocket::connect(endpoint.path()).await?;
    updates.insert(socket.updates().await?).next().await
}

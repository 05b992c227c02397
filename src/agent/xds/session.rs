//! One stream of discovery from its first request to its end.
//!
//! Promises: it is driven by whoever reads its responses: a client that does not read makes
//! nothing grow, and is told the newest when he reads again. It ends with the client, with the
//! agent, and when the caller can no longer be attested; after a while also when he asks for
//! nothing or no entry fits him. Refuses: a task of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::future::OptionFuture;
use futures_util::stream;
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::agent::caller::Look;
use crate::agent::xds::dialect::{Dialect, Moment};
use crate::agent::xds::streams::Place;
use crate::agent::xds::{Content, Offer, Source, Subscriptions};

/// What a client reads.
pub(crate) type Responses<R> = Pin<Box<dyn Stream<Item = Result<R, Status>> + Send>>;

/// The responses to `requests`.
pub(crate) fn open<D: Dialect, S: Source>(
    source: S,
    requests: Streaming<D::Request>,
    place: Place,
    hold: Duration,
    stop: CancellationToken,
) -> Responses<D::Response> {
    let session = Session::<D, S> {
        dialect: D::new(place.stream()),
        subscriptions: Subscriptions::of(S::NAMES),
        source,
        requests,
        place,
        hold_ms: i64::try_from(hold.as_millis()).unwrap_or(i64::MAX),
        stop,
        phase: Phase::Silent,
        known: false,
        attested: false,
        for_nobody: None,
    };
    Box::pin(stream::unfold(session, |mut session| async move {
        let response = session.next().await?;
        Some((response, session))
    }))
}

struct Session<D: Dialect, S> {
    dialect: D,
    subscriptions: Subscriptions,
    source: S,
    requests: Streaming<D::Request>,
    place: Place,
    hold_ms: i64,
    stop: CancellationToken,
    phase: Phase,
    /// Whether the client said who he is.
    known: bool,
    /// Whether nothing was waited for since the caller was attested.
    attested: bool,
    /// Runs while the stream is of no use to its caller.
    for_nobody: Option<Pin<Box<Sleep>>>,
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing more is said.
    Ended,
    /// Nothing was asked for yet.
    Silent,
    /// Names are asked for.
    Talking,
}

impl<D: Dialect, S: Source> Session<D, S> {
    async fn next(&mut self) -> Option<Result<D::Response, Status>> {
        while self.phase != Phase::Ended {
            match self.answer().await {
                Ok(None) => {}
                Ok(Some(response)) => return Some(Ok(response)),
                Err(status) => return Some(self.end(status)),
            }
            match self.wait().await {
                Ok(()) => {}
                Err(status) => return Some(self.end(status)),
            }
        }
        None
    }

    /// What there is to say at this moment.
    async fn answer(&mut self) -> Result<Option<D::Response>, Status> {
        while self.phase == Phase::Talking {
            self.source.refresh(&mut self.subscriptions).await?;
            if self.subscriptions.everything() {
                self.subscriptions.widen(self.source.everything());
            }
            let offers = self.offers();
            if !self.attested
                && let Some(look) = self.look(&offers)
            {
                self.source.attest(look).await?;
                self.attested = true;
                continue;
            }
            let moment = Moment {
                type_url: S::TYPE_URL,
                now_ms: self.source.running_ms(),
                hold_ms: self.hold_ms,
            };
            let said = self.dialect.say(offers, moment, &mut self.subscriptions);
            // Until this response is read, and the next is asked for, time passes.
            self.attested = false;
            return Ok(said.map(|said| {
                self.place.told(&said.version);
                said.response
            }));
        }
        Ok(None)
    }

    fn offers(&self) -> Vec<(Arc<str>, Offer<S::Content>)> {
        let subscriptions = self.subscriptions.iter();
        subscriptions
            .map(|(name, one)| (name.clone(), self.source.offer(name, one, D::DELTA)))
            .collect()
    }

    /// How the caller is to be looked at before these go out: also for another certificate under
    /// a name that he was given one for, for he may have become another since; and for the same one
    /// where the dialect tells it again because something else is new.
    fn look(&mut self, offers: &[(Arc<str>, Offer<S::Content>)]) -> Option<Look> {
        let differs: Vec<bool> = offers
            .iter()
            .map(|(name, offer)| {
                let one = self.subscriptions.get_mut(name);
                one.is_some_and(|one| one.differs(offer))
            })
            .collect();
        let all = !D::DELTA && differs.contains(&true);
        let looks = offers
            .iter()
            .zip(differs)
            .filter_map(|((name, offer), new)| {
                let Offer::Ready(content) = offer else {
                    return None;
                };
                let one = self.subscriptions.get_mut(name)?;
                let begins = one.unanswered || !one.given_here;
                let look = if begins { Look::Anew } else { Look::Lately };
                ((new || all) && content.raises_rights()).then_some(look)
            });
        looks.max()
    }

    async fn wait(&mut self) -> Result<(), Status> {
        let wake = self.wake();
        let sleep = wake.unwrap_or_default();
        let silent = self.phase == Phase::Silent;
        if !silent && !self.source.serves_nobody() {
            self.for_nobody = None;
        } else if self.for_nobody.is_none() {
            let longest = self.place.for_nobody();
            self.for_nobody = Some(Box::pin(tokio::time::sleep(longest)));
        }
        let for_nobody = OptionFuture::from(self.for_nobody.as_mut());
        tokio::select! {
            request = self.requests.message() => match request? {
                Some(request) => self.hear(request)?,
                None => self.phase = Phase::Ended,
            },
            changed = self.source.changed() => {
                changed?;
                self.attested = false;
            }
            () = tokio::time::sleep(sleep), if wake.is_some() => self.attested = false,
            Some(()) = for_nobody => {
                return Err(if silent {
                    Status::deadline_exceeded("nothing was asked for on this stream")
                } else {
                    Status::permission_denied("no entry fits the caller: register him")
                });
            }
            () = self.stop.cancelled() => return Err(Status::unavailable(ENDING)),
        }
        Ok(())
    }

    fn hear(&mut self, request: D::Request) -> Result<(), Status> {
        // Also the first request may come hours after the stream.
        self.attested = false;
        self.phase = Phase::Talking;
        if let Some(node) = D::node(&request).filter(|_| !self.known) {
            self.known = true;
            self.place.known_as(&node.id);
            self.source.node(node);
        }
        let heard = self
            .dialect
            .hear(request, S::TYPE_URL, &mut self.subscriptions)?;
        self.place.asks_for(self.subscriptions.shown())?;
        if let Some(heard) = heard {
            self.place.heard(heard);
        }
        Ok(())
    }

    /// How long until something changes by time alone.
    fn wake(&self) -> Option<Duration> {
        let now_ms = self.source.running_ms();
        let subscriptions = self.subscriptions.iter();
        let times = subscriptions.filter_map(|(_, one)| {
            let hold = one.hold_until_ms.filter(|_| !one.absent).map(|until_ms| {
                let left_ms = until_ms.saturating_sub(now_ms).max(0);
                Duration::from_millis(left_ms.unsigned_abs())
            });
            let end = one.ends.map(|moment| self.source.until(moment));
            hold.into_iter().chain(end).min()
        });
        times.min().map(|wait| wait.max(WAIT_LEAST))
    }

    fn end(&mut self, status: Status) -> Result<D::Response, Status> {
        self.phase = Phase::Ended;
        Err(status)
    }
}

const ENDING: &str = "the agent is ending";
/// A clock that does not move must not make a stream spin.
const WAIT_LEAST: Duration = Duration::from_millis(5);

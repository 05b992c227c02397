//! The keeper's task: hears orders and news, acts when something is due, asks the server.
//!
//! Promises: time is read at each turn and what has ended is taken away before anything else is
//! done, so that a machine that slept hands out nothing old. The server is asked in batches, a few
//! at a time; an answer that is slow holds nothing else up.
//! Refuses: to end before it is told to.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::agent::attestor::{Attestor, Needs};
use crate::agent::holdings::Generation;
use crate::agent::keeper::house::{Asked, House, REFUSED_FOR};
use crate::agent::keeper::items::{Item, ItemKey};
use crate::agent::keeper::mint::{Outcome, mint};
use crate::agent::keeper::{Follower, FollowerId, Order};
use crate::agent::news::News;
use crate::agent::observe::Metrics;
use crate::client::keep::{pause_after, until};
use crate::client::{Client, ClientError};
use crate::id::Holder;
use crate::identity::{SpiffeId, Subject};
use crate::proto::agent::HeldStatus;
use crate::scope::Scope;
use crate::time::{Seconds, Timestamp};
use crate::wire::elevation::{ElevationRequest, Instances};
use crate::x509::Certificate;

/// What a keeper begins with.
pub(crate) struct Begin {
    /// The agent's SPIFFE ID.
    pub(crate) agent: SpiffeId,
    /// Below every generation that this start of the agent gives.
    pub(crate) first: Generation,
    /// Calls with the agent's SVID.
    pub(crate) client: Arc<Client>,
    /// Told which kinds of selectors the entries use.
    pub(crate) attestor: Arc<Attestor>,
    /// Where it counts.
    pub(crate) metrics: Metrics,
}

/// Runs until the stop, or until nobody can give orders any more.
pub(crate) async fn tend(
    begin: Begin,
    mut orders: mpsc::Receiver<Order>,
    mut news: mpsc::Receiver<News>,
    stop: CancellationToken,
) {
    let Begin {
        agent,
        first,
        client,
        attestor,
        metrics,
    } = begin;
    let trust_domain = agent.trust_domain().clone();
    let mut house = House::new(agent, trust_domain, first);
    let (gone, mut leaving) = mpsc::unbounded_channel();
    let desk = Desk { attestor, gone };
    let mut counted_at = Timestamp::EPOCH;
    let (mut minting, mut asking) = (FuturesUnordered::new(), FuturesUnordered::new());
    loop {
        let now = client.clock.now();
        house.expire(now);
        // As many as come in one turn, else a flood of orders would keep those who left.
        for _ in 0..ORDERS_AT_ONCE {
            let Ok(id) = leaving.try_recv() else { break };
            house.leave(id, now);
        }
        if counted_at.plus(COUNT_EVERY) <= now || now < counted_at {
            counted_at = now;
            count(&house, &metrics);
        }
        while minting.len() < BATCHES_MAX {
            let keys = house.due(BATCH_MAX, now);
            if keys.is_empty() {
                break;
            }
            let keys = keys.into_iter();
            let keys = keys.map(|key| (key.clone(), house.longest(&key, now)));
            let keys = keys.collect();
            minting.push(mint_batch(Arc::clone(&client), roots(&house), keys));
        }
        while asking.len() < ASKING_MAX
            && let Some(key) = house.next_ask()
        {
            let request = request(&house, &key, now);
            asking.push(ask(Arc::clone(&client), key, request));
        }
        // What is due and has no place waits for a place; an end waits for nothing.
        let wake = if minting.len() == BATCHES_MAX {
            house.items().next_end()
        } else {
            house.next_at()
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(outcomes) = minting.next() => take_in(&mut house, outcomes, &client, &metrics),
            Some((key, answer)) = asking.next() => {
                metrics.asks.add(answer.word());
                house.asked(&key, answer, client.clock.now());
            }
            // Before orders: an end that the server tells waits for no caller here; and not alone,
            // so that callers wait for no server that tells without a break.
            Some(told) = news.recv() => {
                desk.hear(&mut house, told, client.clock.now());
                desk.obey_some(&mut house, &mut orders, client.clock.now());
            }
            order = orders.recv() => {
                let Some(order) = order else { return };
                desk.obey(&mut house, order, client.clock.now());
                desk.obey_some(&mut house, &mut orders, client.clock.now());
            }
            // After orders: who goes on as another follower has said by now what he wants as that.
            Some(id) = leaving.recv() => house.leave(id, client.clock.now()),
            // Last: a time that has passed never keeps anybody from being heard.
            () = sleep_until(&client, wake) => {}
        }
    }
}

/// What orders need beside the house.
struct Desk {
    attestor: Arc<Attestor>,
    gone: mpsc::UnboundedSender<FollowerId>,
}

impl Desk {
    fn hear(&self, house: &mut House, news: News, now: Timestamp) {
        // Looked at before it is asked for: a caller is never judged by an entry whose selectors
        // nobody has looked for.
        let after = Needs::of(news.selectors());
        self.attestor.need(Needs::of(house.selectors()).with(after));
        house.hear(news, now);
        self.attestor.need(Needs::of(house.selectors()));
    }

    /// Obeys the orders that wait, as far as they are one turn: many streams come at once.
    fn obey_some(&self, house: &mut House, orders: &mut mpsc::Receiver<Order>, now: Timestamp) {
        for _ in 0..ORDERS_AT_ONCE {
            let Ok(order) = orders.try_recv() else { break };
            self.obey(house, order, now);
        }
    }

    fn obey(&self, house: &mut House, order: Order, now: Timestamp) {
        // An answer that nobody waits for any more is somebody who is gone already.
        match order {
            Order::Follow {
                selectors,
                holder,
                answer,
            } => {
                let followed = house.follow(selectors, holder, now);
                let gone = self.gone.clone();
                if let Some(follower) = followed.map(|followed| Follower::new(followed, gone)) {
                    let _ = answer.send(follower);
                }
            }
            Order::Status(answer) => {
                let rows = house.items().iter();
                let rows = rows.map(|(key, item)| row(house, key, item));
                let _ = answer.send(rows.take(STATUS_ROWS_MAX).collect());
            }
            Order::Want(id, wants) => house.want(id, wants, now),
        }
    }
}

fn count(house: &House, metrics: &Metrics) {
    let held = |profile| {
        let items = house.items().iter();
        let held = items.filter(|(key, item)| key.profile() == profile && item.svid.is_some());
        i64::try_from(held.count()).unwrap_or(i64::MAX)
    };
    for profile in ["base", "elevated"] {
        metrics.held.set(profile, held(profile));
    }
}

fn row(house: &House, key: &ItemKey, item: &Item) -> HeldStatus {
    let svid = item.svid.as_deref();
    let text = |text: Option<String>| text.unwrap_or_default();
    let moment = |at: Option<Timestamp>| at.map_or(0, Timestamp::unix_ms);
    HeldStatus {
        spiffe_id: text(svid.map(|svid| svid.spiffe_id.to_string())),
        subject: key.subject().to_string(),
        scope: text(key.scope().map(ToString::to_string)),
        elevation: match key {
            ItemKey::Base(_) => String::new(),
            ItemKey::Elevated { elevation, .. } => elevation.to_string(),
        },
        serial: text(svid.map(|svid| svid.serial.clone())),
        not_after_ms: moment(svid.map(|svid| svid.not_after)),
        renew_ms: moment(svid.map(|svid| svid.renew_at)),
        followers: u32::try_from(house.followers(&item.wanted_by)).unwrap_or(u32::MAX),
        trouble: item.trouble.clone().unwrap_or_default(),
    }
}

fn take_in(house: &mut House, outcomes: Vec<Outcome>, client: &Client, metrics: &Metrics) {
    let now = client.clock.now();
    for (key, outcome) in outcomes {
        let scope = key.scope().map(Scope::as_str);
        match outcome {
            Ok(fresh) => {
                let svid = fresh.placed(house.next_generation());
                tracing::info!(
                    subject = %key.subject(),
                    scope,
                    serial = svid.serial,
                    not_after = %svid.not_after,
                    "SVID minted"
                );
                metrics.minted.add(key.profile());
                house.minted(&key, svid, now);
            }
            Err(trouble) => {
                let error: &dyn std::error::Error = &trouble;
                tracing::warn!(
                    subject = %key.subject(),
                    scope,
                    error,
                    "SVID not minted"
                );
                let chance = u16::from_be_bytes(client.entropy.bytes());
                let asked = trouble.retry_after().map(seconds);
                let pause = |failures| {
                    let own = pause_after(failures, chance);
                    asked.map_or(own, |asked| asked.max(own))
                };
                metrics.failed.add(key.profile());
                if trouble.says_it_is_over() {
                    house.forget(&key, now);
                }
                house.failed(&key, trouble.to_string(), pause, now);
            }
        }
    }
}

async fn mint_batch(
    client: Arc<Client>,
    roots: Vec<Certificate>,
    keys: Vec<(ItemKey, Seconds)>,
) -> Vec<Outcome> {
    mint(&client, &roots, keys).await
}

/// What is asked of the server at the moment of use.
fn request(house: &House, key: &(Subject, Scope), now: Timestamp) -> ElevationRequest {
    let continued = house.continued(key, now);
    ElevationRequest {
        scope: key.1.to_string(),
        subject: Some(key.0.to_string()),
        on_demand: true,
        reason: Some(format!(
            "asked for at the moment of use, at {}",
            house.agent()
        )),
        instances: Some(Instances::Word("one".to_owned())),
        holder: Some(Holder::host().to_string()),
        extends: continued.map(|id| id.to_string()),
        ..ElevationRequest::default()
    }
}

async fn ask(
    client: Arc<Client>,
    key: (Subject, Scope),
    request: ElevationRequest,
) -> ((Subject, Scope), Asked) {
    let answer = match client.elevate(&request).await {
        Ok(view) => match (view.id.parse(), view.state.as_str()) {
            (Ok(id), "pending") => Asked::Pending(id),
            (Ok(id), "approved" | "active") => Asked::Open(id),
            (Ok(_), _) => Asked::Refused(view.state, REFUSED_FOR),
            (Err(_), _) => Asked::Refused("not_understood".to_owned(), REFUSED_FOR),
        },
        Err(error) => refusal(&error),
    };
    (key, answer)
}

/// A no of the server stands for a while; where it could not be asked, the next request may ask
/// soon again.
fn refusal(error: &ClientError) -> Asked {
    let told: &dyn std::error::Error = error;
    tracing::info!(error = told, "scope refused at the moment of use");
    let asked = error.retry_after().map(seconds);
    match error {
        ClientError::Problem(view) if error.is_final() => {
            Asked::Refused(view.code.clone(), asked.unwrap_or(REFUSED_FOR))
        }
        ClientError::Problem(view) => {
            Asked::Refused(view.code.clone(), asked.unwrap_or(ASK_AGAIN_AFTER))
        }
        _ => Asked::Refused("unreachable".to_owned(), ASK_AGAIN_AFTER),
    }
}

fn roots(house: &House) -> Vec<Certificate> {
    let bundles = house.bundles();
    let own = bundles.roots.get(&bundles.own).into_iter().flatten();
    own.filter_map(|der| Certificate::parse(der).ok()).collect()
}

async fn sleep_until(client: &Client, wake: Option<Timestamp>) {
    match wake {
        Some(at) => until(&*client.clock, at).await,
        None => std::future::pending().await,
    }
}

fn seconds(span: Duration) -> Seconds {
    Seconds::new(
        u32::try_from(span.as_secs())
            .unwrap_or(u32::MAX)
            .min(WAIT_MAX.count()),
    )
}

/// How often what is held is counted, while something happens.
const COUNT_EVERY: Seconds = Seconds::new(1);
/// The most SVIDs of one call.
const BATCH_MAX: usize = 100;
/// The most calls for SVIDs at once.
const BATCHES_MAX: usize = 4;
/// The most scopes that are asked for at once.
const ASKING_MAX: usize = 16;
/// The most orders of one turn.
const ORDERS_AT_ONCE: usize = 256;
const STATUS_ROWS_MAX: usize = 10_000;
/// How soon a scope is asked for again where the server gave no answer.
const ASK_AGAIN_AFTER: Seconds = Seconds::new(1);
/// The longest wait that a server can ask for.
const WAIT_MAX: Seconds = Seconds::new(300);

//! Callers who come, want something, and leave in every way there is.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protem::id::entropy::Entropy;
use protem::proto::secret::secret_discovery_service_client::SecretDiscoveryServiceClient;
use protem::proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use protem::proto::workload::{X509BundlesRequest, X509svidRequest};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::agent_wire::{connect, delta_of, delta_word, sotw_of, sotw_word, with_header};

/// Chance that can be repeated.
pub(crate) struct Dice(Entropy);

/// What came and went.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: Count,
    pub(crate) streams: Count,
    pub(crate) answers: Count,
    pub(crate) processes: Count,
    pub(crate) elevated: Count,
    pub(crate) revoked: Count,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Dice {
    pub(crate) fn of(seed: u64) -> Self {
        Self(Entropy::seeded(seed))
    }

    pub(crate) fn below(&mut self, end: u32) -> u32 {
        u32::from_be_bytes(self.0.bytes()) % end
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(self.below(400).into())
    }
}

/// Connections with some streams each.
pub(crate) async fn envoy(socket: PathBuf, mut dice: Dice, end: Instant, tally: Arc<Tally>) {
    while Instant::now() < end {
        let channel = connect(&socket).await.unwrap();
        tally.connections.add();
        let mut streams = JoinSet::new();
        for _ in 0..=dice.below(12) {
            let dice = Dice::of(dice.below(u32::MAX).into());
            let (channel, tally) = (channel.clone(), Arc::clone(&tally));
            if dice.0.bytes::<1>() < [128] {
                streams.spawn(delta(channel, dice, tally));
            } else {
                streams.spawn(sotw(channel, dice, tally));
            }
        }
        if dice.below(4) == 0 {
            // Gone with all its streams, wherever each is.
            tokio::time::sleep(dice.pause()).await;
            streams.shutdown().await;
        }
        while let Some(stream) = streams.join_next().await {
            stream.unwrap();
        }
    }
}

async fn delta(channel: Channel, mut dice: Dice, tally: Arc<Tally>) {
    let mut client = SecretDiscoveryServiceClient::new(channel);
    let (send, requests) = mpsc::channel(4);
    send.send(delta_of(&names(&mut dice))).await.unwrap();
    let opened = client.delta_secrets(ReceiverStream::new(requests)).await;
    let mut responses = opened.unwrap().into_inner();
    tally.streams.add();
    for _ in 0..dice.below(5) {
        let Ok(response) = timeout(dice.pause(), responses.message()).await else {
            continue;
        };
        let response = response.unwrap().expect("the agent ends no stream");
        tally.answers.add();
        send.send(delta_word(&response, no(&mut dice)))
            .await
            .unwrap();
    }
}

async fn sotw(channel: Channel, mut dice: Dice, tally: Arc<Tally>) {
    let names = names(&mut dice);
    let mut client = SecretDiscoveryServiceClient::new(channel);
    let (send, requests) = mpsc::channel(4);
    send.send(sotw_of(&names)).await.unwrap();
    let opened = client.stream_secrets(ReceiverStream::new(requests)).await;
    let mut responses = opened.unwrap().into_inner();
    tally.streams.add();
    for _ in 0..dice.below(5) {
        let Ok(response) = timeout(dice.pause(), responses.message()).await else {
            continue;
        };
        let response = response.unwrap().expect("the agent ends no stream");
        tally.answers.add();
        let word = sotw_word(&response, &names, no(&mut dice));
        send.send(word).await.unwrap();
    }
}

/// Streams of the Workload API.
pub(crate) async fn workload(socket: PathBuf, mut dice: Dice, end: Instant, tally: Arc<Tally>) {
    while Instant::now() < end {
        let channel = connect(&socket).await.unwrap();
        tally.connections.add();
        let mut client = SpiffeWorkloadApiClient::new(channel);
        if dice.below(2) == 0 {
            let opened = client.fetch_x509svid(with_header(X509svidRequest {}));
            let mut svids = opened.await.unwrap().into_inner();
            tally.streams.add();
            while let Ok(answer) = timeout(dice.pause(), svids.message()).await {
                // A server that is away for long lets the default SVID end.
                if answer.is_err() {
                    break;
                }
                tally.answers.add();
            }
        } else {
            let opened = client.fetch_x509_bundles(with_header(X509BundlesRequest {}));
            let mut bundles = opened.await.unwrap().into_inner();
            tally.streams.add();
            while timeout(dice.pause(), bundles.message()).await.is_ok() {
                tally.answers.add();
            }
        }
    }
}

fn no(dice: &mut Dice) -> Option<&'static str> {
    (dice.below(10) == 0).then_some("the key does not fit")
}

/// One or more of what there is, and of what there is not.
fn names(dice: &mut Dice) -> Vec<&'static str> {
    let some = NAMES.into_iter().filter(|_| dice.below(4) == 0);
    let mut names: Vec<_> = some.collect();
    if names.is_empty() {
        names.push("default");
    }
    names
}

const NAMES: [&str; 9] = [
    "ALL",
    "ROOTCA",
    "default",
    "nothing-of-this-name",
    "scope/db.read",
    "scope/db.write",
    "sds://scope/db.read",
    "spiffe://dev.protem.test/ns/demo/sa/web-3",
    "spiffe://dev.protem.test/ns/demo/sa/web-4/scope/db.read",
];

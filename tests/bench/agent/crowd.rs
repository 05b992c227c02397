//! Clients in a process of their own: so many connections, so many streams on each.
//!
//! ```text
//! agent crowd KIND SOCKET CONNECTIONS STREAMS-OF-EACH
//! ```
//!
//! It says `open` when each stream has had its first answer. To `await WHAT` it says `ready`, and
//! when WHAT has come to every stream, the moments at which it came. It ends with its input.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message as _;
use protem::proto::core::data_source::Specifier;
use protem::proto::discovery::{DeltaDiscoveryResponse, DiscoveryResponse};
use protem::proto::secret::secret_discovery_service_client::SecretDiscoveryServiceClient;
use protem::proto::tls::Secret;
use protem::proto::tls::secret::Type;
use protem::proto::workload::X509svidRequest;
use protem::proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::agent_wire::{connect, delta_of, delta_word, sotw_of, sotw_word, with_header};
use crate::figures::now_ns;

/// How this program is told to be a crowd.
pub(crate) const WORD: &str = "crowd";

/// What comes to a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Another base SVID, or the first.
    Base,
    /// The elevated SVID.
    Elevated,
    /// Its end.
    Gone,
}

/// The certificate chain under each name that has one.
type Chains = BTreeMap<String, Vec<u8>>;

type Tell = mpsc::UnboundedSender<(What, u64)>;

/// Is one.
pub(crate) fn run(words: &[String]) {
    let [kind, socket, connections, each] = words else {
        panic!("{WORD} KIND SOCKET CONNECTIONS EACH, not {words:?}");
    };
    let (connections, each): (usize, usize) = (connections.parse().unwrap(), each.parse().unwrap());
    let kind = kind.clone();
    let socket = PathBuf::from(socket);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (asks, mut asked) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if asks.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    runtime.block_on(async {
        let (tell, mut told) = mpsc::unbounded_channel();
        open(&kind, &socket, connections, each, &tell).await;
        let all = connections * each;
        collect(&mut told, What::Base, all).await;
        println!("open");
        while let Some(line) = asked.recv().await {
            let what = match line.as_str() {
                "await base" => What::Base,
                "await elevated" => What::Elevated,
                "await gone" => What::Gone,
                _ => panic!("not understood: {line}"),
            };
            while told.try_recv().is_ok() {}
            println!("ready");
            let moments = collect(&mut told, what, all).await;
            let moments: Vec<_> = moments.iter().map(ToString::to_string).collect();
            println!("{}", moments.join(" "));
        }
    });
}

async fn collect(
    told: &mut mpsc::UnboundedReceiver<(What, u64)>,
    wanted: What,
    all: usize,
) -> Vec<u64> {
    let mut moments = Vec::new();
    while moments.len() < all {
        let (what, at) = told.recv().await.expect("streams are open");
        if what == wanted {
            moments.push(at);
        }
    }
    moments
}

/// Opens some streams at a time, as hosts come up.
async fn open(kind: &str, socket: &Path, connections: usize, each: usize, tell: &Tell) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    for _ in 0..connections {
        let channel = connect(socket).await.unwrap();
        for _ in 0..each {
            let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
            let seen = Seen {
                chains: Chains::new(),
                tell: tell.clone(),
                _turn: Some(turn),
            };
            let channel = channel.clone();
            match kind {
                "delta" => tokio::spawn(delta(channel, seen)),
                "sotw" => tokio::spawn(sotw(channel, seen)),
                "workload" => tokio::spawn(workload(channel, seen)),
                _ => panic!("no kind {kind}"),
            };
        }
    }
}

/// What one stream has, and whom it tells when that changes.
struct Seen {
    chains: Chains,
    tell: Tell,
    /// Until the first answer.
    _turn: Option<tokio::sync::OwnedSemaphorePermit>,
}

impl Seen {
    fn take(&mut self, change: impl FnOnce(&mut Chains)) {
        let at = now_ns();
        let before = self.chains.clone();
        change(&mut self.chains);
        // In state of the world the base SVID takes the place of what was taken back.
        let elevated = |chains: &Chains| {
            let there = chains.get(SCOPE)?;
            (chains.get(BASE) != Some(there)).then_some(())
        };
        let whats = [
            (before.get(BASE) != self.chains.get(BASE), What::Base),
            (elevated(&before) < elevated(&self.chains), What::Elevated),
            (elevated(&self.chains) < elevated(&before), What::Gone),
        ];
        for (_, what) in whats.into_iter().filter(|(is_it, _)| *is_it) {
            self.tell.send((what, at)).unwrap();
        }
        self._turn = None;
    }
}

async fn delta(channel: Channel, mut seen: Seen) {
    let mut client = SecretDiscoveryServiceClient::new(channel);
    let (send, requests) = mpsc::channel(4);
    send.send(delta_of(&NAMES)).await.unwrap();
    let responses = client.delta_secrets(ReceiverStream::new(requests)).await;
    let mut responses = responses.unwrap().into_inner();
    while let Some(response) = responses.message().await.unwrap() {
        seen.take(|chains| take_delta(chains, &response));
        send.send(delta_word(&response, None)).await.unwrap();
    }
}

async fn sotw(channel: Channel, mut seen: Seen) {
    let mut client = SecretDiscoveryServiceClient::new(channel);
    let (send, requests) = mpsc::channel(4);
    send.send(sotw_of(&NAMES)).await.unwrap();
    let responses = client.stream_secrets(ReceiverStream::new(requests)).await;
    let mut responses = responses.unwrap().into_inner();
    while let Some(response) = responses.message().await.unwrap() {
        seen.take(|chains| take_sotw(chains, &response));
        let word = sotw_word(&response, &NAMES, None);
        send.send(word).await.unwrap();
    }
}

async fn workload(channel: Channel, mut seen: Seen) {
    let mut client = SpiffeWorkloadApiClient::new(channel);
    let responses = client.fetch_x509svid(with_header(X509svidRequest {})).await;
    let mut responses = responses.unwrap().into_inner();
    while let Some(response) = responses.message().await.unwrap() {
        let held: BTreeMap<_, _> = response
            .svids
            .iter()
            .map(|svid| {
                let name = if svid.hint == SCOPE { SCOPE } else { BASE };
                (name.to_owned(), svid.x509_svid.to_vec())
            })
            .collect();
        seen.take(|chains| *chains = held);
    }
}

/// What a client has after a delta response.
fn take_delta(chains: &mut Chains, response: &DeltaDiscoveryResponse) {
    for name in &response.removed_resources {
        chains.remove(name);
    }
    for resource in &response.resources {
        take(chains, resource.resource.as_ref());
    }
}

/// What a client has after a response in state of the world.
fn take_sotw(chains: &mut Chains, response: &DiscoveryResponse) {
    chains.clear();
    for resource in &response.resources {
        take(chains, Some(resource));
    }
}

fn take(chains: &mut Chains, resource: Option<&prost_types::Any>) {
    let secret = Secret::decode(&*resource.unwrap().value).unwrap();
    if let Some(Type::TlsCertificate(held)) = secret.r#type {
        let chain = held.certificate_chain.and_then(|source| source.specifier);
        let Some(Specifier::InlineBytes(chain)) = chain else {
            panic!("an SVID stands in the message itself");
        };
        chains.insert(secret.name, chain.to_vec());
    }
}

const BASE: &str = "default";
const SCOPE: &str = "scope/db.read";
const NAMES: [&str; 2] = [BASE, SCOPE];
/// Streams that wait for their first answer.
const AT_ONCE: usize = 64;

//! Streams of generated clients over a real socket.

mod delta;
mod half;
mod hostile;
mod on_demand;
mod sotw;

use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::agent::envoy::stage::{Stage, soon};
use crate::proto::core::data_source::Specifier;
use crate::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use crate::proto::secret::secret_discovery_service_client::SecretDiscoveryServiceClient;
use crate::proto::tls::Secret;
use crate::proto::tls::secret::Type;

use super::Options;

/// One stream from the client's side.
struct Talk<Q, R> {
    requests: mpsc::Sender<Q>,
    responses: Streaming<R>,
}

async fn sotw(channel: Channel) -> Talk<DiscoveryRequest, DiscoveryResponse> {
    let (requests, sent) = mpsc::channel(64);
    let mut client = SecretDiscoveryServiceClient::new(channel);
    let responses = client.stream_secrets(ReceiverStream::new(sent)).await;
    Talk {
        requests,
        responses: responses.unwrap().into_inner(),
    }
}

async fn delta(channel: Channel) -> Talk<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
    let (requests, sent) = mpsc::channel(64);
    let mut client = SecretDiscoveryServiceClient::new(channel);
    let responses = client.delta_secrets(ReceiverStream::new(sent)).await;
    Talk {
        requests,
        responses: responses.unwrap().into_inner(),
    }
}

impl<Q, R> Talk<Q, R> {
    async fn ask(&self, request: Q) {
        assert!(self.requests.send(request).await.is_ok());
    }

    #[track_caller]
    fn next(&mut self) -> impl Future<Output = R> {
        let next = soon(self.responses.message());
        async { next.await.unwrap().expect("the stream goes on") }
    }

    #[track_caller]
    fn end(&mut self) -> impl Future<Output = Status> {
        let next = soon(self.responses.message());
        async { next.await.err().expect("the stream ends with a status") }
    }
}

fn words(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A first request for these names.
fn names(names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        resource_names: words(names),
        ..DiscoveryRequest::default()
    }
}

/// The answer of a client who uses what he was sent.
fn ack(response: &DiscoveryResponse, asked: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        version_info: response.version_info.clone(),
        response_nonce: response.nonce.clone(),
        ..names(asked)
    }
}

fn subscribe(names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        resource_names_subscribe: words(names),
        ..DeltaDiscoveryRequest::default()
    }
}

/// What a secret is, in short.
fn short(value: &[u8]) -> String {
    let secret = Secret::decode(value).unwrap();
    let text = |source: Option<crate::proto::core::DataSource>| {
        let Some(Specifier::InlineBytes(bytes)) = source.and_then(|source| source.specifier) else {
            panic!("not inline")
        };
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    let what = match secret.r#type.unwrap() {
        Type::TlsCertificate(pair) => {
            let chain = text(pair.certificate_chain);
            let key = text(pair.private_key);
            assert_eq!(chain.replace("chain", "key"), key);
            chain
        }
        Type::ValidationContext(context) if context.custom_validator_config.is_some() => {
            "SPIFFE validator".to_owned()
        }
        Type::ValidationContext(_) => "roots".to_owned(),
    };
    format!("{}: {what}", secret.name)
}

fn shorts(response: &DiscoveryResponse) -> Vec<String> {
    let resources = response.resources.iter();
    resources.map(|one| short(&one.value)).collect()
}

fn changes(response: &DeltaDiscoveryResponse) -> Vec<String> {
    let resources = response.resources.iter().map(|one| {
        let short = short(&one.resource.as_ref().unwrap().value);
        assert!(short.starts_with(&format!("{}: ", one.name)), "{short}");
        short
    });
    let removed = response.removed_resources.iter();
    resources
        .chain(removed.map(|name| format!("{name}: removed")))
        .collect()
}

fn rank(version: &str) -> u64 {
    version.split('-').next().unwrap().parse().unwrap()
}

/// A word on a name that changes at once, as proof that nothing else was on its way before it.
async fn settled(stage: &Stage) {
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(names(&["ROOTCA"])).await;
    talk.next().await;
}

fn options() -> Options {
    Options {
        on_demand: ["db.read".parse().unwrap()].into(),
        hold: std::time::Duration::from_millis(300),
        fetch_wait: std::time::Duration::from_millis(300),
        ..Options::default()
    }
}

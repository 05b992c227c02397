//! Callers who begin a call and do not go on.

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

use crate::agent::envoy::held::of_web;
use crate::agent::envoy::stage::{Stage, soon};
use crate::proto::Codec;

use super::{Channel, DiscoveryRequest, DiscoveryResponse, Status, names, options, sotw};

/// A single request that never ends, with or without its message.
async fn half(channel: Channel, path: &'static str, message: bool) -> Status {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let sent = tokio_stream::iter(message.then(|| names(&["ROOTCA"])));
    let requests = Request::new(sent.chain(tokio_stream::pending()));
    let codec = Codec::<DiscoveryRequest, DiscoveryResponse>::default();
    let path = PathAndQuery::from_static(path);
    let answer: Result<tonic::Response<DiscoveryResponse>, _> =
        client.client_streaming(requests, path, codec).await;
    answer.unwrap_err()
}

const FETCHES: [&str; 2] = [
    "/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets",
    "/envoy.service.extension.v3.ExtensionConfigDiscoveryService/FetchExtensionConfigs",
];

#[tokio::test(start_paused = true)]
async fn half_a_call_has_a_seat_and_an_end() {
    let stage = Stage::new(of_web(), options());
    let channel = stage.connect().await;
    let calls = (0..100).map(|number| {
        let path = FETCHES[number % 2];
        half(channel.clone(), path, number % 3 == 0)
    });
    let ends: Vec<_> = soon(calls.collect::<FuturesUnordered<_>>().collect()).await;
    let count = |code| {
        ends.iter()
            .filter(|end: &&Status| end.code() == code)
            .count()
    };
    assert_eq!(count(Code::ResourceExhausted), 36);
    assert_eq!(count(Code::DeadlineExceeded), 64);
    assert_eq!(stage.peer.attested(), 0, "nobody was looked at for them");
    // Their seats are free again.
    let last = soon(half(channel, FETCHES[0], false)).await;
    assert_eq!(last.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn half_calls_take_no_place_of_streams_and_long_headers_are_refused() {
    let stage = Stage::new(of_web(), options());
    let channel = stage.connect().await;
    let calls = (0..100).map(|_| half(channel.clone(), FETCHES[0], false));
    let mut calls: FuturesUnordered<_> = calls.collect();
    for _ in 0..36 {
        let refused = soon(calls.next()).await.unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted);
    }
    let mut talk = sotw(channel.clone()).await;
    talk.ask(names(&["ROOTCA"])).await;
    talk.next().await;
    let mut client = super::SecretDiscoveryServiceClient::new(channel);
    let mut request = Request::new(tokio_stream::pending::<DiscoveryRequest>());
    let value = MetadataValue::try_from("x".repeat(5_000)).unwrap();
    request.metadata_mut().insert("x-long", value);
    let begun = soon(client.stream_secrets(request)).await.unwrap();
    let status = soon(begun.into_inner().message()).await.unwrap_err();
    assert!(status.message().contains("431"), "{status}");
}

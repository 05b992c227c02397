//! Callers who mean harm, or become somebody else.

use prost_types::value::Kind;
use prost_types::{Struct, Value};
use tonic::Code;

use crate::agent::envoy::held::{in_seconds, of_elevated_web, of_web};
use crate::agent::envoy::stage::{Stage, soon};
use crate::agent::seats::SeatsMax;
use crate::agent::xds::StreamsMax;
use crate::proto::core::Node;
use crate::proto::discovery::DiscoveryRequest;
use crate::proto::secret::secret_discovery_service_client::SecretDiscoveryServiceClient;

use super::{ack, changes, delta, names, options, settled, shorts, sotw, subscribe};

#[tokio::test]
async fn before_a_new_right_goes_out_the_caller_is_looked_at_anew() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["default", "scope/db.read", "ROOTCA"]))
        .await;
    talk.next().await;
    let opened = stage.peer.attested();
    stage.hold(of_elevated_web(20, in_seconds(60)));
    talk.next().await;
    assert_eq!(stage.peer.attested(), opened + 1);
    // Also before the next SVID under the same name: he may be another by then.
    stage.hold(of_elevated_web(30, in_seconds(60)));
    talk.next().await;
    assert_eq!(stage.peer.attested(), opened + 2);
    stage.peer.show(Some("unix:uid:0"));
    stage.hold(of_elevated_web(40, in_seconds(60)));
    let gone = changes(&talk.next().await);
    assert!(
        gone.iter().all(|one| one.ends_with(": removed")),
        "{gone:?}"
    );
}

#[tokio::test]
async fn who_is_told_all_again_is_looked_at_although_only_roots_are_new() {
    let stage = Stage::new(of_web(), options());
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(names(&["default"])).await;
    let first = talk.next().await;
    stage.peer.show(Some("unix:uid:0"));
    let mut more = ack(&first, &["default", "ROOTCA"]);
    more.resource_names = super::words(&["default", "ROOTCA"]);
    talk.ask(more).await;
    let second = talk.next().await;
    assert!(
        !shorts(&second).iter().any(|one| one.contains("default")),
        "{second:?}"
    );
}

#[tokio::test]
async fn who_says_that_he_holds_something_is_looked_at_as_if_he_did_not() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    let opened = stage.peer.attested_anew();
    let mut request = subscribe(&["default"]);
    let made_up = "9-00000000000000000000000000000000".to_owned();
    request.initial_resource_versions = [("default".to_owned(), made_up)].into();
    talk.ask(request).await;
    talk.next().await;
    assert_eq!(stage.peer.attested_anew(), opened + 1);
}

#[tokio::test]
async fn a_process_that_became_another_is_given_what_that_one_may_hold() {
    let mut stage = Stage::new(of_web(), super::Options::default());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["ROOTCA", "scope/db.read"])).await;
    talk.next().await;
    stage.peer.show(Some("unix:uid:0"));
    stage.hold(of_elevated_web(20, in_seconds(60)));
    assert_eq!(
        changes(&talk.next().await),
        ["ROOTCA: removed"],
        "and no scope/db.read"
    );
    stage.peer.show(None);
    talk.ask(subscribe(&["default"])).await;
    assert_eq!(changes(&talk.next().await), ["default: removed"]);
    drop(talk);
    stage.until_left().await;
}

#[tokio::test]
async fn who_cannot_be_attested_gets_no_stream_and_loses_the_one_that_he_has() {
    let stage = Stage::new(of_web(), options());
    let channel = stage.connect().await;
    let mut talk = sotw(channel.clone()).await;
    talk.ask(names(&["scope/db.read"])).await;
    settled(&stage).await;
    stage.peer.show(None);
    stage.hold(of_elevated_web(20, in_seconds(60)));
    let status = talk.end().await;
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("the process is gone"), "{status}");
    let mut client = SecretDiscoveryServiceClient::new(channel);
    let status = soon(client.fetch_secrets(names(&["ROOTCA"])))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(stage.streams.rows(), []);
}

#[tokio::test]
async fn who_opens_a_stream_and_asks_as_another_is_given_what_that_one_may_hold() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    stage.peer.show(Some("unix:uid:0"));
    talk.ask(subscribe(&["default"])).await;
    assert_eq!(changes(&talk.next().await), ["default: removed"]);
}

#[tokio::test]
async fn streams_have_an_end_and_their_places_come_back() {
    let max = StreamsMax {
        seats: SeatsMax {
            of_process: 2,
            ..SeatsMax::of(20, 9)
        },
        ..StreamsMax::default()
    };
    let mut stage = Stage::with(of_web(), options(), max);
    let channel = stage.connect().await;
    let first = sotw(channel.clone()).await;
    let second = sotw(channel.clone()).await;
    let mut client = SecretDiscoveryServiceClient::new(channel.clone());
    let third = client.stream_secrets(tokio_stream::pending::<DiscoveryRequest>());
    let status = soon(third).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    drop((first, second));
    stage.until_left().await;
    let mut talk = sotw(channel).await;
    talk.ask(names(&["ROOTCA"])).await;
    talk.next().await;
}

#[tokio::test]
async fn who_asks_for_nothing_or_has_no_entry_keeps_no_place() {
    let max = StreamsMax {
        for_nobody: std::time::Duration::from_millis(50),
        ..StreamsMax::default()
    };
    let stage = Stage::with(of_web(), options(), max);
    let channel = stage.connect().await;
    let mut served = delta(channel.clone()).await;
    served.ask(subscribe(&["default"])).await;
    served.next().await;
    let mut silent = delta(channel.clone()).await;
    assert_eq!(silent.end().await.code(), Code::DeadlineExceeded);
    stage.peer.show(Some("unix:uid:0"));
    let mut nobody = delta(channel).await;
    nobody.ask(subscribe(&["default"])).await;
    assert_eq!(changes(&nobody.next().await), ["default: removed"]);
    assert_eq!(nobody.end().await.code(), Code::PermissionDenied);
    stage.peer.show(Some("unix:uid:1000"));
    served.ask(subscribe(&["ROOTCA"])).await;
    served.next().await;
}

#[tokio::test]
async fn a_node_may_say_what_it_likes() {
    let stage = Stage::new(of_web(), options());
    let mut deep = Value {
        kind: Some(Kind::BoolValue(true)),
    };
    for _ in 0..20 {
        let fields = [("disable_spiffe_cert_validation".to_owned(), deep)].into();
        deep = Value {
            kind: Some(Kind::StructValue(Struct { fields })),
        };
    }
    let says = |kind: Kind| {
        let value = Value { kind: Some(kind) };
        let fields = [("disable_spiffe_cert_validation".to_owned(), value)].into();
        Node {
            id: "\u{1b}[2J\n".repeat(1_000),
            metadata: Some(Struct { fields }),
            ..Node::default()
        }
    };
    for (node, wanted) in [
        (says(deep.kind.unwrap()), "ROOTCA: roots"),
        (
            says(Kind::StringValue("x".repeat(100_000))),
            "ROOTCA: roots",
        ),
        (
            says(Kind::StringValue("false".to_owned())),
            "ROOTCA: SPIFFE validator",
        ),
        (says(Kind::BoolValue(true)), "ROOTCA: roots"),
    ] {
        let mut talk = sotw(stage.connect().await).await;
        talk.ask(DiscoveryRequest {
            node: Some(node),
            ..names(&["ROOTCA"])
        })
        .await;
        let first = talk.next().await;
        assert_eq!(shorts(&first), [wanted]);
        assert!(!stage.streams.rows()[0].node.contains('\u{1b}'));
        // The node of the first request holds for all that follow.
        let mut again = ack(&first, &["ROOTCA", "spiffe://td.test"]);
        again.node = None;
        talk.ask(again).await;
        let second = shorts(&talk.next().await);
        assert_eq!(second[0], wanted);
        assert_eq!(second[1], wanted.replace("ROOTCA", "spiffe://td.test"));
    }
    // Too large, and too deep to be read.
    let mut abyss = Value::default();
    for _ in 0..200 {
        let fields = [("a".to_owned(), abyss)].into();
        abyss = Value {
            kind: Some(Kind::StructValue(Struct { fields })),
        };
    }
    for node in [
        says(Kind::StringValue("x".repeat(300_000))),
        says(abyss.kind.unwrap()),
    ] {
        let mut talk = sotw(stage.connect().await).await;
        talk.ask(DiscoveryRequest {
            node: Some(node),
            ..names(&["ROOTCA"])
        })
        .await;
        talk.end().await;
    }
    settled(&stage).await;
}

#[tokio::test]
async fn too_many_names_are_as_unknown_ones() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    let many: Vec<String> = (0..500).map(|count| format!("scope/s{count}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    talk.ask(subscribe(&many)).await;
    assert_eq!(talk.next().await.removed_resources.len(), 500);
    let long = "a".repeat(100_000);
    talk.ask(subscribe(&[&long, "ROOTCA"])).await;
    let removed = talk.next().await.removed_resources;
    assert_eq!(
        removed,
        ["ROOTCA"],
        "the places are taken, and nobody has so long a name"
    );
    let mut talk = sotw(stage.connect().await).await;
    let mut some = vec!["ROOTCA"];
    some.extend(&many);
    talk.ask(names(&some)).await;
    assert_eq!(shorts(&talk.next().await), ["ROOTCA: roots"]);
    assert!(stage.streams.rows().iter().all(|row| row.names.len() <= 64));
}

#[tokio::test]
async fn who_does_not_read_gets_the_newest_when_he_does() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["scope/db.read"])).await;
    talk.next().await;
    for generation in 0..20_000 {
        stage.hold(of_elevated_web(100 + generation, in_seconds(60)));
        if generation % 100 == 0 {
            settled(&stage).await;
        }
    }
    let newest = "scope/db.read: chain 20099";
    let mut read = 0;
    while changes(&talk.next().await) != [newest] {
        read += 1;
    }
    assert!(read < 2_000, "{read} were kept for him");
}

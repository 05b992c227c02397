//! State of the world, and the single request.

use crate::agent::envoy::held::{
    WEB, base, bundles, identity, in_seconds, nothing, of_elevated_web, of_web,
};
use crate::agent::envoy::stage::{Stage, soon};
use crate::agent::holdings::{Holdings, Wants};
use crate::proto::core::Node;
use crate::proto::discovery::{DiscoveryRequest, DiscoveryResponse};
use crate::proto::rpc;
use crate::proto::secret::secret_discovery_service_client::SecretDiscoveryServiceClient;

use super::{ack, names, options, rank, settled, shorts, sotw};

#[tokio::test]
async fn an_unknown_name_ends_nothing_and_disturbs_no_other() {
    let stage = Stage::new(of_web(), options());
    let mut talk = sotw(stage.connect().await).await;
    let asked = [
        "no-such",
        "default",
        "scope/db.write",
        "ROOTCA",
        "spiffe://other.test",
    ];
    talk.ask(names(&asked)).await;
    let first = talk.next().await;
    assert_eq!(shorts(&first), ["ROOTCA: roots", "default: chain 10"]);
    talk.ask(ack(&first, &asked)).await;
    // Alone it is silence, until it is there.
    let mut alone = sotw(stage.connect().await).await;
    alone.ask(names(&["scope/db.read"])).await;
    settled(&stage).await;
    stage.hold(of_elevated_web(20, in_seconds(60)));
    assert_eq!(shorts(&alone.next().await), ["scope/db.read: chain 20"]);
    stage.hold(Holdings {
        identities: vec![identity(WEB, Some(base(30, WEB)))],
        ..of_elevated_web(20, in_seconds(60))
    });
    let second = talk.next().await;
    assert_eq!(shorts(&second), ["ROOTCA: roots", "default: chain 30"]);
    assert!(rank(&first.version_info) < rank(&second.version_info));
}

#[tokio::test]
async fn an_empty_list_is_everything_until_something_was_named() {
    let stage = Stage::new(of_web(), options());
    for first in [names(&[]), names(&["", ""])] {
        let mut talk = sotw(stage.connect().await).await;
        talk.ask(first).await;
        let all = talk.next().await;
        let web = format!("{WEB}: chain 10");
        assert_eq!(shorts(&all), ["spiffe://td.test: roots", &web]);
        talk.ask(ack(&all, &["default"])).await;
        let one = talk.next().await;
        assert_eq!(shorts(&one), ["default: chain 10"]);
        talk.ask(ack(&one, &[])).await;
        talk.ask(ack(&one, &["ROOTCA"])).await;
        assert_eq!(shorts(&talk.next().await), ["ROOTCA: roots"], "not all");
    }
}

#[tokio::test]
async fn what_is_not_told_or_minted_yet_is_waited_for() {
    let stage = Stage::new(nothing(), options());
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(names(&["default"])).await;
    settled_untold(&stage).await;
    stage.hold(Holdings {
        identities: vec![identity(WEB, None)],
        ..of_web()
    });
    stage.hold(of_web());
    assert_eq!(shorts(&talk.next().await), ["default: chain 10"]);
}

/// The stream before this was opened earlier; when this one is open, that one has been heard.
async fn settled_untold(stage: &Stage) {
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(DiscoveryRequest {
        type_url: "type.googleapis.com/no.such.Type".to_owned(),
        ..names(&["default"])
    })
    .await;
    let status = talk.end().await;
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(
        status
            .message()
            .contains("ask for `type.googleapis.com/envoy")
    );
}

#[tokio::test]
async fn a_stale_nonce_is_not_read_and_names_may_change_with_the_newest() {
    let stage = Stage::new(of_web(), options());
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(names(&["default"])).await;
    let first = talk.next().await;
    stage.hold(Holdings {
        identities: vec![identity(WEB, Some(base(30, WEB)))],
        ..of_web()
    });
    let second = talk.next().await;
    assert_eq!(shorts(&second), ["default: chain 30"]);
    // He speaks of the first, before he has read the second.
    talk.ask(ack(&first, &["spiffe://td.test"])).await;
    talk.ask(ack(&second, &["default", "ROOTCA"])).await;
    let third = talk.next().await;
    assert_eq!(shorts(&third), ["ROOTCA: roots", "default: chain 30"]);
    assert_eq!(third.type_url, crate::agent::sds::secret::SECRET_TYPE);
}

#[tokio::test]
async fn a_refusal_is_shown_and_not_answered_and_the_next_content_is_sent() {
    let stage = Stage::new(of_web(), options());
    let mut talk = sotw(stage.connect().await).await;
    let node = Node {
        id: "sidecar-1".to_owned(),
        ..Node::default()
    };
    talk.ask(DiscoveryRequest {
        node: Some(node),
        ..names(&["default"])
    })
    .await;
    let first = talk.next().await;
    let refusal = DiscoveryRequest {
        version_info: String::new(),
        error_detail: Some(rpc::Status {
            code: 13,
            message: format!("key values mismatch\n{}", "y".repeat(5_000)),
            details: Vec::new(),
        }),
        ..ack(&first, &["default"])
    };
    for _ in 0..3 {
        talk.ask(refusal.clone()).await;
    }
    settled(&stage).await;
    stage.hold(Holdings {
        identities: vec![identity(WEB, Some(base(30, WEB)))],
        ..of_web()
    });
    let second = talk.next().await;
    assert_eq!(shorts(&second), ["default: chain 30"]);
    let row = stage.streams.rows().remove(0);
    assert_eq!((row.node.as_str(), row.pid), ("sidecar-1", 7));
    assert_eq!(row.names, ["default"]);
    assert!(row.nack.starts_with("key values mismatch yyy") && row.nack.len() <= 512);
    assert_eq!(
        (row.acked_version.as_str(), &row.sent_version),
        ("", &second.version_info)
    );
    talk.ask(ack(&second, &["default"])).await;
    talk.ask(ack(&second, &["default", "ROOTCA"])).await;
    talk.next().await;
    let row = stage.streams.rows().remove(0);
    assert_eq!(
        (row.nack.as_str(), row.acked_version),
        ("", second.version_info)
    );
}

#[tokio::test]
async fn who_comes_back_with_what_there_is_is_not_told_it_again() {
    let stage = Stage::new(of_web(), options());
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(names(&["default"])).await;
    let first = talk.next().await;
    drop(talk);
    let again = DiscoveryRequest {
        version_info: first.version_info.clone(),
        ..names(&["default"])
    };
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(again.clone()).await;
    settled(&stage).await;
    stage.hold(Holdings {
        identities: vec![identity(WEB, Some(base(30, WEB)))],
        ..of_web()
    });
    let second = talk.next().await;
    assert_eq!(shorts(&second), ["default: chain 30"]);
    // The same version for another name, and one of another server, say nothing.
    for request in [
        DiscoveryRequest {
            resource_names: vec![WEB.to_owned()],
            ..again
        },
        DiscoveryRequest {
            version_info: "17".to_owned(),
            ..names(&[WEB])
        },
    ] {
        let mut talk = sotw(stage.connect().await).await;
        talk.ask(request).await;
        assert_eq!(shorts(&talk.next().await), [format!("{WEB}: chain 30")]);
    }
}

#[tokio::test]
async fn at_the_end_of_an_elevation_the_base_svid_stands_under_its_name() {
    let mut stage = Stage::new(of_elevated_web(20, in_seconds(60)), options());
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(names(&["scope/db.read"])).await;
    let first = talk.next().await;
    assert_eq!(shorts(&first), ["scope/db.read: chain 20"]);
    let never = sotw(stage.connect().await).await;
    never.ask(names(&["scope/db.write"])).await;
    stage.hold(Holdings {
        identities: vec![identity(WEB, None)],
        ..of_web()
    });
    let scopes = [(
        (
            "spiffe://td.test/ns/shop/sa/web".parse().unwrap(),
            "db.read".parse().unwrap(),
        ),
        false,
    )];
    let wants_base = Wants::Some {
        base: true,
        scopes: scopes.into(),
    };
    stage.until_wanted(&wants_base).await;
    stage.hold(of_web());
    let second = talk.next().await;
    assert_eq!(shorts(&second), ["scope/db.read: chain 10"]);
    assert!(rank(&first.version_info) < rank(&second.version_info));
    // Elevated anew, and this time it ends by itself.
    stage.hold(of_elevated_web(40, in_seconds(2)));
    assert_eq!(shorts(&talk.next().await), ["scope/db.read: chain 40"]);
    assert_eq!(shorts(&talk.next().await), ["scope/db.read: chain 10"]);
    drop(never);
}

#[tokio::test]
async fn a_stream_for_roots_wants_nothing_minted() {
    let stage = Stage::new(of_web(), options());
    let mut talk = sotw(stage.connect().await).await;
    talk.ask(names(&["ROOTCA", "ALL"])).await;
    assert_eq!(
        shorts(&talk.next().await),
        ["ALL: SPIFFE validator", "ROOTCA: roots"]
    );
    let wants: Vec<Wants> = stage.wants.borrow().values().cloned().collect();
    assert_eq!(wants, [Wants::Nothing]);
    assert_eq!(stage.peer.attested(), 1);
    // The roots of others change nothing here but what names them.
    stage.hold(Holdings {
        bundles: bundles(60, &[("td.test", b"own"), ("other.test", b"new")]),
        ..of_web()
    });
    stage.hold(Holdings {
        bundles: bundles(61, &[("td.test", b"own, new")]),
        ..of_web()
    });
    assert_eq!(rank(&talk.next().await.version_info), 61);
}

#[tokio::test]
async fn a_single_request_waits_for_minting_and_no_longer_than_it_may() {
    let mut stage = Stage::new(
        Holdings {
            identities: vec![identity(WEB, None)],
            ..of_web()
        },
        options(),
    );
    let channel = stage.connect().await;
    let fetch = |asked: &[&str]| {
        let mut client = SecretDiscoveryServiceClient::new(channel.clone());
        let request = names(asked);
        async move {
            soon(client.fetch_secrets(request))
                .await
                .unwrap()
                .into_inner()
        }
    };
    let asked = ["default", "ROOTCA", "no-such", "scope/db.read"];
    let in_time: DiscoveryResponse = fetch(&asked).await;
    assert_eq!(shorts(&in_time), ["ROOTCA: roots"], "what came in time");
    stage.until_left().await;
    let waits = fetch(&asked);
    let minted = async {
        stage
            .wants
            .wait_for(|all| all.values().any(|one| *one != Wants::Nothing))
            .await
            .unwrap();
        stage.holdings.send_replace(of_web().into());
    };
    let (response, ()) = tokio::join!(waits, minted);
    assert_eq!(shorts(&response), ["ROOTCA: roots", "default: chain 10"]);
    let all = fetch(&[]).await;
    assert_eq!(
        shorts(&all),
        ["spiffe://td.test: roots", &format!("{WEB}: chain 10")]
    );
    for wants in stage.wants.borrow().values() {
        if let Wants::Some { scopes, .. } = wants {
            assert!(scopes.values().all(|may_open| !may_open));
        }
    }
}

#[tokio::test]
async fn streams_end_with_the_agent_and_are_gone_with_their_clients() {
    let mut stage = Stage::new(of_web(), options());
    let channel = stage.connect().await;
    let mut talk = sotw(channel.clone()).await;
    talk.ask(names(&["default"])).await;
    talk.next().await;
    drop(talk);
    stage.until_left().await;
    assert_eq!(stage.streams.rows(), []);
    let mut talk = sotw(channel).await;
    talk.ask(names(&["default"])).await;
    talk.next().await;
    stage.stop();
    assert_eq!(talk.end().await.code(), tonic::Code::Unavailable);
}

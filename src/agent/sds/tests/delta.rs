//! Delta.

use crate::agent::envoy::held::{
    WEB, base, bundles, identity, in_seconds, nothing, of_elevated_web, of_web,
};
use crate::agent::envoy::stage::Stage;
use crate::agent::holdings::Holdings;
use crate::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};

use super::{changes, delta, options, rank, settled, subscribe};

fn ack(response: &DeltaDiscoveryResponse) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        response_nonce: response.nonce.clone(),
        ..DeltaDiscoveryRequest::default()
    }
}

fn renewed(generation: u64) -> Holdings {
    Holdings {
        identities: vec![identity(WEB, Some(base(generation, WEB)))],
        ..of_web()
    }
}

#[tokio::test]
async fn what_is_not_there_is_removed_and_what_is_there_is_sent() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&[
        "default",
        "no-such",
        "ROOTCA",
        "scope/db.write",
    ]))
    .await;
    let first = talk.next().await;
    assert_eq!(
        changes(&first),
        [
            "ROOTCA: roots",
            "default: chain 10",
            "no-such: removed",
            "scope/db.write: removed"
        ]
    );
    talk.ask(ack(&first)).await;
    stage.hold(renewed(30));
    let second = talk.next().await;
    assert_eq!(changes(&second), ["default: chain 30"], "only what changed");
    let version =
        |response: &DeltaDiscoveryResponse, at: usize| rank(&response.resources[at].version);
    assert!(version(&first, 1) < version(&second, 0));
    // What was said before on this stream is heard before.
    talk.ask(subscribe(&["no-such"])).await;
    talk.next().await;
    let row = stage.streams.rows().remove(0);
    assert_eq!(row.acked_version, first.system_version_info);
}

#[tokio::test]
async fn whoever_subscribes_again_is_answered_again() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    for _ in 0..3 {
        talk.ask(subscribe(&["default", "no-such"])).await;
        assert_eq!(
            changes(&talk.next().await),
            ["default: chain 10", "no-such: removed"]
        );
    }
    talk.ask(DeltaDiscoveryRequest {
        resource_names_unsubscribe: super::words(&["default", "never-asked"]),
        resource_names_subscribe: super::words(&["ROOTCA"]),
        ..DeltaDiscoveryRequest::default()
    })
    .await;
    assert_eq!(changes(&talk.next().await), ["ROOTCA: roots"]);
    stage.hold(renewed(30));
    talk.ask(subscribe(&["scope/db.write"])).await;
    assert_eq!(
        changes(&talk.next().await),
        ["scope/db.write: removed"],
        "no default"
    );
}

#[tokio::test]
async fn who_comes_back_is_told_what_is_not_as_he_has_it() {
    let stage = Stage::new(of_elevated_web(20, in_seconds(60)), options());
    let all = ["ROOTCA", "default", "scope/db.read"];
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&all)).await;
    let first = talk.next().await;
    let held = first
        .resources
        .iter()
        .map(|one| (one.name.clone(), one.version.clone()));
    let held: std::collections::BTreeMap<_, _> = held.collect();
    drop(talk);
    // The elevation ended and the base SVID was renewed while he was away.
    stage.hold(renewed(30));
    let mut talk = delta(stage.connect().await).await;
    talk.ask(DeltaDiscoveryRequest {
        initial_resource_versions: held.clone(),
        ..subscribe(&all)
    })
    .await;
    let second = talk.next().await;
    assert_eq!(
        changes(&second),
        ["default: chain 30", "scope/db.read: removed"]
    );
    // Versions of another server are none.
    let foreign = held.into_keys().map(|name| (name, "17".to_owned()));
    let mut talk = delta(stage.connect().await).await;
    talk.ask(DeltaDiscoveryRequest {
        initial_resource_versions: foreign.collect(),
        ..subscribe(&all)
    })
    .await;
    assert_eq!(
        changes(&talk.next().await),
        [
            "ROOTCA: roots",
            "default: chain 30",
            "scope/db.read: removed"
        ]
    );
}

#[tokio::test]
async fn a_star_is_everything_and_follows_it() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["*", "default"])).await;
    let web = format!("{WEB}: chain 10");
    assert_eq!(
        changes(&talk.next().await),
        ["default: chain 10", "spiffe://td.test: roots", &web]
    );
    assert_eq!(stage.streams.rows()[0].names, ["*", "default"]);
    stage.hold(Holdings {
        federates_with: ["other.test".parse().unwrap()].into(),
        ..of_web()
    });
    assert_eq!(changes(&talk.next().await), ["spiffe://other.test: roots"]);
    stage.hold(of_web());
    assert_eq!(
        changes(&talk.next().await),
        ["spiffe://other.test: removed"]
    );
    talk.ask(DeltaDiscoveryRequest {
        resource_names_unsubscribe: super::words(&["*"]),
        ..DeltaDiscoveryRequest::default()
    })
    .await;
    talk.ask(subscribe(&["no-such"])).await;
    assert_eq!(changes(&talk.next().await), ["no-such: removed"]);
    stage.hold(Holdings {
        bundles: bundles(70, &[("td.test", b"new")]),
        ..renewed(30)
    });
    assert_eq!(changes(&talk.next().await), ["default: chain 30"]);
}

#[tokio::test]
async fn an_empty_delta_subscription_is_nothing() {
    let stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(DeltaDiscoveryRequest::default()).await;
    settled(&stage).await;
    talk.ask(subscribe(&["ROOTCA"])).await;
    assert_eq!(changes(&talk.next().await), ["ROOTCA: roots"]);
}

#[tokio::test]
async fn nothing_is_removed_before_the_server_has_told_what_there_is() {
    let stage = Stage::new(nothing(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["default", "ROOTCA"])).await;
    talk.ask(subscribe(&["no-such"])).await;
    assert_eq!(
        changes(&talk.next().await),
        ["no-such: removed"],
        "whoever it is"
    );
    stage.hold(of_web());
    assert_eq!(
        changes(&talk.next().await),
        ["ROOTCA: roots", "default: chain 10"]
    );
    stage.hold(Holdings {
        told: true,
        ..nothing()
    });
    assert_eq!(
        changes(&talk.next().await),
        ["ROOTCA: removed", "default: removed"]
    );
}

#[tokio::test]
async fn the_roots_of_a_trust_domain_that_is_trusted_no_more_are_removed() {
    let trusting = |bundles| Holdings {
        bundles,
        federates_with: ["other.test".parse().unwrap()].into(),
        ..of_web()
    };
    let (own, other) = (("td.test", &b"own"[..]), ("other.test", &b"other"[..]));
    let stage = Stage::new(trusting(bundles(50, &[own, other])), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["spiffe://other.test", "ROOTCA"]))
        .await;
    talk.next().await;
    stage.hold(trusting(bundles(60, &[own])));
    assert_eq!(
        changes(&talk.next().await),
        ["spiffe://other.test: removed"]
    );
}

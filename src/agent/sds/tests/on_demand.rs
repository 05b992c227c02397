//! Elevations that are opened at the moment of use, and ended.

use crate::agent::envoy::held::{
    WEB, elevated, in_seconds, nothing, now, of_asking_web, of_elevated_web, of_web, pending,
    refused, scope, subject,
};
use crate::agent::envoy::stage::Stage;
use crate::agent::holdings::{Ask, Holdings, Wants};
use crate::proto::discovery::DeltaDiscoveryRequest;

use super::{changes, delta, options, subscribe};

fn wants(may_open: bool) -> Wants {
    Wants::Some {
        base: false,
        scopes: [((subject(WEB), scope("db.read")), may_open)].into(),
    }
}

#[tokio::test]
async fn a_request_is_held_and_then_passes_when_it_was_permitted() {
    let mut stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["scope/db.read"])).await;
    stage.until_wanted(&wants(true)).await;
    stage.hold(of_asking_web(Ask::Asking));
    stage.hold(Holdings {
        elevated: vec![elevated(WEB, "db.read", None)],
        ..of_web()
    });
    stage.until_wanted(&wants(false)).await;
    stage.hold(of_elevated_web(20, in_seconds(60)));
    assert_eq!(changes(&talk.next().await), ["scope/db.read: chain 20"]);
    // It ends: it is removed, and does not open itself again while the stream still asks.
    stage.hold(of_web());
    assert_eq!(changes(&talk.next().await), ["scope/db.read: removed"]);
    assert!(
        stage
            .wants
            .borrow()
            .values()
            .all(|one| *one == wants(false))
    );
    // Whoever asks again opens again.
    talk.ask(subscribe(&["scope/db.read"])).await;
    stage.until_wanted(&wants(true)).await;
    stage.hold(of_elevated_web(30, in_seconds(60)));
    assert_eq!(changes(&talk.next().await), ["scope/db.read: chain 30"]);
}

#[tokio::test]
async fn a_request_is_held_no_longer_than_the_hold_and_served_when_it_is_approved() {
    let mut stage = Stage::new(of_web(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["sds://scope/db.read"])).await;
    stage.until_wanted(&wants(true)).await;
    stage.hold(of_asking_web(pending()));
    assert_eq!(
        changes(&talk.next().await),
        ["sds://scope/db.read: removed"]
    );
    // The client lives on and asks once more, while people still decide.
    talk.ask(subscribe(&["sds://scope/db.read"])).await;
    assert_eq!(
        changes(&talk.next().await),
        ["sds://scope/db.read: removed"]
    );
    stage.hold(of_elevated_web(20, in_seconds(60)));
    assert_eq!(
        changes(&talk.next().await),
        ["sds://scope/db.read: chain 20"]
    );
    // One that dropped its subscription asks with a new stream.
    let mut other = delta(stage.connect().await).await;
    other.ask(subscribe(&["scope/db.read"])).await;
    assert_eq!(changes(&other.next().await), ["scope/db.read: chain 20"]);
}

#[tokio::test]
async fn who_is_refused_is_told_at_once_and_by_all_streams() {
    let patient = super::Options {
        hold: std::time::Duration::from_hours(1),
        ..options()
    };
    let mut stage = Stage::new(of_web(), patient);
    let channel = stage.connect().await;
    let mut talks = Vec::new();
    for _ in 0..1_000 {
        let talk = delta(channel.clone()).await;
        talk.ask(subscribe(&["scope/db.read"])).await;
        talks.push(talk);
    }
    stage.until_wanted(&wants(true)).await;
    stage.hold(of_asking_web(refused(in_seconds(30))));
    for talk in &mut talks {
        assert_eq!(changes(&talk.next().await), ["scope/db.read: removed"]);
    }
    // While the refusal stands, whoever comes asks nobody.
    drop(talks);
    stage.until_left().await;
    let mut talk = delta(channel).await;
    talk.ask(subscribe(&["scope/db.read"])).await;
    assert_eq!(changes(&talk.next().await), ["scope/db.read: removed"]);
    stage.until_wanted(&wants(false)).await;
    // Afterwards he does.
    stage.hold(of_asking_web(refused(now())));
    talk.ask(subscribe(&["scope/db.read"])).await;
    stage.until_wanted(&wants(true)).await;
}

#[tokio::test]
async fn a_scope_that_is_not_opted_in_opens_nothing() {
    let mut stage = Stage::new(of_web(), super::Options::default());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["scope/db.read"])).await;
    assert_eq!(changes(&talk.next().await), ["scope/db.read: removed"]);
    stage.until_wanted(&wants(false)).await;
    stage.hold(of_elevated_web(20, in_seconds(60)));
    assert_eq!(changes(&talk.next().await), ["scope/db.read: chain 20"]);
}

#[tokio::test]
async fn an_elevated_svid_without_successor_is_removed_a_second_before_its_end() {
    let end = in_seconds(3);
    let stage = Stage::new(of_elevated_web(20, end), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["scope/db.read", "default"])).await;
    assert_eq!(
        changes(&talk.next().await),
        ["default: chain 10", "scope/db.read: chain 20"]
    );
    // The keeper says nothing; time does.
    assert_eq!(changes(&talk.next().await), ["scope/db.read: removed"]);
    assert!(now() < end, "before its end");
    stage.hold(of_elevated_web(30, in_seconds(60)));
    assert_eq!(changes(&talk.next().await), ["scope/db.read: chain 30"]);
}

#[tokio::test]
async fn who_comes_back_to_a_new_start_keeps_his_right_while_its_successor_is_made() {
    let before = Stage::new(of_elevated_web(20, in_seconds(60)), options());
    let mut talk = delta(before.connect().await).await;
    talk.ask(subscribe(&["scope/db.read"])).await;
    let given = talk.next().await.resources.remove(0);
    let stage = Stage::new(nothing(), options());
    let mut back = delta(stage.connect().await).await;
    back.ask(DeltaDiscoveryRequest {
        initial_resource_versions: [(given.name, given.version)].into(),
        ..subscribe(&["scope/db.read", "no-such"])
    })
    .await;
    let untold = back.next().await;
    assert_eq!(changes(&untold), ["no-such: removed"]);
    stage.hold(Holdings {
        elevated: vec![elevated(WEB, "db.read", None)],
        ..of_web()
    });
    back.ask(subscribe(&["ROOTCA"])).await;
    let unminted = back.next().await;
    assert_eq!(changes(&unminted), ["ROOTCA: roots"]);
    stage.hold(of_elevated_web(30, in_seconds(60)));
    let next = back.next().await;
    assert_eq!(changes(&next), ["scope/db.read: chain 30"]);
    stage.hold(of_web());
    let over = back.next().await;
    assert_eq!(changes(&over), ["scope/db.read: removed"]);
}

#[tokio::test]
async fn a_right_that_nears_its_end_gives_way_to_the_next() {
    let mut fading = of_elevated_web(20, in_seconds(60));
    let stage = Stage::new(fading.clone(), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["scope/db.read"])).await;
    assert_eq!(changes(&talk.next().await), ["scope/db.read: chain 20"]);
    fading.elevated[0].fades = true;
    stage.hold(fading);
    assert_eq!(changes(&talk.next().await), ["scope/db.read: removed"]);
    // As Envoy does at the next use.
    talk.ask(DeltaDiscoveryRequest {
        resource_names_unsubscribe: super::words(&["scope/db.read"]),
        ..DeltaDiscoveryRequest::default()
    })
    .await;
    talk.ask(subscribe(&["scope/db.read"])).await;
    stage.hold(of_elevated_web(30, in_seconds(90)));
    assert_eq!(changes(&talk.next().await), ["scope/db.read: chain 30"]);
}

#[tokio::test]
async fn a_renewal_takes_nothing_away_in_between() {
    let stage = Stage::new(of_elevated_web(20, in_seconds(60)), options());
    let mut talk = delta(stage.connect().await).await;
    talk.ask(subscribe(&["scope/db.read"])).await;
    assert_eq!(changes(&talk.next().await), ["scope/db.read: chain 20"]);
    stage.hold(Holdings {
        elevated: vec![elevated(WEB, "db.read", None)],
        ..of_web()
    });
    super::settled(&stage).await;
    stage.hold(of_elevated_web(30, in_seconds(90)));
    assert_eq!(changes(&talk.next().await), ["scope/db.read: chain 30"]);
}

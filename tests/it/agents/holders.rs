//! Holders: an agent says which of the processes that it attests something is for, and nobody else
//! does.

use protem::attestation::Obtainer;
use protem::elevation::Instances;
use protem::id::Instance;
use protem::service::ServiceError;
use protem::service::elevate::ElevateRequest;
use protem::service::issue::IssueRequest;
use serde_json::json;

use crate::rest::caller::Rest;
use crate::world::{DB, Holder, WEB, World, asked, base, elevated, terms};

const AGENT: &str = "spiffe://dev.protem.test/agents/one";

/// A world with an agent that `WEB` is obtained by.
async fn world() -> (World, Holder) {
    let world = World::new().await;
    let agent = serve(&world, AGENT).await;
    (world, agent)
}

/// Registers an agent, and that it obtains for `WEB`.
async fn serve(world: &World, agent: &str) -> Holder {
    let mut own = terms(agent);
    own.groups = Vec::new();
    let mut served = terms(WEB);
    served.obtained_by = vec![Obtainer::Agent(agent.parse().unwrap()), Obtainer::Token];
    for terms in [own, served] {
        let put = world.service.put_entry(&world.operator, terms).await;
        put.unwrap();
    }
    world.holder(agent).await
}

fn opening(holder: &str) -> ElevateRequest {
    ElevateRequest {
        subject: Some(WEB.parse().unwrap()),
        holder: Some(holder.parse().unwrap()),
        ..asked("db.read")
    }
}

fn mint(agent: &Holder, holder: &str, scope: Option<&str>) -> IssueRequest {
    let request = match scope {
        Some(scope) => elevated(&agent.key, scope),
        None => base(&agent.key),
    };
    IssueRequest {
        subject: Some(WEB.parse().unwrap()),
        holder: Some(holder.parse().unwrap()),
        ..request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_elevation_of_a_holder_outlives_the_key_of_its_agent() {
    let (world, agent) = world().await;
    let opened = world.service.elevate(&agent.call, opening("host")).await;
    let opened = opened.unwrap();
    let host = Instance::of_holder(&AGENT, "host");
    assert_eq!(opened.elevation.request.instances, Instances::One(host));
    assert_eq!(opened.elevation.request.subject.to_string(), WEB);
    assert_eq!(
        opened.elevation.request.asked_by.0,
        format!("workload:{AGENT}")
    );
    let event = opened.opened.event();
    assert_eq!(event.field("holder").unwrap().as_text(), Some("host"));

    let rotated = world.holder(AGENT).await;
    assert_ne!(rotated.key.public_key(), agent.key.public_key());
    for agent in [&agent, &rotated] {
        let minted = world
            .service
            .issue(&agent.call, mint(agent, "host", Some("db.read")))
            .await;
        let intent = minted.unwrap().svid.intent;
        let text = |name| intent.event().field(name).unwrap().as_text().unwrap();
        assert_eq!(text("holder"), "host");
        assert_eq!(text("instance"), host.to_string());
    }
    // Another holder of the same agent has no part in it.
    let other = mint(&rotated, "process:7:9", Some("db.read"));
    let answer = world.service.issue(&rotated.call, other).await;
    assert!(
        matches!(answer, Err(ServiceError::NoElevation)),
        "{answer:?}"
    );
    let by_id = IssueRequest {
        elevation: Some(opened.elevation.id),
        ..mint(&rotated, "process:7:9", Some("db.read"))
    };
    let answer = world.service.issue(&rotated.call, by_id).await;
    assert!(matches!(answer, Err(ServiceError::Move(_))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_of_one_agent_is_none_of_another() {
    let (world, one) = world().await;
    let opened = world.service.elevate(&one.call, opening("host")).await;
    let id = opened.unwrap().elevation.id;
    let two = serve(&world, "spiffe://dev.protem.test/agents/two").await;
    let request = IssueRequest {
        elevation: Some(id),
        ..mint(&two, "host", Some("db.read"))
    };
    let answer = world.service.issue(&two.call, request).await;
    assert!(matches!(answer, Err(ServiceError::Move(_))), "{answer:?}");
    // The entry names the first no more.
    let answer = world
        .service
        .issue(&one.call, mint(&one, "host", Some("db.read")))
        .await;
    assert!(
        matches!(answer, Err(ServiceError::NotAllowed(_))),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_but_an_agent_of_the_subject_names_a_holder() {
    let (world, agent) = world().await;
    let [web, db] = [world.holder(WEB).await, world.holder(DB).await];
    let token = world.token(WEB).await;
    world.elevate(&web, "db.read").await.unwrap();
    for call in [&web.call, &db.call, &token, &world.operator] {
        for scope in [None, Some("db.read")] {
            let answer = world.service.issue(call, mint(&agent, "host", scope)).await;
            assert!(
                matches!(answer, Err(ServiceError::NotAllowed(_))),
                "{call:?} {answer:?}"
            );
        }
        let answer = world.service.elevate(call, opening("host")).await;
        assert!(
            matches!(answer, Err(ServiceError::NotAllowed(_))),
            "{call:?} {answer:?}"
        );
        let answer = world.service.elevate_dry(call, &opening("host")).await;
        assert!(answer.is_err(), "{call:?}");
    }
    // Nor does an agent of himself, whom no entry of his own names.
    let own = IssueRequest {
        subject: None,
        ..mint(&agent, "host", None)
    };
    let answer = world.service.issue(&agent.call, own).await;
    assert!(
        matches!(answer, Err(ServiceError::NotAllowed(_))),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_holder_is_refused_in_words_at_the_door() {
    let rest = Rest::new().await;
    let web = rest.workload(WEB).await;
    let body = json!({ "scope": "db.read", "reason": "why", "holder": "host" });
    let answer = web.send("POST", "/v1/elevations", &body).await;
    assert_eq!((answer.status, answer.code()), (403, "not_allowed"));
    assert!(answer.text.contains("`holder` is for agents"));
    let body = json!({ "scope": "db.read", "reason": "why", "holder": "my host" });
    let answer = web.send("POST", "/v1/elevations", &body).await;
    assert_eq!((answer.status, answer.code()), (422, "field"));
    let answer = web.mint(&json!({ "holder": "x".repeat(129) })).await;
    assert_eq!((answer.status, answer.code()), (422, "field"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_an_agent_of_another_name_shows_is_not_spent() {
    let (world, agent) = world().await;
    let token = world.token(AGENT).await;
    let named = |subject: &str| IssueRequest {
        subject: Some(subject.parse().unwrap()),
        ..base(&agent.key)
    };
    let other = "spiffe://dev.protem.test/agents/two";
    let refused = world.service.issue(&token, named(other)).await;
    assert!(matches!(refused, Err(ServiceError::NotAllowed(_))));
    world.service.issue(&token, named(AGENT)).await.unwrap();
    assert!(world.service.issue(&token, named(AGENT)).await.is_err());
}

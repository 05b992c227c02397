//! Callers who come too late, for somebody else, or with the wrong SVID; and policies that come
//! into force at once.

use protem::elevation::{DECIDE_WITHIN, StateName};
use protem::policy::BundleSource;
use protem::service::ServiceError;
use protem::service::issue::IssueRequest;

use crate::world::{WEB, World, changed_policy, elevated};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_decides_after_decide_by() {
    let world = World::new().await;
    let web = world.holder(WEB).await;
    let late = world.elevate(&web, "db.write").await.unwrap();
    assert_eq!(late.elevation.state.name(), StateName::Pending);
    world.clock.advance(DECIDE_WITHIN);
    let open = r#"context.elevation.hasTag("sre") && context.elevation.getTag("sre") >= 1"#;
    let lax = changed_policy("elevate.cedar", &format!("&&\n  {open}"), "");
    let lax = lax
        .files()
        .map(|(name, text)| (name.to_owned(), text.replacen("@route(\"sre:1\")\n", "", 1)));
    let lax = BundleSource::collect(lax.filter(|(name, _)| !name.starts_with("tests/"))).unwrap();
    world.service.activate_first_policy(&lax).await.unwrap();
    let request = IssueRequest {
        elevation: Some(late.elevation.id),
        ..elevated(&web.key, "db.write")
    };
    let answer = world.service.issue(&web.call, request).await;
    assert!(matches!(answer, Err(ServiceError::Move(_))), "{answer:?}");
    world.service.sweep().await.unwrap();
    let row = world.service.elevation(&web.call, late.elevation.id).await;
    assert_eq!(row.unwrap().elevation.state.name(), StateName::Lapsed);
}

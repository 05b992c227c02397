//! Scopes that are asked for at the moment of use.

use super::*;

#[test]
fn a_scope_is_asked_for_once_however_many_ask() {
    let mut day = Day::with_web();
    let mut others = Vec::new();
    for _ in 0..1_000 {
        let followed = day
            .house
            .follow(shows(&["unix:uid:1"]), Holder::process(7, 9), day.now);
        others.push(followed.unwrap());
    }
    for other in &others {
        let scopes = BTreeMap::from([((subject(WEB), scope()), true)]);
        let base = false;
        day.house
            .want(other.id, Wants::Some { base, scopes }, day.now);
    }
    assert_eq!(day.asks().len(), 1);
    assert_eq!(day.ask(), Some(Ask::Asking));
    let key = (subject(WEB), scope());
    let refused = Asked::Refused("no_permit".to_owned(), REFUSED_FOR);
    day.house.asked(&key, refused, day.now);
    // Whoever asks again in the next minute hears the same without a question to the server.
    day.want_scope(true);
    assert_eq!(day.asks(), []);
    day.pass(60);
    assert_eq!(day.ask(), None);
    day.want(Wants::Nothing);
    day.want_scope(true);
    assert_eq!(day.asks().len(), 1);
}

#[test]
fn an_ask_waits_for_people_and_comes_to_an_svid() {
    let mut day = Day::with_web();
    day.want_scope(true);
    let key = day.asks().pop().unwrap();
    let told = elevation(1, 1, Standing::Pending);
    let id = told.id;
    day.hear(News::Elevation(told));
    day.house.asked(&key, Asked::Pending(id), day.now);
    assert!(matches!(day.ask(), Some(Ask::Pending { .. })));
    day.hear(News::Elevation(elevation(1, 2, OPEN)));
    assert_eq!(day.ask(), None);
    assert_eq!(day.mint(60).len(), 1);
    assert!(day.elevated().is_some());
}

/// A day on which a request opened a right that ends in so many seconds.
fn opened(ends_in_s: u32) -> (Day, ElevationId) {
    let mut day = Day::with_web();
    day.want_scope(true);
    let key = day.asks().pop().unwrap();
    let ends_at = Some(day.now.plus(Seconds::new(ends_in_s)));
    let standing = Standing::Open {
        not_before: None,
        ends_at,
    };
    let told = elevation(1, 1, standing);
    let id = told.id;
    day.house.asked(&key, Asked::Open(id), day.now);
    day.hear(News::Elevation(told));
    (day, id)
}

#[test]
fn a_right_that_nears_its_end_is_asked_for_anew_by_the_next_use() {
    let fades = |day: &Day| day.told().elevated[0].fades;
    let (mut day, id) = opened(80);
    day.mint(60);
    assert!(!fades(&day));
    day.pass(30);
    assert_eq!(day.mint(49).len(), 1);
    assert!(fades(&day), "with its last certificate");
    assert!(day.elevated().is_some(), "which is still told");
    day.want(Wants::Nothing);
    day.want_scope(true);
    let key = day.asks().pop().unwrap();
    assert_eq!(day.house.continued(&key, day.now), Some(id));
    // Where that comes to nothing, it lives to its end.
    let refused = Asked::Refused("no_permit".to_owned(), REFUSED_FOR);
    day.house.asked(&key, refused, day.now);
    assert!(day.elevated().is_some());
    day.pass(49);
    assert!(day.elevated().is_none());
}

#[test]
fn a_right_of_one_certificate_fades_in_the_second_half_of_it() {
    let fades = |day: &Day| day.told().elevated[0].fades;
    let (mut day, _) = opened(61);
    day.mint(60);
    day.pass(29);
    assert!(!fades(&day));
    day.want(Wants::Nothing);
    day.want_scope(true);
    assert_eq!(day.asks(), []);
    day.pass(1);
    assert!(fades(&day));
    assert_eq!(day.due(), [], "there is nothing to renew");
    day.pass(29);
    assert!(day.elevated().is_none());
}

#[test]
fn in_the_last_seconds_of_a_right_nothing_more_is_minted() {
    let (mut day, _) = opened(60);
    day.mint(57);
    // Its certificate is told no more, and the right goes on for some seconds.
    day.pass(57);
    assert!(day.elevated().is_none());
    assert_eq!(day.due(), []);
    let next = day.house.next_at();
    assert!(next.is_none_or(|next| day.now < next), "{next:?}");
    day.want(Wants::Nothing);
    day.want_scope(false);
    assert_eq!(day.due(), []);
}

#[test]
fn a_right_that_nobody_opened_by_a_request_lives_to_its_end() {
    let mut day = Day::with_web();
    let standing = Standing::Open {
        not_before: None,
        ends_at: Some(day.now.plus(Seconds::new(60))),
    };
    day.hear(News::Elevation(elevation(1, 1, standing)));
    day.want_scope(true);
    day.mint(59);
    day.pass(40);
    assert!(!day.told().elevated[0].fades);
    assert_eq!(day.asks(), []);
}

#[test]
fn the_stream_may_be_faster_than_the_answer() {
    let mut day = Day::with_web();
    day.want_scope(true);
    let key = day.asks().pop().unwrap();
    let told = elevation(1, 2, OPEN);
    let id = told.id;
    day.hear(News::Elevation(told));
    day.house.asked(&key, Asked::Pending(id), day.now);
    assert_eq!(day.ask(), None);
    assert_eq!(day.told().elevated.len(), 1);
}

#[test]
fn what_a_person_ended_is_not_opened_again_at_once() {
    let mut day = Day::with_web();
    day.want_scope(true);
    let key = day.asks().pop().unwrap();
    let told = elevation(1, 1, OPEN);
    day.house.asked(&key, Asked::Open(told.id), day.now);
    assert_eq!(day.due().len(), 1, "the answer alone is enough to mint");
    day.hear(News::Elevation(told));
    let over = Standing::Over("revoked".to_owned());
    day.hear(News::Elevation(elevation(1, 2, over)));
    day.want(Wants::Nothing);
    day.want_scope(true);
    assert_eq!(day.asks(), []);
    assert!(matches!(day.ask(), Some(Ask::Refused { code, .. }) if code == "revoked"));
}

#[test]
fn an_end_by_time_asks_for_nothing_by_itself() {
    let mut day = Day::with_web();
    day.want_scope(true);
    let key = day.asks().pop().unwrap();
    let told = elevation(1, 1, OPEN);
    day.house.asked(&key, Asked::Open(told.id), day.now);
    let over = Standing::Over("expired".to_owned());
    day.hear(News::Elevation(elevation(1, 2, over)));
    assert_eq!(day.asks(), []);
    assert_eq!(day.ask(), None);
    day.want(Wants::Nothing);
    day.want_scope(true);
    assert_eq!(day.asks().len(), 1);
}

#[test]
fn a_scope_of_somebody_else_is_not_asked_for() {
    let mut day = Day::with_web();
    day.hear(News::Entry(entry(
        "en-2",
        "spiffe://td/other",
        &["unix:uid:2"],
        None,
    )));
    let scopes = BTreeMap::from([((subject("spiffe://td/other"), scope()), true)]);
    day.want(Wants::Some { base: true, scopes });
    assert_eq!(day.asks(), []);
}

//! The house through days of an agent, without a server, a clock or a socket.

mod asking;

use super::*;
use crate::agent::holdings::Holdings;
use crate::agent::news::{Image, News, Serves, Standing};
use crate::id::Instance;
use crate::scope::SvidName;

/// A house with one follower who shows `unix:uid:1`.
struct Day {
    house: House,
    id: FollowerId,
    holdings: tokio::sync::watch::Receiver<Arc<Holdings>>,
    now: Timestamp,
}

const AGENT: &str = "spiffe://td/agent";
const WEB: &str = "spiffe://td/web";

fn at(s: i64) -> Timestamp {
    Timestamp::from_unix_s(s).unwrap()
}

fn subject(text: &str) -> Subject {
    text.parse().unwrap()
}

fn scope() -> Scope {
    "db.read".parse().unwrap()
}

fn shows(texts: &[&str]) -> Arc<BTreeSet<Selector>> {
    Arc::new(texts.iter().map(|text| text.parse().unwrap()).collect())
}

fn entry(id: &str, name: &str, selectors: &[&str], hint: Option<&str>) -> Arc<AgentEntry> {
    Arc::new(AgentEntry {
        id: id.to_owned(),
        version: 1,
        subject: subject(name),
        selectors: (*shows(selectors)).clone(),
        life: Seconds::new(3_600),
        hint: hint.map(ToOwned::to_owned),
        federates_with: BTreeSet::new(),
    })
}

fn elevation(id: u8, version: u64, standing: Standing) -> ToldElevation {
    ToldElevation {
        id: format!("el-{}", hex(id)).parse().unwrap(),
        version,
        subject: subject(WEB),
        scope: scope(),
        serves: Serves::Any,
        standing,
    }
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}").repeat(16)
}

const OPEN: Standing = Standing::Open {
    not_before: None,
    ends_at: None,
};

impl Day {
    fn begin() -> Self {
        let agent = AGENT.parse().unwrap();
        let mut house = House::new(agent, "td".parse().unwrap(), Generation(1 << 40));
        let now = at(1_000);
        let followed = house.follow(shows(&["unix:uid:1"]), Holder::process(7, 9), now);
        let Followed { id, holdings } = followed.unwrap();
        Self {
            house,
            id,
            holdings,
            now,
        }
    }

    /// With the entry of web, which fits the follower.
    fn with_web() -> Self {
        let mut day = Self::begin();
        let web = entry("en-1", WEB, &["unix:uid:1"], None);
        let image = Image {
            entries: BTreeMap::from([(web.id.clone(), web)]),
            ..Image::default()
        };
        day.hear(News::Everything(Box::new(image)));
        day
    }

    fn hear(&mut self, news: News) {
        self.house.hear(news, self.now);
    }

    fn want(&mut self, wants: Wants) {
        self.house.want(self.id, wants, self.now);
    }

    fn want_scope(&mut self, may_open: bool) {
        let scopes = BTreeMap::from([((subject(WEB), scope()), may_open)]);
        let base = false;
        self.want(Wants::Some { base, scopes });
    }

    fn pass(&mut self, s: u32) {
        self.now = self.now.plus(Seconds::new(s));
        self.house.expire(self.now);
    }

    fn due(&mut self) -> Vec<ItemKey> {
        self.house.due(100, self.now)
    }

    /// Mints all that is due with this life; answers what.
    fn mint(&mut self, life_s: u32) -> Vec<ItemKey> {
        let keys = self.due();
        for key in &keys {
            let generation = self.house.next_generation();
            let svid = svid(key, self.now, life_s, generation);
            self.house.minted(key, svid, self.now);
        }
        keys
    }

    fn told(&self) -> Arc<Holdings> {
        self.holdings.borrow().clone()
    }

    fn base(&self) -> Option<Timestamp> {
        self.told().default_svid().map(|svid| svid.not_after)
    }

    fn elevated(&self) -> Option<Timestamp> {
        let told = self.told();
        Some(told.elevated.first()?.svid.as_ref()?.not_after)
    }

    fn asks(&mut self) -> Vec<(Subject, Scope)> {
        std::iter::from_fn(|| self.house.next_ask()).collect()
    }

    fn ask(&self) -> Option<Ask> {
        self.told().asks.values().next().cloned()
    }
}

fn svid(key: &ItemKey, now: Timestamp, life_s: u32, generation: Generation) -> Svid {
    let not_after = now.plus(Seconds::new(life_s));
    Svid {
        generation,
        spiffe_id: key.subject().id().clone(),
        name: SvidName::Base(key.subject().clone()),
        chain_der: "chain".into(),
        chain_pem: "chain".into(),
        key_der: zeroize::Zeroizing::new(Vec::new()),
        key_pem: zeroize::Zeroizing::new(String::new()),
        serial: "01".to_owned(),
        sha256: [0; 32],
        not_before: now,
        not_after,
        renew_at: now.plus(Seconds::new(life_s / 2)),
    }
}

#[test]
fn nothing_is_minted_that_nobody_wants() {
    let mut day = Day::with_web();
    assert!(day.told().told);
    assert_eq!(day.told().identities.len(), 1);
    assert_eq!(day.due(), []);
    day.want(Wants::Everything);
    assert_eq!(day.mint(60), [ItemKey::Base(subject(WEB))]);
    assert_eq!(day.base(), Some(at(1_060)));
}

#[test]
fn it_is_renewed_at_its_point_and_gone_at_its_end() {
    let mut day = Day::with_web();
    day.want(Wants::Everything);
    day.mint(60);
    day.pass(29);
    assert_eq!(day.due(), []);
    day.pass(1);
    assert_eq!(day.due().len(), 1);
    // The server is away: what is held stays until its end, and not a second longer.
    let key = ItemKey::Base(subject(WEB));
    day.house
        .failed(&key, "away".to_owned(), |_| Seconds::new(5), day.now);
    assert_eq!(day.due(), []);
    day.pass(5);
    assert_eq!(day.due().len(), 1);
    day.pass(24);
    assert_eq!(day.base(), Some(at(1_060)));
    day.pass(1);
    assert_eq!(day.base(), None);
}

#[test]
fn after_a_sleep_the_first_act_is_to_drop_what_ended() {
    let mut day = Day::with_web();
    day.want(Wants::Everything);
    day.mint(60);
    day.pass(100_000);
    assert_eq!(day.base(), None);
    assert_eq!(day.due().len(), 1);
}

#[test]
fn an_elevation_is_minted_when_its_scope_is_wanted_and_ends_when_told() {
    let mut day = Day::with_web();
    day.hear(News::Elevation(elevation(1, 1, OPEN)));
    assert_eq!(day.due(), []);
    day.want_scope(false);
    assert_eq!(day.mint(60).len(), 1);
    assert_eq!(day.elevated(), Some(at(1_060)));
    assert_eq!(day.base(), None, "the base SVID is not asked for");
    let over = Standing::Over("revoked".to_owned());
    day.hear(News::Elevation(elevation(1, 2, over)));
    assert!(day.told().elevated.is_empty());
    assert_eq!(day.house.items().iter().count(), 0, "its key is gone too");
}

#[test]
fn an_elevated_svid_ends_a_second_early() {
    let mut day = Day::with_web();
    day.hear(News::Elevation(elevation(1, 1, OPEN)));
    day.want_scope(false);
    day.mint(60);
    day.pass(58);
    assert!(day.elevated().is_some());
    day.pass(1);
    assert!(day.elevated().is_none());
}

#[test]
fn an_older_word_never_undoes_a_newer_one() {
    let mut day = Day::with_web();
    day.hear(News::Elevation(elevation(1, 3, OPEN)));
    day.hear(News::Elevation(elevation(1, 2, Standing::Pending)));
    assert_eq!(day.told().elevated.len(), 1);
}

#[test]
fn what_ended_while_the_server_is_away_leaves_no_time_that_has_passed() {
    let mut day = Day::with_web();
    day.hear(News::Elevation(elevation(1, 1, OPEN)));
    day.want_scope(false);
    let keys = day.mint(60);
    day.pass(30);
    assert_eq!(day.due(), keys);
    day.house
        .failed(&keys[0], "away".to_owned(), |_| Seconds::new(40), day.now);
    day.pass(29);
    assert!(day.elevated().is_none());
    let next = day.house.next_at().unwrap();
    assert!(day.now < next, "{next} would be waited for without end");
}

#[test]
fn who_leaves_and_comes_back_is_not_tried_for_sooner() {
    let mut day = Day::with_web();
    day.want(Wants::Everything);
    let keys = day.due();
    let pause = |failures| Seconds::new(40 * failures);
    day.house.failed(&keys[0], "no".to_owned(), pause, day.now);
    for _ in 0..3 {
        day.want(Wants::Nothing);
        day.want(Wants::Everything);
        assert_eq!(day.due(), []);
    }
    day.pass(40);
    assert_eq!(day.due(), keys);
    day.house.failed(&keys[0], "no".to_owned(), pause, day.now);
    day.want(Wants::Nothing);
    day.pass(80);
    assert!(day.house.items().get(&keys[0]).is_none(), "nobody wants it");
}

#[test]
fn an_elevation_of_another_process_is_not_told() {
    let mut day = Day::with_web();
    let agent: SpiffeId = AGENT.parse().unwrap();
    let mut told = elevation(1, 1, OPEN);
    told.serves = Serves::One(Holder::process(8, 9).instance(&agent));
    day.hear(News::Elevation(told.clone()));
    assert!(day.told().elevated.is_empty());
    told.serves = Serves::One(Holder::process(7, 9).instance(&agent));
    told.version = 2;
    day.hear(News::Elevation(told.clone()));
    assert_eq!(day.told().elevated.len(), 1);
    told.serves = Serves::One(Instance::from_bytes([7; 32]));
    told.version = 3;
    day.hear(News::Elevation(told));
    assert!(day.told().elevated.is_empty());
}

#[test]
fn a_scheduled_start_is_waited_for() {
    let mut day = Day::with_web();
    day.want_scope(false);
    let standing = Standing::Open {
        not_before: Some(at(1_100)),
        ends_at: None,
    };
    day.hear(News::Elevation(elevation(1, 1, standing)));
    assert_eq!(day.due(), []);
    assert_eq!(day.house.next_at(), Some(at(1_100)));
    day.pass(100);
    assert_eq!(day.due().len(), 1);
}

#[test]
fn the_default_is_chosen_by_rule() {
    let mut day = Day::with_web();
    day.hear(News::Entry(entry(
        "en-0",
        "spiffe://td/zoo",
        &["unix:uid:1"],
        None,
    )));
    day.hear(News::Entry(entry(
        "en-2",
        "spiffe://td/abc",
        &["unix:uid:1"],
        None,
    )));
    let names = |day: &Day| {
        let told = day.told();
        let names = told
            .identities
            .iter()
            .map(|one| one.entry.subject.to_string());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&day), ["spiffe://td/abc", WEB, "spiffe://td/zoo"]);
    let hinted = entry("en-3", "spiffe://td/mid", &["unix:uid:1"], Some("default"));
    day.hear(News::Entry(hinted));
    assert_eq!(names(&day).first().unwrap(), "spiffe://td/mid");
}

#[test]
fn an_entry_fits_who_shows_all_its_selectors_and_none_fits_nobody() {
    let mut day = Day::begin();
    let both = ["unix:uid:1", "unix:path:/bin/web"];
    day.hear(News::Entry(entry("en-1", WEB, &both, None)));
    day.hear(News::Entry(entry("en-2", "spiffe://td/any", &[], None)));
    assert!(day.told().identities.is_empty());
    let followed = day
        .house
        .follow(shows(&both), Holder::process(7, 9), day.now);
    day.holdings = followed.unwrap().holdings;
    assert_eq!(day.told().identities.len(), 1);
}

#[test]
fn an_entry_that_is_removed_takes_all_its_svids_with_it() {
    let mut day = Day::with_web();
    day.want(Wants::Everything);
    day.hear(News::Elevation(elevation(1, 1, OPEN)));
    assert_eq!(day.mint(60).len(), 2);
    day.hear(News::EntryRemoved("en-1".to_owned()));
    assert!(day.told().identities.is_empty());
    assert_eq!(day.house.items().iter().count(), 0);
}

#[test]
fn what_is_gone_when_the_server_tells_all_anew_is_gone_here() {
    let mut day = Day::with_web();
    day.want(Wants::Everything);
    day.hear(News::Elevation(elevation(1, 1, OPEN)));
    day.mint(60);
    let web = entry("en-1", WEB, &["unix:uid:1"], None);
    let image = Image {
        entries: BTreeMap::from([(web.id.clone(), web)]),
        ..Image::default()
    };
    day.hear(News::Everything(Box::new(image)));
    assert!(day.told().elevated.is_empty());
    assert!(day.base().is_some(), "what still stands was not disturbed");
}

#[test]
fn who_leaves_takes_nothing_from_others_and_leaves_nothing_behind() {
    let mut day = Day::with_web();
    let other = day
        .house
        .follow(shows(&["unix:uid:1"]), Holder::process(8, 8), day.now);
    let other = other.unwrap();
    day.house.want(other.id, Wants::Everything, day.now);
    day.want(Wants::Everything);
    day.mint(60);
    day.house.leave(other.id, day.now);
    // His end of the view may still be on its way out when he has left.
    drop(other.holdings);
    assert_eq!(day.house.groups.ids().len(), 1);
    assert!(day.base().is_some());
    day.want(Wants::Nothing);
    day.pass(30);
    assert_eq!(day.due(), []);
    assert_eq!(
        day.house.items().iter().count(),
        0,
        "what nobody wants is not kept for ever"
    );
}

#[test]
fn only_what_differs_is_told() {
    let mut day = Day::with_web();
    day.want(Wants::Everything);
    day.mint(60);
    day.holdings.borrow_and_update();
    day.hear(News::Entry(entry(
        "en-2",
        "spiffe://td/other",
        &["unix:uid:2"],
        None,
    )));
    day.house.expire(day.now);
    assert!(!day.holdings.has_changed().unwrap());
    day.hear(News::Bundle("td".parse().unwrap(), vec!["root".into()]));
    assert!(day.holdings.has_changed().unwrap());
}

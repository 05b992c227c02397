//! `kill -9` again and again under everything that clients do, and then the books: every
//! certificate that somebody received is in the audit query with its fingerprint, none outlives
//! its elevation, numbers have no gap, intents without outcome are finished or told.
//!
//! `PROTEM_SOAK_KILLS` says how often (50); `PROTEM_SOAK_SEED` repeats the moments of a run.

pub(crate) mod books;
mod crowd;
mod curl;
pub(crate) mod house;
pub(crate) mod worker;

use std::env;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use protem::id::entropy::Entropy;

use crate::crash::house::{Dice, House};
use crate::live::Live;

pub(crate) use crate::crash::crowd::Crowd;

/// What the ends and the starts came to.
#[derive(Debug, Default)]
struct Kills {
    while_serving: u64,
    /// Of those, how many while a signature was under way.
    while_signing: u64,
    while_starting: u64,
    finished: u64,
    told: u64,
}

#[test]
fn what_clients_received_is_in_the_books_after_kill_9() {
    let wanted = number("PROTEM_SOAK_KILLS").unwrap_or(KILLS_DEFAULT);
    let seed = seed();
    let directory = tempfile::tempdir().unwrap();
    let house = Arc::new(House::new(directory.path(), seed));
    let mut live = house.place.serve();
    let crowd = Crowd::come(&house);
    let dice = Dice::new(seed);
    let mut kills = Kills::default();
    while kills.count() < wanted {
        live = kills.one(&house, live, &dice);
    }
    // The workers end what they are at with a server that stays.
    live.until_serving();
    let said = crowd.leave(live);
    kills.heard(&said);
    eprintln!("{} kills: {kills:#?}", kills.count());
    let books = crowd.judge();
    // A start that was killed before it said so has told all the same.
    assert!(kills.told <= books.told(), "{kills:?}");
    assert!(0 < kills.finished, "no intent was left by a crash");
    for (what, least) in [
        ("elevation opened", wanted / 2),
        ("given back", 1),
        ("revoked by an operator", 1),
        ("repeated and the same", 1),
        ("answered after a lost answer", 1),
    ] {
        let done = house.done(what);
        assert!(least <= done, "{what}: only {done}");
    }
    let received = house.received_count();
    assert!(wanted <= received, "only {received} certificates");
}

pub(crate) fn stop(live: Live) -> Vec<String> {
    let (status, said) = live.terminate();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    said
}

impl Kills {
    const fn count(&self) -> u64 {
        self.while_serving + self.while_starting
    }

    /// Kills a server at a moment that the dice choose, and starts the next one.
    fn one(&mut self, house: &House, mut live: Live, dice: &Dice) -> Live {
        let way = dice.below(8);
        if way < 2 {
            live.run_for(Duration::from_millis(dice.below(START_MS)));
            self.while_starting += 1;
        } else {
            live.until_serving();
            // Now and then long enough for work of many steps.
            let longest = if self.while_serving % 8 == 5 {
                2_500
            } else {
                580
            };
            live.run_for(Duration::from_millis(20 + dice.below(longest)));
            // Half of them in the worst moment: something is recorded and not yet signed.
            self.while_signing += u64::from(way < 6 && house.is_signing());
            self.while_serving += 1;
        }
        self.heard(&live.kill());
        if way >= 2 && self.while_serving % 32 == 3 {
            // Away for so long that a recorded intent runs out: nothing else is waited for.
            thread::park_timeout(LIFE_SHORTEST);
        }
        house.place.start()
    }

    /// Adds what a start said of the leftovers that it found.
    fn heard(&mut self, said: &[String]) {
        for line in said.iter().filter(|line| line.contains("a crash left")) {
            self.finished += field(line, "finished=");
            self.told += field(line, "told=");
        }
    }
}

fn field(line: &str, name: &str) -> u64 {
    let (_, rest) = line.split_once(name).expect("the field");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

/// The seed of this run, told so that the run can be repeated.
pub(crate) fn seed() -> u64 {
    let seed = number("PROTEM_SOAK_SEED")
        .unwrap_or_else(|| u64::from(u32::from_be_bytes(Entropy::system().bytes())));
    eprintln!("PROTEM_SOAK_SEED={seed}");
    seed
}

/// A number from the environment, for longer runs.
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// A policy with lives so short that everything runs out during a run.
fn write_policy(directory: &Path) {
    let example = |name| std::fs::read_to_string(crate::tools::repository(name)).unwrap();
    let files = [
        ("issue.cedar", example("policy/issue.cedar")),
        ("operate.cedar", example("policy/operate.cedar")),
        ("elevate.cedar", ELEVATE.to_owned()),
        ("scopes.toml", SCOPES.to_owned()),
    ];
    std::fs::create_dir(directory).unwrap();
    for (name, text) in files {
        std::fs::write(directory.join(name), text).unwrap();
    }
}

const KILLS_DEFAULT: u64 = 50;
pub(crate) const WORKERS: u64 = 12;
/// Within this much a start is cut before it serves, or just after.
const START_MS: u64 = 700;
/// The life of the shortest SVIDs, and a second.
const LIFE_SHORTEST: Duration = Duration::from_secs(6);

const ELEVATE: &str = r#"
@id("crew-with-reason")
permit (principal in Group::"crew", action == Action::"elevate", resource)
when { context.has_reason };
"#;

const SCOPES: &str = r#"
test_lives = true

[scope."crash.read"]
description = "read"
owner = "crew"
servers = []
svid_life = "5s"
elevation_longest = "20s"

[scope."crash.write"]
description = "write"
owner = "crew"
servers = []
svid_life = "10s"
elevation_longest = "1m"
"#;

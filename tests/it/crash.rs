//! `kill -9` every few seconds under everything that clients do, and then the books: every
//! certificate that somebody received is in the audit query with its fingerprint, none outlives
//! its elevation, numbers have no gap, intents without outcome are finished or told.
//!
//! `PROTEM_SOAK_SECONDS` says for how long (60); `PROTEM_SOAK_SEED` repeats the moments of a run.

mod books;
mod curl;
mod house;
mod worker;

use std::env;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use protem::id::entropy::Entropy;

use crate::crash::books::Books;
use crate::crash::house::{Dice, House};
use crate::crash::worker::Worker;
use crate::live::Live;

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
    let seconds = number("PROTEM_SOAK_SECONDS").unwrap_or(SECONDS_DEFAULT);
    let seed = number("PROTEM_SOAK_SEED")
        .unwrap_or_else(|| u64::from(u32::from_be_bytes(Entropy::system().bytes())));
    eprintln!("{seconds} s, PROTEM_SOAK_SEED={seed}");

    let directory = tempfile::tempdir().unwrap();
    let house = Arc::new(House::new(directory.path(), seed));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut live = house.place.serve();
    runtime.block_on(house.register());
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| runtime.spawn(Worker::new(&house, number).work()))
        .collect();

    let end = Instant::now() + Duration::from_secs(seconds);
    let dice = Dice::new(seed);
    let mut kills = Kills::default();
    while Instant::now() < end {
        live = kills.one(&house, live, &dice);
    }
    // The workers end what they are at with a server that stays.
    live.until_serving();
    house.stop.store(true, Ordering::Relaxed);
    for worker in workers {
        let ended = runtime.block_on(async { tokio::time::timeout(WORKER_LONGEST, worker).await });
        ended.expect("a worker ends in time").unwrap();
    }
    let said = stop(live);
    kills.heard(&said);
    judge(&house, &runtime, &kills, seconds);
}

/// Everything is at rest: starts a last time and reads all there is.
fn judge(house: &House, runtime: &tokio::runtime::Runtime, kills: &Kills, seconds: u64) {
    let live = house.place.serve();
    let books = runtime.block_on(Books::read(house));
    let said = stop(live);
    assert!(
        !said.iter().any(|line| line.contains("a crash left")),
        "leftovers after SIGTERM: {said:#?}"
    );
    let tally = house.tally.lock().unwrap();
    eprintln!("{kills:#?}\n{tally:#?}\n{}", books.summary());
    assert!(tally.wrong.is_empty(), "{:#?}", tally.wrong);
    let received = tally.received.len() as u64;
    books.hold(&tally.received, &tally.asked_once);
    // A start that was killed before it said so has told all the same.
    assert!(kills.told <= books.told(), "{kills:?}");

    let killed = kills.while_serving + kills.while_starting;
    assert!(seconds / 6 <= killed, "only {killed} kills");
    assert!(seconds * 10 / 3 <= received, "only {received} certificates");
    assert!(0 < kills.finished, "no intent was left by a crash");
    for (what, least) in [
        ("elevation opened", seconds),
        ("given back", 1),
        ("revoked by an operator", 1),
        ("repeated and the same", seconds / 6),
        ("answered after a lost answer", 1),
    ] {
        let done = tally.done.get(what).copied().unwrap_or_default();
        assert!(least <= done, "{what}: only {done}");
    }
}

fn stop(live: Live) -> Vec<String> {
    let (status, said) = live.terminate();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    said
}

impl Kills {
    /// Kills a server at a moment that the dice choose, and starts the next one.
    fn one(&mut self, house: &House, mut live: Live, dice: &Dice) -> Live {
        let way = dice.below(8);
        if way < 2 {
            live.run_for(Duration::from_millis(dice.below(START_MS)));
            self.while_starting += 1;
        } else {
            live.until_serving();
            live.run_for(Duration::from_millis(1_000 + dice.below(2_500)));
            // Half of them in the worst moment: something is recorded and not yet signed.
            self.while_signing += u64::from(way < 6 && house.is_signing());
            self.while_serving += 1;
        }
        self.heard(&live.kill());
        if way >= 2 && self.while_serving % 8 == 3 {
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

fn number(name: &str) -> Option<u64> {
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

const SECONDS_DEFAULT: u64 = 60;
const WORKERS: u64 = 12;
/// Within this much a start is cut before it serves, or just after.
const START_MS: u64 = 700;
/// The life of the shortest SVIDs, and a second.
const LIFE_SHORTEST: Duration = Duration::from_secs(6);
/// The longest that one step of a worker takes while the server is there.
const WORKER_LONGEST: Duration = Duration::from_mins(2);

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

//! Clocks that jump under a running server (libfaketime bends the wall clock and leaves the one
//! that counts from boot), and starts with a clock that stands wrong.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use protem::failpoint::Point;
use protem::wire::problem::ProblemKind;
use rustix::process::{Signal, kill_process};

use crate::crash::stop;
use crate::faults::site::{Site, Wish};
use crate::live::Place;

/// The wall clock of servers that are started with it, as an offset from the true one.
struct Bent(PathBuf);

#[test]
fn a_clock_that_jumps_stops_minting_until_it_is_accepted() {
    let (site, live) = Site::new();
    stop(live);
    let bent = Bent::on(&site);
    let live = bent.bend(&site.house.place).serve();
    site.ask(&Wish::new(1)).unwrap();
    for (jump, once) in ["+3600", "-3600", "+6", "-6", "-315360000"]
        .into_iter()
        .zip(10..)
    {
        bent.set(jump);
        // By a token: by that clock the SVID may be over.
        is_refused(&site, &site.wish_by_token(once));
        site.until_unready(Some("protem clock accept"));
        // Back to the truth is a second jump: nobody knows which of them was right.
        bent.set("+0");
        is_refused(&site, &Wish::new(once + 100));
        accept(&site);
        site.until_unready(None);
        site.ask(&Wish::new(once + 200)).unwrap();
        eprintln!("{jump} s: refused, then accepted");
    }
    let said = stop(live);
    let told = said
        .iter()
        .filter(|line| line.contains("clock in doubt"))
        .count();
    assert_eq!(told, 5, "{said:#?}");
    assert_eq!(
        site.count("SELECT count(*) FROM events WHERE kind = 'clock.accepted'"),
        5
    );
    site.is_whole();
}

#[test]
fn small_steps_of_the_clock_add_up() {
    let (site, live) = Site::new();
    stop(live);
    let bent = Bent::on(&site);
    let live = bent.bend(&site.house.place).serve();
    let mut steps = 0;
    for step in 1..=8 {
        bent.set(&format!("+{step}"));
        steps = step;
        if site.ask(&Wish::new(step)).is_err() {
            break;
        }
    }
    assert!((5..=6).contains(&steps), "{steps} steps of a second");
    is_refused(&site, &Wish::new(100));
    stop(live);
    site.is_whole();
}

/// To the process a suspend is a hole in time, which both clocks count.
#[test]
fn a_server_that_slept_mints_on() {
    let (site, mut live) = Site::new();
    site.ask(&Wish::new(1)).unwrap();
    let server = live.pid();
    kill_process(server, Signal::STOP).unwrap();
    live.run_for(Duration::from_secs(6));
    kill_process(server, Signal::CONT).unwrap();
    site.ask(&Wish::new(2)).unwrap();
    stop(live);
    site.is_whole();
}

/// What a crash left is not judged by a clock that stands before it.
#[test]
fn a_start_before_the_last_event_leaves_leftovers_alone() {
    let (site, live) = Site::new();
    stop(live);
    let point = format!("{}=1*return(abort)", Point::WalkRecorded.name());
    let live = site.with("FAILPOINTS", &point).serve();
    site.ask(&Wish::new(1)).unwrap_err();
    live.ended();
    assert_eq!(site.count(UNFINISHED), 1);

    let bent = Bent::on(&site);
    bent.set("-20");
    let live = bent.bend(&site.house.place).serve();
    is_refused(&site, &Wish::new(2));
    site.until_unready(Some("before the last event"));
    assert_eq!(site.count(UNFINISHED), 1, "signed by a clock in doubt");
    bent.set("+0");
    accept(&site);
    for _ in 0..160 {
        if site.count(UNFINISHED) == 0 {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(250));
    }
    assert_eq!(
        site.count(UNFINISHED),
        0,
        "finished once the clock is trusted"
    );
    stop(live);
    site.is_whole();
}

#[track_caller]
fn is_refused(site: &Site, wish: &Wish) {
    let refused = site.ask(wish).unwrap_err();
    assert_eq!(
        refused.problem(),
        Some(ProblemKind::ClockInDoubt),
        "{refused:?}"
    );
}

fn accept(site: &Site) {
    site.operate(async |operator| operator.accept_clock("a drill").await)
        .unwrap();
}

impl Bent {
    fn on(site: &Site) -> Self {
        let bent = Self(site.directory.path().join("faketime"));
        bent.set("+0");
        bent
    }

    fn set(&self, offset: &str) {
        // Whole: the library reads it at any moment.
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{offset}\n")).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    fn bend(&self, place: &Place) -> Place {
        let mut place = place.clone();
        let file = self.0.to_str().unwrap().to_owned();
        for (name, value) in [
            ("LD_PRELOAD", library()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ] {
            place.environment.push((name, value));
        }
        place
    }
}

/// Where Debian puts it, for this machine's kind.
fn library() -> String {
    let kinds = fs::read_dir("/usr/lib").unwrap();
    let paths = kinds.map(|kind| kind.unwrap().path().join("faketime/libfaketime.so.1"));
    let found = paths.into_iter().find(|path| path.is_file());
    let found = found.expect("libfaketime is not installed: run `tests/run tools` once");
    found.to_str().unwrap().to_owned()
}

const UNFINISHED: &str = "SELECT count(*) FROM unfinished";

//! Servers that stop between any two steps of a walk: by an error, by a panic, or dead at once.
//!
//! What a caller got is told by the answer, what became of it by the same request made again with
//! the same idempotency key, and by the books.

use std::os::unix::process::ExitStatusExt as _;

use protem::failpoint::Point;
use protem::wire::problem::ProblemKind;
use protem::wire::svid::SvidView;

use crate::cli::{protem_with, stderr};
use crate::crash::house::is_lost;
use crate::crash::{number, stop};
use crate::faults::site::{INTENTS, Site, Wish};
use crate::live::{Live, Place};

/// What is there after a stop at a point of an issuance.
struct Row {
    point: Point,
    /// Whether the request that was stopped is recorded.
    recorded: bool,
}

#[test]
fn every_point_has_its_table() {
    let walk = WALK.iter().map(|row| row.point);
    let mut tried: Vec<_> = walk
        .chain(STORE)
        .chain(ROTATION)
        .chain([Point::Drafted])
        .collect();
    let mut all = Point::ALL.to_vec();
    for points in [&mut tried, &mut all] {
        points.sort_by_key(|point| point.name());
    }
    assert_eq!(tried, all);
}

/// The server dies at the point; the next start makes up for it, and the same request gets one
/// certificate, the recorded one where there was one.
#[test]
fn a_server_that_dies_in_an_issuance_leaves_nothing_half_done() {
    let (site, mut live) = Site::new();
    for (row, once) in WALK.iter().zip(100..) {
        stop(live);
        live = site
            .with(FAILPOINTS, &armed(row.point, "return(abort)"))
            .serve();
        let wish = wish_for(row, &site, once);
        let before = site.count(INTENTS);
        let lost = site.ask(&wish).unwrap_err();
        assert!(is_lost(&lost), "{:?}: {lost:?}", row.point);
        died(live);
        assert_eq!(
            site.count(INTENTS) - before,
            i64::from(row.recorded),
            "{:?}",
            row.point
        );
        live = site.house.place.serve();
        let again = site.ask(&wish).unwrap();
        assert_eq!(
            site.count(INTENTS) - before,
            1,
            "{:?}: one intent",
            row.point
        );
        assert_eq!(again.fingerprint, site.ask(&wish).unwrap().fingerprint);
    }
    stop(live);
    site.is_whole();
    eprintln!("{} points of an issuance, dead at each", WALK.len());
}

/// The server lives on; what was recorded and not answered is finished while it serves.
#[test]
fn a_step_that_fails_in_an_issuance_is_made_up_for_while_serving() {
    let (site, live) = Site::new();
    stop(live);
    // Of each point the first visitor meets an error, the second one a panic.
    let ways = WALK
        .iter()
        .map(|row| format!("{}=1*return->1*panic", row.point.name()));
    let ways = ways.collect::<Vec<_>>().join(";");
    let live = site.with(FAILPOINTS, &ways).serve();
    let before = site.count(INTENTS);
    let wishes = [
        site.wish_by_token(200),
        site.wish_by_token(201),
        Wish::new(202),
        Wish::new(203),
    ];
    for wish in &wishes {
        eprintln!("{}", told(&site.ask(wish)));
    }
    for wish in &wishes {
        let view = until_answered(&site, wish);
        assert_eq!(view.fingerprint, site.ask(wish).unwrap().fingerprint);
    }
    assert_eq!(site.count(INTENTS) - before, 4, "one intent each");
    let said = stop(live).join("\n");
    assert!(said.contains("intents were left over"), "{said}");
    for row in WALK {
        let name = row.point.name();
        let stopped = match row.point {
            // Amid an act: the whole group goes, and hears so.
            Point::TokenSpent => "an act failed half way".to_owned(),
            _ => format!("stopped at the point `{name}`"),
        };
        assert!(said.contains(&stopped), "{name}: {said}");
        assert!(
            said.contains(&format!("failpoint {name} panic")),
            "{name}: {said}"
        );
    }
    site.is_whole();
    eprintln!(
        "{} points of an issuance, an error and a panic at each",
        WALK.len()
    );
}

/// A walk that is slower than what a round takes for left over is overtaken, and what it signed
/// itself is handed to nobody.
#[test]
fn a_walk_that_is_overtaken_hands_nothing_out() {
    let (site, live) = Site::new();
    stop(live);
    let slow = format!("{}=1*sleep({SLOW_MS})", Point::WalkSigned.name());
    let live = site.with(FAILPOINTS, &slow).serve();
    let wish = Wish::new(300);
    let before = site.count(INTENTS);
    let overtaken = site.ask(&wish).unwrap_err();
    assert_eq!(
        overtaken.problem(),
        Some(ProblemKind::Conflict),
        "{overtaken:?}"
    );
    let view = until_answered(&site, &wish);
    assert_eq!(view.fingerprint, site.ask(&wish).unwrap().fingerprint);
    assert_eq!(site.count(INTENTS) - before, 1);
    let said = stop(live).join("\n");
    assert!(said.contains("intents were left over"), "{said}");
    site.is_whole();
}

/// The writing thread stops around a commit, wherever the commit stands in the server's life.
#[test]
fn a_commit_that_fails_on_either_side_loses_nothing() {
    let whole = number("PROTEM_SOAK_SWEEP").is_some();
    let (site, live) = Site::new();
    stop(live);
    let mut tried = 0;
    for point in STORE {
        for (way, sample) in [
            ("return(abort)", &[0, 2, 4, 6][..]),
            ("return", &[1, 5]),
            ("panic", &[5]),
        ] {
            let all: Vec<_> = (0..12).collect();
            for &nth in if whole { &all[..] } else { sample } {
                let words = format!("{}={nth}*off->1*{way}", point.name());
                let place = site.with(FAILPOINTS, &words);
                tried += 1;
                let wish = Wish::new(1_000 + tried);
                let mut live = place.start();
                if live.serves() {
                    let _ = site.ask(&wish);
                    live.kill();
                }
                let live = site.house.place.serve();
                let view = site
                    .ask(&wish)
                    .unwrap_or_else(|error| panic!("{words}: {error:?}"));
                assert_eq!(view.fingerprint, site.ask(&wish).unwrap().fingerprint);
                site.renew(1_000 + tried);
                stop(live);
                site.is_whole();
            }
        }
    }
    eprintln!("{tried} commits failed on either side");
}

/// A renewal that is stopped anywhere is done by the next start; no key is left without its
/// certificate.
#[test]
fn a_renewal_that_stops_is_made_up_for() {
    for point in ROTATION {
        for way in ["return(abort)", "return"] {
            let directory = tempfile::tempdir().unwrap();
            let place = Place::new(&directory.path().join("data"));
            let mut broken = place.clone();
            broken.environment.push((FAILPOINTS, armed(point, way)));
            let (status, said) = broken.start().ended();
            assert!(!status.success(), "{point:?} {way}: {said:#?}");
            stop(place.serve());
            let said = stop(place.serve());
            assert!(
                !said.iter().any(|line| line.contains("a crash left")),
                "{said:#?}"
            );
            let files = std::fs::read_dir(place.directory.join("ca"))
                .unwrap()
                .count();
            assert!(
                files >= 8 && files.is_multiple_of(2),
                "{point:?} {way}: {files} files"
            );
        }
    }
    eprintln!("{} points of a renewal, two ways", ROTATION.len());
}

/// A copy that is stopped has no name, and the next one is whole.
#[test]
fn a_copy_that_stops_is_no_copy() {
    let (site, live) = Site::new();
    let to = site.directory.path().join("copy.db");
    let data = site.house.place.directory.to_str().unwrap();
    let words = ["--dir", data, "backup", to.to_str().unwrap()];
    for way in ["return(abort)", "return"] {
        let points = armed(Point::Drafted, way);
        let output = protem_with(site.directory.path(), &words, &[(FAILPOINTS, &points)]);
        assert!(!output.status.success(), "{way}");
        assert!(!to.exists(), "{way}: half a copy has the name");
    }
    let output = protem_with(site.directory.path(), &words, &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    stop(live);
    site.is_whole();

    let directory = tempfile::tempdir().unwrap();
    let place = Place::new(&directory.path().join("data"));
    let mut broken = place.clone();
    broken
        .environment
        .push((FAILPOINTS, armed(Point::Drafted, "return(abort)")));
    died(broken.start());
    stop(place.serve());
}

fn wish_for(row: &Row, site: &Site, once: u64) -> Wish {
    if row.point == Point::TokenSpent {
        site.wish_by_token(once)
    } else {
        Wish::new(once)
    }
}

/// The process ended itself at the point.
#[track_caller]
fn died(live: Live) {
    let (status, said) = live.ended();
    assert_eq!(status.signal(), Some(ABORTED), "{said:#?}");
}

/// Asks again until what was left over is finished.
fn until_answered(site: &Site, wish: &Wish) -> SvidView {
    for _ in 0..ASKED_MAX {
        match site.ask(wish) {
            Ok(view) => return view,
            Err(error) => {
                let kind = error.problem();
                let expected = [Some(ProblemKind::Conflict), Some(ProblemKind::Unavailable)];
                assert!(is_lost(&error) || expected.contains(&kind), "{error:?}");
            }
        }
        std::thread::park_timeout(std::time::Duration::from_millis(250));
    }
    panic!("never finished");
}

fn told(answer: &Result<SvidView, protem::client::ClientError>) -> String {
    match answer {
        Ok(_) => "a certificate".to_owned(),
        Err(error) => format!("{:?}", error.problem()),
    }
}

fn armed(point: Point, way: &str) -> String {
    format!("{}=1*{way}", point.name())
}

/// In the order of the walk.
const WALK: [Row; 5] = [
    row(Point::WalkPlanned, false),
    row(Point::TokenSpent, false),
    row(Point::WalkRecorded, true),
    row(Point::WalkSigned, true),
    row(Point::WalkConcluded, true),
];
const STORE: [Point; 2] = [Point::StoreActed, Point::StoreCommitted];
const ROTATION: [Point; 3] = [
    Point::RotationKeyWritten,
    Point::RotationRecorded,
    Point::RotationWritten,
];
const FAILPOINTS: &str = "FAILPOINTS";
const ABORTED: i32 = 6;
const ASKED_MAX: u32 = 200;
/// Longer than an intent may be open and not be left over, and the pause of two rounds.
const SLOW_MS: u32 = 21_000;

const fn row(point: Point, recorded: bool) -> Row {
    Row { point, recorded }
}

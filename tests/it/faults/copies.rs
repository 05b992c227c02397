//! Stores that are not what the server wrote: damaged, foreign, newer, older.

use std::fs;
use std::path::Path;

use protem::wire::problem::ProblemKind;
use rusqlite::Connection;

use crate::crash::stop;
use crate::faults::site::{Site, Wish};

/// A way to harm a store's file, and what the start says to it.
type Harm = (&'static str, fn(&Path), &'static str);

#[test]
fn a_harmed_store_is_refused_with_words() {
    let (site, live) = Site::new();
    for once in 1..40 {
        site.ask(&Wish::new(once)).unwrap();
    }
    stop(live);
    let store = site.house.place.directory.join("protem.db");
    let whole = fs::read(&store).unwrap();
    for (harm, act, words) in HARMS {
        act(&store);
        let (status, said) = site.house.place.start().ended();
        assert_eq!(status.code(), Some(1), "{harm}: {said:#?}");
        assert!(said.join("\n").contains(words), "{harm}: {said:#?}");
        for end in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{end}", store.display()));
        }
        fs::write(&store, &whole).unwrap();
    }
    stop(site.house.place.serve());
    site.is_whole();
    eprintln!("{} ways to harm a store, each refused", HARMS.len());
}

#[test]
fn an_older_copy_mints_nothing_until_an_operator_says_so() {
    let (site, live) = Site::new();
    stop(live);
    let store = site.house.place.directory.join("protem.db");
    let copy = fs::read(&store).unwrap();
    let live = site.house.place.serve();
    site.ask(&Wish::new(1)).unwrap();
    stop(live);
    fs::write(&store, copy).unwrap();
    is_stopped_until_released(&site);
}

/// The tail of the log is gone: to the database that is only an older moment.
#[test]
fn a_log_that_lost_its_tail_mints_nothing_until_an_operator_says_so() {
    for keep in [0, 4_000] {
        let (site, live) = Site::new();
        stop(live);
        site.house.place.serve().kill();
        let log = site.house.place.directory.join("protem.db-wal");
        let file = fs::OpenOptions::new().write(true).open(log).unwrap();
        assert!(keep < file.metadata().unwrap().len());
        file.set_len(keep).unwrap();
        is_stopped_until_released(&site);
    }
}

#[track_caller]
fn is_stopped_until_released(site: &Site) {
    let live = site.house.place.serve();
    let refused = site.ask(&Wish::new(1_000)).unwrap_err();
    assert_eq!(
        refused.problem(),
        Some(ProblemKind::MintingStopped),
        "{refused:?}"
    );
    // A restart changes nothing.
    stop(live);
    let live = site.house.place.serve();
    let refused = site.ask(&Wish::new(1_000)).unwrap_err();
    assert_eq!(
        refused.problem(),
        Some(ProblemKind::MintingStopped),
        "{refused:?}"
    );
    site.operate(async |operator| operator.release_minting("restored on purpose").await)
        .unwrap();
    let view = site.ask(&Wish::new(1_001)).unwrap();
    let said = stop(live);
    assert!(!said.is_empty());
    let stopped = "SELECT count(*) FROM events WHERE kind = 'minting.stopped' \
        AND bytes LIKE '%an older copy%'";
    assert_eq!(site.count(stopped), 1);
    let issued = format!(
        "SELECT count(*) FROM events WHERE kind = 'svid.issued' AND fingerprint = '{}'",
        view.fingerprint
    );
    assert_eq!(site.count(&issued), 1);
}

fn change(store: &Path, sql: &str) {
    Connection::open(store).unwrap().execute_batch(sql).unwrap();
}

const HARMS: &[Harm] = &[
    (
        "empty",
        |store| fs::write(store, []).unwrap(),
        "not a store of protem",
    ),
    (
        "text",
        |store| fs::write(store, "hello").unwrap(),
        "damaged",
    ),
    (
        "half",
        |store| {
            let bytes = fs::read(store).unwrap();
            fs::write(store, &bytes[..bytes.len() / 2 / 4_096 * 4_096]).unwrap();
        },
        "damaged",
    ),
    (
        "a page of noise",
        |store| {
            let mut bytes = fs::read(store).unwrap();
            let at = bytes.len() / 2 / 4_096 * 4_096;
            bytes[at..at + 4_096].fill(0xa5);
            fs::write(store, bytes).unwrap();
        },
        "damaged",
    ),
    (
        "foreign",
        |store| change(store, "PRAGMA application_id = 7"),
        "not a store of protem",
    ),
    (
        "newer",
        |store| change(store, "PRAGMA user_version = 99"),
        "start the protem that wrote it, or a newer one",
    ),
];

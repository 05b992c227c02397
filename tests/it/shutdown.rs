//! The end of a real process: SIGTERM, and what the next start finds; two servers in one place;
//! a first start that is killed anywhere.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tempfile::tempdir;

use super::cli::{protem, stderr, stdout};
use super::live::Place;

#[test]
fn sigterm_ends_it_with_code_0_and_nothing_half_written() {
    let directory = tempdir().unwrap();
    let place = Place::new(directory.path());
    let (status, said) = place.serve().terminate();
    assert_eq!(status.code(), Some(0), "{said:#?}");

    let left = names(directory.path());
    let expected = [
        "bundle.pem",
        "ca",
        "ledger.head",
        "operator.token",
        "protem.db",
        "protem.db.lock",
        "server.url",
    ];
    assert_eq!(left, expected, "no log of the store, no draft of a file");
    assert_eq!(unfinished(directory.path()), 0);

    let (status, said) = place.serve().terminate();
    assert_eq!(status.code(), Some(0), "{said:#?}");
    assert!(
        !said.iter().any(|line| line.contains("a crash left")),
        "{said:#?}"
    );
    assert_eq!(names(directory.path()), expected);
}

#[test]
fn a_second_server_in_the_same_place_is_refused() {
    let directory = tempdir().unwrap();
    let place = Place::new(directory.path());
    let mut first = place.serve();
    let second = Place::new(directory.path());
    let (status, said) = second.start().ended();
    assert_eq!(status.code(), Some(1), "{said:#?}");
    assert!(
        said.join("\n").contains("another server is using"),
        "{said:#?}"
    );
    // The first one goes on.
    first.run_for(Duration::ZERO);
    let listed = ask(directory.path(), &["audit", "list"]);
    assert!(listed.contains("operator.created"), "{listed}");
    assert_eq!(first.terminate().0.code(), Some(0));
}

/// Wherever a first start is cut, the next one makes up for it, and the operator can work.
#[test]
fn a_first_start_that_is_killed_is_made_up_for() {
    for pause in (0..600).step_by(40) {
        let directory = tempdir().unwrap();
        let place = Place::new(directory.path());
        let mut live = place.start();
        live.run_for(Duration::from_millis(pause));
        live.kill();
        let live = place.serve();
        let listed = ask(directory.path(), &["audit", "list"]);
        assert!(listed.contains("operator.created"), "{pause} ms: {listed}");
        assert_eq!(live.terminate().0.code(), Some(0));
        assert_eq!(unfinished(directory.path()), 0, "{pause} ms");
    }
}

fn ask(directory: &Path, words: &[&str]) -> String {
    let directory_word = directory.to_str().unwrap();
    let output = protem(directory, &[&["--dir", directory_word], words].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output)
}

/// Intents without outcome in the file of a server that has ended.
fn unfinished(directory: &Path) -> i64 {
    let store = Connection::open(directory.join("protem.db")).unwrap();
    let count = "SELECT count(*) FROM unfinished";
    store.query_row(count, [], |row| row.get(0)).unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let files = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

//! What was tried against it: every row of the groups C, S, T, M, H, D, K and G of the threat list.
//!
//! One server runs; every attack is made on it, and its answer stands in `tests/golden/abuse.md`
//! beside the expected one. Rows that need another stage name the test that performs them. After
//! the last attack the server is whole: no panic, ready, a ledger without gap, every intent with an
//! outcome, and as many certificates as were answered.
//! `PROTEM_WRITE_GOLDEN=1 cargo test --test it abuse::` writes the table anew; read the difference.

mod answers;
mod bodies;
mod described;
mod floods;
mod forge;
mod heads;
mod mutants;
mod names;
mod places;
mod proofs;
mod requests;
pub(crate) mod stage;
mod targets;
mod transport;
mod vectors;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use rusqlite::Connection;

use crate::abuse::stage::{Stage, said};
use crate::tools::repository;

/// One attack and what it came to.
pub(crate) struct Row {
    id: &'static str,
    attack: String,
    /// The beginning of what is observed.
    expected: String,
    seen: Seen,
}

enum Seen {
    /// What the running server answered.
    Live(String),
    /// The tests that perform it; none where they are made elsewhere.
    Shown(&'static [&'static str]),
}

pub(crate) fn live(id: &'static str, attack: &str, expected: &str, observed: String) -> Row {
    Row {
        id,
        attack: attack.to_owned(),
        expected: expected.to_owned(),
        seen: Seen::Live(observed),
    }
}

pub(crate) fn shown(
    id: &'static str,
    attack: &str,
    expected: &str,
    tests: &'static [&'static str],
) -> Row {
    Row {
        id,
        attack: attack.to_owned(),
        expected: expected.to_owned(),
        seen: Seen::Shown(tests),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attack_gets_the_answer_of_the_table() {
    let stage = Stage::open().await;
    let mut rows = requests::rows(&stage).await;
    rows.extend(names::spiffe_id_rows(&stage).await);
    rows.extend(names::scope_rows(&stage).await);
    rows.extend(names::token_rows(&stage).await);
    rows.extend(transport::rows(&stage).await);
    rows.extend(heads::rows(&stage).await);
    rows.extend(targets::rows(&stage).await);
    rows.extend(bodies::rows(&stage).await);
    rows.extend(answers::rows(&stage).await);
    rows.extend(floods::rows(&stage).await);
    rows.extend(places::rows(&stage).await);
    let wrong: Vec<String> = rows.iter().filter_map(Row::departure).collect();
    assert!(
        wrong.is_empty(),
        "{} of {}\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
    whole(stage).await;
    rows.extend(proofs::rows());
    compare(GOLDEN, &table(rows));
}

#[test]
fn every_row_of_the_threat_list_is_in_the_table() {
    let golden = fs::read_to_string(repository(GOLDEN)).unwrap();
    for (group, last) in [
        ("C", 22),
        ("S", 18),
        ("T", 15),
        ("M", 16),
        ("H", 18),
        ("D", 16),
        ("K", 11),
        ("G", 18),
    ] {
        for number in 1..=last {
            let row = format!("\n| {group}{number} | ");
            assert!(golden.contains(&row), "no row {group}{number}");
        }
    }
}

#[test]
fn every_proof_exists() {
    let mut code = String::new();
    let mut open = vec![repository("src"), repository("tests/it")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                code.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    for row in proofs::rows() {
        let Seen::Shown(tests) = row.seen else {
            continue;
        };
        for test in tests {
            let name = test.rsplit("::").next().unwrap();
            assert!(
                code.contains(&format!("fn {name}(")),
                "{}: no test `{test}`",
                row.id
            );
        }
    }
}

impl Row {
    /// How the answer differs from the expected one.
    fn departure(&self) -> Option<String> {
        let Self {
            id,
            attack,
            expected,
            ..
        } = self;
        match &self.seen {
            Seen::Live(observed) if !observed.starts_with(expected.as_str()) => Some(format!(
                "{id} {attack}: expected `{expected}`, got `{observed}`"
            )),
            Seen::Live(_) | Seen::Shown(_) => None,
        }
    }

    fn line(&self) -> String {
        let observed = match &self.seen {
            Seen::Live(observed) => observed.clone(),
            Seen::Shown([]) => "-".to_owned(),
            Seen::Shown(tests) => {
                let tests: Vec<_> = tests.iter().map(|test| format!("`{test}`")).collect();
                tests.join(", ")
            }
        };
        format!(
            "| {} | {} | {} | {observed} |",
            self.id, self.attack, self.expected
        )
    }
}

/// The server after all of it.
pub(crate) async fn whole(stage: Stage) {
    assert_eq!(said(stage.observe("/readyz").await), "200");
    let minted = i64::try_from(stage.minted()).unwrap();
    let (directory, log) = stage.end();
    for line in &log {
        // That somebody used the kill switch is loud by intent.
        let error = line.contains("\"ERROR\"") && !line.contains("\"minting is stopped\"");
        assert!(!line.contains("panicked") && !error, "{line}");
    }
    let store = Connection::open(directory.path().join("data/protem.db")).unwrap();
    let count =
        |question: &str| -> i64 { store.query_row(question, [], |row| row.get(0)).unwrap() };
    let events = count("SELECT count(*) FROM events");
    assert_eq!(
        count("SELECT max(number) FROM events"),
        events,
        "the ledger has a gap"
    );
    assert_eq!(
        count("SELECT count(*) FROM unfinished"),
        0,
        "an intent without outcome"
    );
    let of = |kind: &str| {
        count(&format!(
            "SELECT count(*) FROM events WHERE kind = '{kind}'"
        ))
    };
    assert_eq!(of("svid.issued"), minted, "minted is what was answered");
    assert_eq!(of("svid.intent"), minted);
    assert_eq!(of("svid.failed"), 0);
}

fn table(rows: Vec<Row>) -> String {
    let mut groups: BTreeMap<usize, BTreeMap<u32, Vec<String>>> = BTreeMap::new();
    let (mut live, mut named) = (0, 0);
    for row in rows {
        let (letter, number) = row.id.split_at(1);
        let group = GROUPS
            .iter()
            .position(|(group, _)| *group == letter)
            .unwrap();
        let lines = groups
            .entry(group)
            .or_default()
            .entry(number.parse().unwrap())
            .or_default();
        lines.push(row.line());
        match row.seen {
            Seen::Live(_) => live += 1,
            Seen::Shown(_) => named += 1,
        }
    }
    let mut text = format!(
        "# What was tried against it\n\n\
         Written by `PROTEM_WRITE_GOLDEN=1 cargo test --test it abuse::`, compared by every run.\n\
         {live} attacks on one running server with its answers, {named} that name their test.\n\
         Observed begins with what is expected; `elsewhere` says which part of the house owes it.\n"
    );
    for (group, rows) in groups {
        let (letter, about) = GROUPS[group];
        writeln!(
            text,
            "\n## {letter}: {about}\n\n| Row | Attack | Expected | Observed |"
        )
        .unwrap();
        writeln!(text, "|---|---|---|---|").unwrap();
        for line in rows.into_values().flatten() {
            writeln!(text, "{line}").unwrap();
        }
    }
    text
}

/// Compares what was observed with what is committed in this file.
pub(crate) fn compare(file: &str, table: &str) {
    let path = repository(file);
    if std::env::var_os("PROTEM_WRITE_GOLDEN").is_some() {
        fs::write(&path, table).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = table
        .lines()
        .zip(committed.lines())
        .find(|(is, was)| is != was);
    assert!(
        committed == table,
        "{file} is not what was observed: {differs:?}\n\
         `PROTEM_WRITE_GOLDEN=1 cargo test --test it abuse::` and read the difference"
    );
}

const GOLDEN: &str = "tests/golden/abuse.md";
const GROUPS: [(&str, &str); 8] = [
    ("C", "certificate requests and keys"),
    ("S", "SPIFFE IDs and scopes"),
    ("T", "tokens"),
    ("M", "mutual TLS and who is connected"),
    ("H", "HTTP"),
    ("D", "the store"),
    ("K", "keys and the clock"),
    ("G", "the agent and its sockets"),
];

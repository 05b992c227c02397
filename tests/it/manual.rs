//! The manual keeps step with the code: what it names exists, what exists is explained.
//!
//! Dependencies: each has one row in `src/manual/decisions/libraries.rs` with a sentence and its
//! cost, and no row is left over. Tests and constants that the manual names are found in the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn every_dependency_has_its_sentence() {
    let explained = rows(&read("src/manual/decisions/libraries.rs"));
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let named = |section: &str| -> BTreeSet<String> {
        let table = manifest[section].as_table().unwrap();
        table.keys().cloned().collect()
    };
    for (section, part) in [("dependencies", 0), ("dev-dependencies", 1)] {
        let (wanted, told) = (named(section), &explained[part]);
        let told_names: BTreeSet<String> = told.keys().cloned().collect();
        let missing: Vec<_> = wanted.difference(&told_names).collect();
        let left_over: Vec<_> = told_names.difference(&wanted).collect();
        assert!(
            missing.is_empty() && left_over.is_empty(),
            "src/manual/decisions/libraries.rs: no row for {missing:?} of `{section}`, and \
             {left_over:?} are no longer in it",
        );
        for (library, cells) in told {
            let [sentence, brings, alone] = cells.as_slice() else {
                panic!("`{library}` needs a sentence and two numbers, not {cells:?}");
            };
            assert!(
                sentence.len() >= SENTENCE_BYTES_MIN,
                "`{library}`: {sentence}"
            );
            assert!(
                brings.parse::<u32>().unwrap() >= 1,
                "`{library}` brings itself"
            );
            assert!(
                alone.parse::<u32>().unwrap() <= brings.parse().unwrap(),
                "{library}"
            );
        }
    }
}

#[test]
fn what_the_manual_names_exists() {
    let mut code = String::new();
    for file in rust_files(&["src", "tests/it"]) {
        if !file.starts_with("src/manual") && !file.ends_with("tests/it/manual.rs") {
            code.push_str(&fs::read_to_string(file).unwrap());
        }
    }
    code.push_str(&read("tests/envoy/drive.py"));
    let words: BTreeSet<&str> = code.split(|c: char| !is_word(c)).collect();
    let mut unknown = Vec::new();
    for file in rust_files(&["src/manual"]) {
        let text = fs::read_to_string(&file).unwrap();
        for name in text.split('`').skip(1).step_by(2).filter_map(checked_name) {
            if !words.contains(name) {
                unknown.push(format!("{}: `{name}`", file.display()));
            }
        }
    }
    assert!(
        unknown.is_empty(),
        "named in the manual and nowhere else: {unknown:#?}"
    );
}

/// The name of a test, metric or limit as the manual writes it.
fn checked_name(quoted: &str) -> Option<&str> {
    let name = quoted.rsplit("::").next()?;
    let name = name.strip_prefix(METRIC_PREFIX).unwrap_or(name);
    let words = name.split('_').count();
    let test = words >= 3 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let limit = words >= 2 && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    (test || limit).then_some(name)
}

/// The rows of the tables of libraries: name to the cells after it, one table after the other.
fn rows(text: &str) -> Vec<BTreeMap<String, Vec<String>>> {
    let mut tables: Vec<BTreeMap<String, Vec<String>>> = Vec::new();
    for line in text.lines() {
        let Some(row) = line.strip_prefix("//! | ") else {
            continue;
        };
        let cells: Vec<&str> = row
            .trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        match cells.as_slice() {
            ["Crate", ..] => tables.push(BTreeMap::new()),
            [name, rest @ ..] => {
                let rest = rest.iter().map(|cell| (*cell).to_owned()).collect();
                let table = tables.last_mut().unwrap();
                let twice = table.insert(name.trim_matches('`').to_owned(), rest);
                assert!(twice.is_none(), "{name} has two rows");
            }
            [] => {}
        }
    }
    tables
}

fn rust_files(folders: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    found
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// What the registry of metrics puts before each name.
const METRIC_PREFIX: &str = "protem_";
/// A sentence says more than a word.
const SENTENCE_BYTES_MIN: usize = 20;

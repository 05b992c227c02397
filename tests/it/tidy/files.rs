//! What every file of the repository owes its reader: a name, a beginning, a size, an end of work.
//!
//! Each rule takes the files and answers findings; no finding means tidy. The words that are
//! forbidden are spelt in two halves here, so that this file is not its own finding.

use std::collections::BTreeSet;

use super::source::{Source, words};

/// Rust files that do not open with a module doc.
pub(crate) fn undocumented(sources: &[Source]) -> Vec<String> {
    rust(sources)
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| {
            source.finding(
                0,
                "open with a `//!` doc: what it is for, what it promises, what it refuses",
            )
        })
        .collect()
}

/// Rust files whose name tells the language, or nothing at all.
pub(crate) fn misnamed(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in rust(sources) {
        let name = source
            .path
            .rsplit('/')
            .next()
            .unwrap_or(&source.path)
            .trim_end_matches(".rs");
        if name == "mod" {
            findings
                .push(source.finding(0, "write `name.rs` beside `name/`: tabs keep their names"));
        }
        for part in source.path.trim_end_matches(".rs").split(['/', '_']) {
            if VAGUE.contains(&part.trim_end_matches('s')) {
                let words = format!("`{part}` says nothing: name the duty");
                findings.push(source.finding(0, &words));
            }
        }
    }
    findings
}

/// Files and lines that are too long to be read.
pub(crate) fn oversized(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources.iter().filter(|source| source.is_written_code()) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            let words =
                format!("{lines} lines, at most {FILE_LINES_MAX}: give a part its own file");
            findings.push(source.finding(0, &words));
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX && !line.contains("://") {
                let path = &source.path;
                findings.push(format!(
                    "{path}:{number}: {columns} columns, at most {LINE_COLUMNS_MAX}"
                ));
            }
        }
    }
    findings
}

/// Marks of work that is not finished; cargo's own files name lints and crates, not work.
pub(crate) fn unfinished(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources
        .iter()
        .filter(|source| !source.path.starts_with("Cargo."))
    {
        let text = source.text.to_ascii_lowercase();
        for mark in MARKS {
            let words_of_it = format!("`{mark}` is a leftover: do it, or open an issue");
            findings.extend(words(&text, mark).map(|at| source.finding(at, &words_of_it)));
        }
    }
    findings
}

/// Places of one machine, and hosts that only a lock file may know.
pub(crate) fn local(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for place in HOMES {
            let homes = source
                .text
                .match_indices(place)
                .map(|(at, _)| at)
                .filter(|&at| {
                    // `demo/home/x` and `spiffe://td/work/x` go on; a path from the root begins.
                    !source.text[..at].ends_with(|before: char| {
                        before.is_alphanumeric() || "._-}".contains(before)
                    })
                });
            let words =
                format!("`{place}` exists on one machine only: write a path from the repository");
            findings.extend(homes.map(|at| source.finding(at, &words)));
        }
        for host in HOSTS {
            let named = words(&source.text, host);
            let words =
                format!("`{host}` is for the client of the registry to know: name the package");
            findings.extend(named.map(|at| source.finding(at, &words)));
        }
    }
    findings
}

/// What stands at the top of the repository and should not, or should and does not.
pub(crate) fn top_level(sources: &[Source]) -> Vec<String> {
    let found: BTreeSet<&str> = sources
        .iter()
        .filter_map(|source| source.path.split('/').next())
        .filter(|name| !name.starts_with('.'))
        .collect();
    let wanted: BTreeSet<&str> = TOP.into_iter().collect();
    let strange = found.difference(&wanted).map(|name| {
        format!(
            "{name}:1: the top level is fixed: find it a place below {}",
            TOP.join(" ")
        )
    });
    let missing = wanted
        .difference(&found)
        .map(|name| format!("{name}:1: missing at the top level"));
    strange.chain(missing).collect()
}

fn rust(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.is_rust())
}

const FILE_LINES_MAX: usize = 500;
const LINE_COLUMNS_MAX: usize = 100;

const TOP: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "deploy",
    "pki",
    "policy",
    "src",
    "tests",
];

const VAGUE: [&str; 4] = ["common", "helper", "manager", "util"];

const MARKS: [&str; 5] = [
    concat!("to", "do"),
    concat!("fix", "me"),
    concat!("xx", "x"),
    concat!("ha", "ck"),
    concat!("db", "g!"),
];

const HOMES: [&str; 4] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
];

const HOSTS: [&str; 6] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("py", "pi.org"),
    concat!("python", "hosted.org"),
    concat!("proxy.", "golang.org"),
    concat!("registry.", "npmjs.org"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn one(findings: &[String], start: &str, words: &str) {
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert!(
            findings[0].starts_with(start) && findings[0].contains(words),
            "{findings:?}"
        );
    }

    fn only(path: &str, text: &str) -> [Source; 1] {
        [Source::new(path, text)]
    }

    #[test]
    fn a_file_opens_with_its_doc() {
        one(
            &undocumented(&only("src/a.rs", "use b;\n//! late")),
            "src/a.rs:1:",
            "open with",
        );
        assert_eq!(
            undocumented(&only("src/a.rs", "//! What it is for.")),
            [""; 0]
        );
        assert_eq!(undocumented(&only("tests/run", "#!/bin/sh")), [""; 0]);
    }

    #[test]
    fn a_name_names_the_duty() {
        one(
            &misnamed(&only("src/a/mod.rs", "")),
            "src/a/mod.rs:1:",
            "beside",
        );
        one(
            &misnamed(&only("src/string_utils.rs", "")),
            "src/string_utils.rs:1:",
            "`utils`",
        );
        one(
            &misnamed(&only("tests/common/a.rs", "")),
            "tests/common/a.rs:1:",
            "`common`",
        );
        assert_eq!(misnamed(&only("src/model/utility.rs", "")), [""; 0]);
    }

    #[test]
    fn a_file_can_be_read() {
        one(
            &oversized(&only("src/a.rs", &"\n".repeat(501))),
            "src/a.rs:1:",
            "501 lines",
        );
        one(
            &oversized(&only("tests/a.py", &"é".repeat(101))),
            "tests/a.py:1:",
            "101 columns",
        );
        one(
            &oversized(&only("tests/run", &format!("#!/b\n{}", "a".repeat(101)))),
            "tests/run:2:",
            "101",
        );
        let address = format!("// https://{}", "a".repeat(100));
        assert_eq!(oversized(&only("src/a.rs", &address)), [""; 0]);
        assert_eq!(oversized(&only("src/a.rs", &"é\n".repeat(500))), [""; 0]);
        assert_eq!(oversized(&only("README.md", &"a".repeat(101))), [""; 0]);
    }

    #[test]
    fn no_work_is_left_over() {
        for mark in MARKS {
            let text = format!("a\n// {}: later", mark.to_uppercase());
            one(
                &unfinished(&only("src/a.rs", &text)),
                "src/a.rs:2:",
                "leftover",
            );
            assert_eq!(unfinished(&only("Cargo.lock", &text)), [""; 0]);
        }
        assert_eq!(
            unfinished(&only("src/a.rs", "hacksaw xxxx mastodon")),
            [""; 0]
        );
    }

    #[test]
    fn nothing_names_one_machine() {
        for home in HOMES {
            one(
                &local(&only("README.md", &format!("a\ncd {home}me"))),
                "README.md:2:",
                "one machine",
            );
            assert_eq!(
                local(&only("README.md", &format!("cd demo{home}me"))),
                [""; 0]
            );
        }
        for host in HOSTS {
            one(
                &local(&only("README.md", &format!("https://{host}/a"))),
                "README.md:1:",
                host,
            );
        }
    }

    #[test]
    fn the_top_level_is_fixed() {
        let files = |extra: &[&str]| {
            let fixed = [
                "Cargo.toml",
                "LICENSE",
                "README.md",
                "deploy/a",
                "pki/a",
                "policy/a",
                "src/a",
            ];
            let files = fixed
                .iter()
                .chain(&["tests/a", ".ci/run", ".gitignore"])
                .chain(extra);
            files.map(|path| Source::new(path, "")).collect::<Vec<_>>()
        };
        assert_eq!(top_level(&files(&["Cargo.lock"])), [""; 0]);
        one(
            &top_level(&files(&["Cargo.lock", "docs/a.md"])),
            "docs:1:",
            "the top level is fixed",
        );
        one(&top_level(&files(&[])), "Cargo.lock:1:", "missing");
    }
}

//! The linter of meshes before a corpus: each planted hole is found at its line and nothing else
//! is, and clean files are silent.
//!
//! A planted file is named `<rule>-<line>-<what>`. After a wanted change write the golden file and
//! the page of rules anew with `PROTEM_WRITE_FINDINGS=1 cargo test --test it mesh_lint`, and read
//! the difference.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use protem::mesh::lint::{Catalogue, Finding, Report, Text, lint, rules, sarif, told};
use serde_json::Value;

use crate::cli::{protem, stderr, stdout};
use crate::tools::repository;

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = repository("tests/vectors/mesh_lint").join(folder);
    let items = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = items.map(|item| item.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

fn text(path: &Path) -> Text {
    Text {
        name: name(path).to_owned(),
        text: fs::read_to_string(path).unwrap(),
        meant: true,
    }
}

fn alone(path: &Path) -> Report {
    lint(&[text(path)], None)
}

fn ids(report: &Report) -> Vec<(&'static str, usize)> {
    let findings = report.findings.iter();
    findings.map(|one| (one.rule.id, one.line)).collect()
}

#[test]
fn each_planted_hole_is_found_at_its_line_alone() {
    let planted = files("planted");
    assert!(60 <= planted.len(), "{} files", planted.len());
    for path in planted {
        let mut parts = name(&path).splitn(3, '-');
        let (id, line) = (parts.next().unwrap(), parts.next().unwrap());
        let found = alone(&path);
        let found = ids(&found);
        assert_eq!(found, [(id, line.parse().unwrap())], "{}", name(&path));
    }
}

#[test]
fn clean_files_are_silent() {
    let clean = files("clean");
    assert!(20 <= clean.len(), "{} files", clean.len());
    let own = ["deploy/demo/server.yaml", "deploy/demo/client.yaml"];
    let own = own.into_iter().map(repository);
    let files_of = [
        "tests/envoy/files-server.yaml",
        "tests/envoy/files-client.yaml",
    ];
    for path in clean.into_iter().chain(own).chain(files_of.map(repository)) {
        let report = alone(&path);
        assert!(report.findings.is_empty(), "{}", told(&report));
    }
}

#[test]
fn every_rule_has_its_planted_hole() {
    let planted = files("planted");
    let mut met: BTreeSet<String> = planted
        .iter()
        .map(|path| name(path).split('-').next().unwrap().to_owned())
        .collect();
    // What compares with a catalogue is under test below, directories in the room itself.
    met.extend(["PM004", "PM210", "PM211", "PM212"].map(ToOwned::to_owned));
    let missing: Vec<_> = rules().filter(|rule| !met.contains(rule.id)).collect();
    assert!(
        missing.is_empty(),
        "plant one in tests/vectors/mesh_lint: {missing:#?}"
    );
}

#[test]
fn rules_and_catalogue_are_compared() {
    let folder = repository("tests/vectors/mesh_lint/catalogue");
    let scopes = fs::read_to_string(folder.join("scopes.toml")).unwrap();
    let catalogue = Catalogue::read("scopes.toml", &scopes).unwrap();
    let report = lint(&[text(&folder.join("rules.yaml"))], Some(&catalogue));
    let found: Vec<_> = report.findings.iter().map(place).collect();
    assert_eq!(
        found,
        [
            ("rules.yaml", 8, "PM211"),
            ("rules.yaml", 9, "PM212"),
            ("scopes.toml", 7, "PM210"),
        ]
    );
}

fn place(finding: &Finding) -> (&str, usize, &str) {
    (&finding.file, finding.line, finding.rule.id)
}

#[test]
fn findings_are_as_written_down() {
    let mut page = String::new();
    for path in files("planted") {
        for finding in &alone(&path).findings {
            let Finding {
                rule,
                file,
                line,
                place,
                words,
            } = finding;
            let severity = rule.severity;
            writeln!(page, "{file}:{line} {severity} {} {words}", rule.id).unwrap();
            writeln!(page, "  at {place}").unwrap();
        }
    }
    compare("tests/golden/mesh_findings.txt", &page);
}

#[test]
fn the_page_of_rules_is_as_the_code_says() {
    let mut page = RULES_HEAD.to_owned();
    for rule in rules() {
        let (id, name, severity) = (rule.id, rule.name, rule.severity);
        writeln!(page, "\n## {id}: {name} ({severity})\n").unwrap();
        writeln!(page, "{}\n\n{}", rule.attack, rule.remedy).unwrap();
    }
    compare("deploy/mesh-rules.md", &page);
}

/// Compares a written page, or writes it.
fn compare(path: &str, page: &str) {
    let file = repository(path);
    if std::env::var_os("PROTEM_WRITE_FINDINGS").is_some() {
        fs::write(&file, page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(written == page, "{path} should be:\n{page}");
}

#[test]
fn sarif_is_whole() {
    let texts: Vec<Text> = files("planted").iter().map(|path| text(path)).collect();
    let report = lint(&texts, None);
    let log = sarif(&report);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let levels = ["error", "warning", "note"];
    for rule in rules {
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(!rule[text]["text"].as_str().unwrap().is_empty());
        }
        let level = rule["defaultConfiguration"]["level"].as_str().unwrap();
        assert!(levels.contains(&level));
    }
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        assert_eq!(result["locations"].as_array().unwrap().len(), 1);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert!(uri.bytes().all(|b| b.is_ascii_graphic()) && !uri.contains(':'));
        assert!(result["partialFingerprints"].is_object());
    }
}

#[test]
fn the_exit_code_tells_a_pipeline() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(place.path().join(name), text).unwrap();
    write(
        "good.yaml",
        "validation_context: {trusted_ca: {filename: a}}\n",
    );
    write(
        "bad.yaml",
        "validation_context:\n  allow_expired_certificate: true\n",
    );
    write(
        "so-so.yaml",
        "validation_context:\n  crl: {filename: crl.pem}\n",
    );
    write("scopes.toml", "[scope.\"a\"]\n");
    let code = |line: &str| {
        let line: Vec<&str> = line.split(' ').collect();
        let ran = protem(place.path(), &line);
        (ran.status.code().unwrap(), stdout(&ran), stderr(&ran))
    };
    let (exit, out, _) = code("mesh lint good.yaml");
    assert_eq!((exit, out.contains("0 errors")), (0, true), "{out}");
    let (exit, out, _) = code("mesh lint bad.yaml good.yaml");
    assert_eq!(exit, 1);
    assert!(out.starts_with("error PM106: "), "{out}");
    assert!(out.contains("\n  bad.yaml:2: "), "{out}");
    assert_eq!(code("mesh lint so-so.yaml").0, 0);
    assert_eq!(code("mesh lint so-so.yaml --deny warnings").0, 0);
    assert_eq!(code("mesh lint so-so.yaml --deny notes").0, 1);
    assert_eq!(code("mesh lint good.yaml --scopes scopes.toml").0, 0);
    assert_eq!(
        code("mesh lint good.yaml --scopes scopes.toml --deny warnings").0,
        1
    );
    assert_eq!(code("mesh lint .").0, 1);
    for wrong in [
        "mesh lint",
        "mesh lint absent.yaml",
        "mesh lint good.yaml --deny everything",
        "mesh lint good.yaml --scopes bad.yaml",
    ] {
        assert_eq!(code(wrong).0, 2, "{wrong}");
    }
    let (_, json, _) = code("mesh lint bad.yaml --json");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["findings"][0]["id"], "PM106");
    assert_eq!(json["errors"], 1);
    let (_, log, _) = code("mesh lint bad.yaml --sarif");
    let log: Value = serde_json::from_str(&log).unwrap();
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "PM106");
}

const RULES_HEAD: &str = "\
# What `protem mesh lint` looks for

Written from the code by `tests/it/mesh_lint.rs`. Each rule: what happens through the hole, and what
closes it. An id keeps its meaning for ever. A finding is allowed by a comment in its line or in the
line above, with the reason: `# protem: allow PM104 health checks only`.
";

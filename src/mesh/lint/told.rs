//! Findings for people, and for programs that know protem.
//!
//! Promises: grouped by file, each rule's why and what-to-do once in a file, the worst first; every
//! line of a finding begins with `file:line`, so that an editor can jump there.
//! Refuses: colour and width; a pager and a log get the same text.

use std::fmt::Write as _;

use serde::Serialize;

use crate::mesh::lint::finding::{Finding, Report};
use crate::mesh::lint::rule::{Rule, Severity};

/// The findings as text.
#[must_use]
pub fn told(report: &Report) -> String {
    let mut text = String::new();
    let mut rest = report.findings.as_slice();
    while let Some(first) = rest.first() {
        let end = rest.iter().take_while(|one| one.file == first.file).count();
        let (file, after) = rest.split_at(end);
        tell_file(file, &mut text);
        rest = after;
    }
    let _ = writeln!(text, "{}", summary(report));
    text
}

fn tell_file(findings: &[Finding], text: &mut String) {
    let mut rules: Vec<&'static Rule> = Vec::new();
    for finding in findings {
        if !rules.contains(&finding.rule) {
            rules.push(finding.rule);
        }
    }
    rules.sort_by_key(|rule| (std::cmp::Reverse(rule.severity), rule.id));
    for rule in rules {
        let _ = writeln!(text, "{} {}: {}", rule.severity, rule.id, rule.name);
        for finding in findings.iter().filter(|one| one.rule == rule) {
            let Finding {
                file, line, words, ..
            } = finding;
            let _ = writeln!(text, "  {file}:{line}: {words}");
            if !finding.place.is_empty() {
                let _ = writeln!(text, "    at {}", finding.place);
            }
        }
        let _ = writeln!(text, "  why: {}", rule.attack);
        let _ = writeln!(text, "  do:  {}\n", rule.remedy);
    }
}

fn summary(report: &Report) -> String {
    let count = |severity| report.count(severity);
    let mut text = format!(
        "{} in {}: {}, {}, {}",
        number(report.documents, "document"),
        number(report.files, "file"),
        number(count(Severity::Error), "error"),
        number(count(Severity::Warning), "warning"),
        number(count(Severity::Note), "note"),
    );
    if 0 < report.allowed {
        let _ = write!(text, "; {} allowed by comments", report.allowed);
    }
    if 0 < report.beyond {
        let _ = write!(text, "; {} more are not told", report.beyond);
    }
    if 0 < report.passed_over {
        let words = "passed over: neither YAML nor of a mesh";
        let _ = write!(text, "; {} {words}", number(report.passed_over, "file"));
    }
    text
}

fn number(count: usize, of: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {of}{ending}")
}

/// The findings as one JSON value.
#[derive(Debug, Serialize)]
pub struct Json<'a> {
    findings: Vec<Row<'a>>,
    errors: usize,
    warnings: usize,
    notes: usize,
    allowed: usize,
    files: usize,
    documents: usize,
    beyond: usize,
    passed_over: usize,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    id: &'static str,
    severity: &'static str,
    name: &'static str,
    file: &'a str,
    line: usize,
    place: &'a str,
    what: &'a str,
    attack: &'static str,
    remedy: &'static str,
}

impl<'a> From<&'a Report> for Json<'a> {
    fn from(report: &'a Report) -> Self {
        let row = |finding: &'a Finding| Row {
            id: finding.rule.id,
            severity: finding.rule.severity.word(),
            name: finding.rule.name,
            file: &finding.file,
            line: finding.line,
            place: &finding.place,
            what: &finding.words,
            attack: finding.rule.attack,
            remedy: finding.rule.remedy,
        };
        Self {
            findings: report.findings.iter().map(row).collect(),
            errors: report.count(Severity::Error),
            warnings: report.count(Severity::Warning),
            notes: report.count(Severity::Note),
            allowed: report.allowed,
            files: report.files,
            documents: report.documents,
            beyond: report.beyond,
            passed_over: report.passed_over,
        }
    }
}

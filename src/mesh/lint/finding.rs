//! One hole, and all holes of a run.
//!
//! Promises: findings come in one order whatever the order of the rules, each once; what a comment
//! allows is counted and not told; an allowance without a reason is itself a finding.
//! Refuses: to let a comment allow more than its own line and the next one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::mesh::lint::Text;
use crate::mesh::lint::rule::{Rule, Severity, UNREASONED};
use crate::mesh::lint::tree::At;

/// A hole in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which kind of hole.
    pub rule: &'static Rule,
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The path in the document; empty where the whole file is meant.
    pub place: String,
    /// What is wrong here.
    pub words: String,
}

/// What a run found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The holes, by file and line.
    pub findings: Vec<Finding>,
    /// How many more a comment allowed.
    pub allowed: usize,
    /// How many files were read.
    pub files: usize,
    /// How many documents, proxies' or a mesh's, rules were asked of.
    pub documents: usize,
    /// How many more there are than a run tells.
    pub beyond: usize,
    /// How many files of directories cannot be read and speak of no mesh.
    pub passed_over: usize,
}

impl Report {
    /// How many findings are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let of = self.findings.iter().map(|finding| finding.rule.severity);
        of.filter(|one| *one == severity).count()
    }

    /// Whether a finding is at least so bad.
    #[must_use]
    pub fn reaches(&self, severity: Severity) -> bool {
        // Of what is not told nobody knows how bad it is.
        if 0 < self.beyond {
            return true;
        }
        let mut of = self.findings.iter().map(|finding| finding.rule.severity);
        of.any(|one| severity <= one)
    }
}

/// What is being found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    all: Vec<Finding>,
    beyond: usize,
}

impl Findings {
    /// A hole at a value.
    pub(super) fn tell(&mut self, rule: &'static Rule, at: At<'_>, words: impl Into<String>) {
        self.tell_line(rule, at.file(), at.line(), at.path(), words);
    }

    /// A hole in a line.
    pub(super) fn tell_line(
        &mut self,
        rule: &'static Rule,
        file: &str,
        line: usize,
        place: String,
        words: impl Into<String>,
    ) {
        if self.all.len() < FINDINGS_MAX {
            self.all.push(Finding {
                rule,
                file: file.into(),
                line,
                place,
                words: words.into(),
            });
        } else {
            self.beyond += 1;
        }
    }

    /// A switch that has to be on, under a map.
    pub(super) fn want_on(&mut self, rule: &'static Rule, map: At<'_>, name: &str) {
        if !map.is_on(name) {
            let words = match map.field(name) {
                Some(_) => format!("`{name}` is not `true`"),
                None => format!("`{name}: true` is missing"),
            };
            self.tell(rule, map.field(name).unwrap_or(map), words);
        }
    }

    /// The findings in order, without those that comments in the texts allow.
    pub(super) fn report(mut self, texts: &[Text]) -> Report {
        let key = |finding: &Finding| {
            let (line, id) = (finding.line, finding.rule.id);
            (finding.file.clone(), line, id, finding.place.clone())
        };
        self.all.sort_by_cached_key(key);
        self.all.dedup_by_key(|finding| key(finding));
        let texts: BTreeMap<&str, &str> = texts
            .iter()
            .filter(|text| text.text.contains(ALLOW))
            .map(|text| (&*text.name, &*text.text))
            .collect();
        let mut report = Report {
            beyond: self.beyond,
            ..Report::default()
        };
        let mut unreasoned = BTreeSet::new();
        let mut open: (Arc<str>, Vec<&str>) = ("".into(), Vec::new());
        for finding in self.all {
            if open.0 != finding.file {
                let text = texts.get(&*finding.file).copied().unwrap_or_default();
                open = (finding.file.clone(), text.lines().collect());
            }
            match allowance(&open.1, finding.line, finding.rule.id) {
                Allowance::None => report.findings.push(finding),
                Allowance::Reasoned => report.allowed += 1,
                Allowance::Bare(line) => {
                    unreasoned.insert((finding.file.clone(), line));
                    report.allowed += 1;
                }
            }
        }
        for (file, line) in unreasoned {
            report.findings.push(Finding {
                rule: &UNREASONED,
                file,
                line,
                place: String::new(),
                words: "this allowance gives no reason".to_owned(),
            });
        }
        report.findings.sort_by_cached_key(key);
        report
    }
}

/// What the comments at a line say of a rule.
enum Allowance {
    None,
    Bare(usize),
    Reasoned,
}

/// Looks for `# protem: allow PM101 reason` in the line of a finding and in the one above it.
fn allowance(lines: &[&str], line: usize, id: &str) -> Allowance {
    for number in [line.saturating_sub(1), line] {
        let Some(text) = number.checked_sub(1).and_then(|at| lines.get(at)) else {
            continue;
        };
        let Some((_, after)) = text.split_once(ALLOW) else {
            continue;
        };
        // Of the line above only a line of its own counts, not what stands behind its value.
        if number != line && !text.trim_start().starts_with('#') {
            continue;
        }
        if let Some(reason) = after.trim_start().strip_prefix(id) {
            return if reason.trim().len() < REASON_BYTES_MIN {
                Allowance::Bare(number)
            } else {
                Allowance::Reasoned
            };
        }
    }
    Allowance::None
}

const ALLOW: &str = "# protem: allow ";
/// A reason says more than a word.
const REASON_BYTES_MIN: usize = 8;
/// The most findings of a run: a dump of a large mesh repeats itself.
const FINDINGS_MAX: usize = 100_000;

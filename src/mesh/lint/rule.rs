//! The rules: what is a hole, what happens through it, what closes it.
//!
//! Promises: an id is never given to another rule; a rule that is dropped keeps its number. The
//! sentences say what was measured, by a real Envoy where there is one.
//! Refuses: rules about style, performance or anything that lets nobody in and keeps nobody out.

pub(super) mod bounds;
pub(super) mod client;
pub(super) mod identity;
pub(super) mod meshes;
pub(super) mod trust;

use std::fmt;
use std::str::FromStr;

/// One kind of hole.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number, as `PM101`: stable, in reports, in what is allowed, in dashboards.
    pub id: &'static str,
    /// Its name in words.
    pub name: &'static str,
    /// How bad.
    pub severity: Severity,
    /// What happens: the attack or the accident.
    pub attack: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// How bad a hole is, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works as written, and may surprise.
    Note,
    /// Weakens, delays or breaks a promise.
    Warning,
    /// Somebody gets in, or stays in.
    Error,
}

/// The word names no severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("severity must be one of `error`, `warning`, `note`")]
pub struct UnknownSeverity;

impl Severity {
    /// Its word, which is also SARIF's level.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Note => "note",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Severity {
    type Err = UnknownSeverity;

    /// One or many of them: `--deny warnings` reads as one says it.
    fn from_str(text: &str) -> Result<Self, UnknownSeverity> {
        match text {
            "error" | "errors" => Ok(Self::Error),
            "note" | "notes" => Ok(Self::Note),
            "warning" | "warnings" => Ok(Self::Warning),
            _ => Err(UnknownSeverity),
        }
    }
}

/// Every rule, by number.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    let own = [&UNREADABLE, &TWICE, &UNREASONED, &TEMPLATE].into_iter();
    own.chain(trust::RULES.iter().copied())
        .chain(identity::RULES.iter().copied())
        .chain(bounds::RULES.iter().copied())
        .chain(client::RULES.iter().copied())
        .chain(meshes::RULES.iter().copied())
}

const fn error(
    id: &'static str,
    name: &'static str,
    attack: &'static str,
    remedy: &'static str,
) -> Rule {
    rule(id, name, Severity::Error, attack, remedy)
}

const fn warning(
    id: &'static str,
    name: &'static str,
    attack: &'static str,
    remedy: &'static str,
) -> Rule {
    rule(id, name, Severity::Warning, attack, remedy)
}

const fn note(
    id: &'static str,
    name: &'static str,
    attack: &'static str,
    remedy: &'static str,
) -> Rule {
    rule(id, name, Severity::Note, attack, remedy)
}

const fn rule(
    id: &'static str,
    name: &'static str,
    severity: Severity,
    attack: &'static str,
    remedy: &'static str,
) -> Rule {
    Rule {
        id,
        name,
        severity,
        attack,
        remedy,
    }
}

pub(super) static UNREADABLE: Rule = error(
    "PM001",
    "unreadable",
    "Nothing in this file was looked at: whatever it opens stays unseen.",
    "Write valid YAML or JSON; lint the rendered file where it is a template.",
);

pub(super) static TWICE: Rule = error(
    "PM002",
    "key stands twice",
    "Readers differ on which one counts: the one that you see may not be the one in force.",
    "Keep one.",
);

pub(super) static UNREASONED: Rule = warning(
    "PM003",
    "allowed without a reason",
    "A hole that somebody once allowed is open, and nobody knows why.",
    "Write the reason behind the number: `# protem: allow PM104 health checks only`.",
);

pub(super) static TEMPLATE: Rule = note(
    "PM004",
    "template was not looked at",
    "Whatever comes of it stays unseen.",
    "Lint what comes of it: `helm template CHART | protem mesh lint /dev/stdin`.",
);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_numbers_of_one_rule_in_order() {
        let ids: Vec<_> = rules().map(|rule| rule.id).collect();
        let sorted: BTreeSet<_> = ids.iter().copied().collect();
        assert_eq!(ids, sorted.into_iter().collect::<Vec<_>>());
        for rule in rules() {
            let digits = rule.id.strip_prefix("PM").unwrap();
            assert!(digits.len() == 3 && digits.parse::<u16>().is_ok());
            assert!(rule.attack.ends_with('.'), "{}", rule.id);
            assert!(rule.remedy.ends_with(['.', '`']), "{}", rule.id);
        }
    }
}

//! What is wrong with a bundle, told so that its author can put it right at once.
//!
//! Promises: every fault names its file, and line and column where there is one; all faults of a
//! bundle are told together.

use std::fmt;

/// A place in a bundle's text; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, relative to the bundle.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// The lines of a file, to find many places in it.
pub(crate) struct Lines<'a> {
    file: &'a str,
    text: &'a str,
    /// The byte at which each line begins, the first at 0.
    starts: Vec<usize>,
}

/// One thing that is wrong, or dangerous, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where it is.
    pub place: Place,
    /// The policy that it is in, by its `@id` where it has one.
    pub policy: Option<String>,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub remedy: String,
}

/// Everything that is wrong with a bundle; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFaults {
    faults: Vec<Fault>,
}

impl Place {
    /// The place of a byte in a file's text; for one place, [`Lines`] for many.
    pub(crate) fn of(file: &str, text: &str, byte: usize) -> Self {
        Lines::of(file, text).place(byte)
    }
}

impl<'a> Lines<'a> {
    /// Finds where lines begin.
    pub(crate) fn of(file: &'a str, text: &'a str) -> Self {
        let after_feeds = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        let starts = std::iter::once(0).chain(after_feeds).collect();
        Self { file, text, starts }
    }

    /// The place of a byte; of the end, when the text is shorter.
    pub(crate) fn place(&self, byte: usize) -> Place {
        let byte = byte.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= byte);
        let start = self
            .starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let before = self.text.get(start..byte).unwrap_or_default();
        Place {
            file: self.file.to_owned(),
            line,
            column: before.chars().count().saturating_add(1),
        }
    }
}

impl Fault {
    pub(crate) fn at(place: Place, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            place,
            policy: None,
            text: text.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn within(mut self, policy: &str) -> Self {
        self.policy = Some(policy.to_owned());
        self
    }
}

impl BundleFaults {
    /// Faults in the order of their places; none for no faults.
    pub(crate) fn new(mut faults: Vec<Fault>) -> Option<Self> {
        faults.sort();
        faults.dedup();
        faults.truncate(FAULTS_MAX);
        (!faults.is_empty()).then_some(Self { faults })
    }

    pub(crate) fn of(fault: Fault) -> Self {
        Self {
            faults: vec![fault],
        }
    }

    /// Every fault, by file and line.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(policy) = &self.policy {
            write!(f, "policy `{policy}`: ")?;
        }
        write!(f, "{}: {}", self.text, self.remedy)
    }
}

impl fmt::Display for BundleFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let line_feed = if index == 0 { "" } else { "\n" };
            write!(f, "{line_feed}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for BundleFaults {}

/// The most faults told at once; whoever has more starts with these.
pub(crate) const FAULTS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "äb\ncd";
        let place = |byte| Place::of("f", text, byte).to_string();
        assert_eq!(place(0), "f:1:1");
        assert_eq!(place(2), "f:1:2");
        assert_eq!(place(5), "f:2:2");
        assert_eq!(place(99), "f:2:3");
    }
}

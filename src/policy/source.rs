//! A policy bundle as it is carried and stored: file names and texts, nothing understood yet.
//!
//! Promises: bounded in files and bytes; one canonical byte form, one digest over it. README
//! files may lie beside the policies and are no part of the bundle.
//! Refuses: every other file name, so that a misspelt file is told and not left out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::id::hex;

/// The files of one bundle: `*.cedar`, `scopes.toml`, `tests/*.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSource {
    files: BTreeMap<String, Arc<str>>,
}

/// The SHA-256 of a bundle's canonical bytes; prints as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyDigest([u8; 32]);

/// Why files are no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// One file is too large.
    #[error("`{0}` has more than {FILE_BYTES_MAX} bytes: split it")]
    FileTooLarge(String),
    /// No `scopes.toml`.
    #[error("the bundle has no `scopes.toml`: write one, even if it names no scope yet")]
    NoScopes,
    /// Not 64 lower-case hex digits.
    #[error("`{0}` is not a policy digest of 64 lower-case hex digits")]
    NotADigest(String),
    /// Bytes that [`BundleSource::to_bytes`] did not write.
    #[error("the stored bundle is not in its canonical form: it was damaged or changed")]
    NotCanonical,
    /// More bytes than a bundle may have.
    #[error("the bundle has more than {BUNDLE_BYTES_MAX} bytes: split what it rules over")]
    TooLarge,
    /// More files than a bundle may have.
    #[error("the bundle has more than {FILES_MAX} files: join some")]
    TooManyFiles,
    /// A name with no meaning in a bundle.
    #[error("`{0}` is no bundle file: use `*.cedar`, `scopes.toml` or `tests/*.toml`")]
    UnknownFile(String),
}

impl BundleSource {
    /// Takes files by their path relative to the bundle, with `/` between parts.
    ///
    /// # Errors
    /// The first file or bound that is wrong.
    pub fn collect<P, T>(files: impl IntoIterator<Item = (P, T)>) -> Result<Self, PolicyError>
    where
        P: Into<String>,
        T: Into<Arc<str>>,
    {
        let mut kept = BTreeMap::new();
        let mut bytes = 0_usize;
        for (path, text) in files {
            let (path, text) = (path.into(), text.into());
            if !is_bundle_file(&path) {
                if path == README || path == "tests/README.md" {
                    continue;
                }
                return Err(PolicyError::UnknownFile(shown(&path)));
            }
            if text.len() > FILE_BYTES_MAX {
                return Err(PolicyError::FileTooLarge(path));
            }
            bytes = bytes.saturating_add(text.len());
            if bytes > BUNDLE_BYTES_MAX {
                return Err(PolicyError::TooLarge);
            }
            kept.insert(path, text);
            if kept.len() > FILES_MAX {
                return Err(PolicyError::TooManyFiles);
            }
        }
        if kept.contains_key(SCOPES_FILE) {
            Ok(Self { files: kept })
        } else {
            Err(PolicyError::NoScopes)
        }
    }

    /// Every file, in the order of names.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_ref()))
    }

    /// The text of one file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(AsRef::as_ref)
    }

    /// The canonical bytes: a header line, then for each file in the order of names its name, its
    /// length in bytes, and its text, each followed by a line feed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = HEADER.as_bytes().to_vec();
        for (path, text) in self.files() {
            bytes.extend_from_slice(format!("{path}\n{}\n{text}\n", text.len()).as_bytes());
        }
        bytes
    }

    /// Reads [`BundleSource::to_bytes`] back.
    ///
    /// # Errors
    /// [`PolicyError::NotCanonical`] for every byte sequence that it would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PolicyError> {
        let wrong = || PolicyError::NotCanonical;
        let whole = std::str::from_utf8(bytes).map_err(|_| wrong())?;
        let mut rest = whole.strip_prefix(HEADER).ok_or_else(wrong)?;
        let mut files = Vec::new();
        while !rest.is_empty() {
            let (path, after) = rest.split_once('\n').ok_or_else(wrong)?;
            let (length, after) = after.split_once('\n').ok_or_else(wrong)?;
            let length: usize = length.parse().map_err(|_| wrong())?;
            let (text, after) = after.split_at_checked(length).ok_or_else(wrong)?;
            rest = after.strip_prefix('\n').ok_or_else(wrong)?;
            files.push((path, text));
        }
        let source = Self::collect(files)?;
        if source.to_bytes() == bytes {
            Ok(source)
        } else {
            Err(wrong())
        }
    }

    /// The digest of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        PolicyDigest::of(&self.to_bytes())
    }
}

impl PolicyDigest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        let sum = digest::digest(&digest::SHA256, bytes);
        for (to, from) in digest.iter_mut().zip(sum.as_ref()) {
            *to = *from;
        }
        Self(digest)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for PolicyDigest {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        let wrong = || PolicyError::NotADigest(shown(text));
        if text.len() != 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(wrong());
        }
        let mut digest = [0; 32];
        for (to, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *to = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(&self.0, f)
    }
}

impl fmt::Debug for PolicyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether the path names Cedar policies.
pub(crate) fn is_cedar_file(path: &str) -> bool {
    path.strip_suffix(".cedar").is_some_and(is_plain_name)
}

/// Whether the path names policy tests.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.strip_prefix("tests/")
        .and_then(|name| name.strip_suffix(".toml"))
        .is_some_and(is_plain_name)
}

fn is_bundle_file(path: &str) -> bool {
    path == SCOPES_FILE || is_cedar_file(path) || is_test_file(path)
}

fn is_plain_name(name: &str) -> bool {
    (1..=FILE_NAME_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}

fn shown(text: &str) -> String {
    text.chars()
        .take(TEXT_SHOWN_MAX)
        .flat_map(char::escape_default)
        .collect()
}

/// The catalogue of scopes in a bundle.
pub(crate) const SCOPES_FILE: &str = "scopes.toml";
/// The most files a bundle may have.
pub const FILES_MAX: usize = 512;
/// The most bytes of one file.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// The most bytes of all files together.
pub const BUNDLE_BYTES_MAX: usize = 8 << 20;
const FILE_NAME_BYTES_MAX: usize = 64;
const README: &str = "README.md";
const HEADER: &str = "protem-policy-1\n";
/// How much of a wrong text an error repeats, in characters.
const TEXT_SHOWN_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn unknown_names_and_bounds_are_told() {
        for name in [
            "Elevate.cedar",
            "a/b.cedar",
            "../x.cedar",
            "scopes.tml",
            "tests/a.json",
        ] {
            let files = [("scopes.toml", ""), (name, "")];
            let refused = BundleSource::collect(files).unwrap_err();
            assert_eq!(refused, PolicyError::UnknownFile(name.into()));
        }
        let large = "x".repeat(FILE_BYTES_MAX + 1);
        assert!(BundleSource::collect([("scopes.toml", large)]).is_err());
        assert_eq!(
            BundleSource::collect([("a.cedar", "")]),
            Err(PolicyError::NoScopes)
        );
        let many = (0..=FILES_MAX).map(|n| (format!("p{n}.cedar"), ""));
        assert_eq!(BundleSource::collect(many), Err(PolicyError::TooManyFiles));
    }

    #[test]
    fn a_readme_changes_nothing() {
        let plain = BundleSource::collect([("scopes.toml", "")]).unwrap();
        let with = BundleSource::collect([("scopes.toml", ""), ("README.md", "hello")]).unwrap();
        assert_eq!(plain.digest(), with.digest());
        assert_eq!(plain.digest().to_string().parse(), Ok(plain.digest()));
    }

    proptest! {
        #[test]
        fn bundles_are_written_and_read_back(
            files in proptest::collection::btree_map("[a-z]{1,6}\\.cedar", any::<String>(), 0..5),
        ) {
            let scopes = ("scopes.toml".to_owned(), String::new());
            let source = BundleSource::collect(files.into_iter().chain([scopes])).unwrap();
            prop_assert_eq!(BundleSource::from_bytes(&source.to_bytes()), Ok(source));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in any::<Vec<u8>>()) {
            let stored = [HEADER.as_bytes(), &bytes].concat();
            prop_assert!(BundleSource::from_bytes(&stored).is_err() || bytes.len() > 10);
        }
    }
}

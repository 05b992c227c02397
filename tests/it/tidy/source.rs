//! A tracked file, and its code with comments and literals blanked.
//!
//! Promises that every offset in [`Source::code`] is the same offset in the text, so that a finding
//! can name its line. It is a lexer, not a parser: it knows where words are, not what they mean.

use std::path::Path;
use std::process::Command;

/// One file of the repository.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if extension(path) == Some("rs") {
            blank(text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    /// Every tracked or new, not ignored, file that is text and that somebody wrote.
    pub(crate) fn all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let listed = Command::new("git")
            .args(["-c", "safe.directory=*", "ls-files", "-z"])
            .args(["--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .expect("tidy asks git which files are tracked: install git");
        assert!(
            listed.status.success(),
            "{}",
            String::from_utf8_lossy(&listed.stderr)
        );
        let listed = String::from_utf8(listed.stdout).expect("paths are UTF-8");
        let mut paths: Vec<&str> = listed.split_terminator('\0').collect();
        paths.sort_unstable();
        paths.dedup();
        paths
            .into_iter()
            .filter(|path| !path.starts_with(GENERATED))
            .filter_map(|path| {
                Some(Self::new(
                    path,
                    &std::fs::read_to_string(root.join(path)).ok()?,
                ))
            })
            .collect()
    }

    /// The text with comments, strings and characters blanked; empty where it is not Rust.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The code without its unit tests, which by house rule are the end of the file.
    pub(crate) fn shipped(&self) -> &str {
        let end = self
            .code
            .find("#[cfg(test)]\nmod tests")
            .unwrap_or(self.code.len());
        &self.code[..end]
    }

    /// `file:line: words`, as every finding reads.
    pub(crate) fn finding(&self, offset: usize, words: &str) -> String {
        let line = 1 + self.text[..offset].matches('\n').count();
        format!("{}:{line}: {words}", self.path)
    }

    /// Whether the file is `src/<place>.rs` or lies below `src/<place>/`.
    pub(crate) fn within(&self, place: &str) -> bool {
        self.path
            .strip_prefix("src/")
            .and_then(|path| path.strip_prefix(place))
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    pub(crate) fn is_rust(&self) -> bool {
        extension(&self.path) == Some("rs")
    }

    /// Lines are counted in files that people write as code.
    pub(crate) fn is_written_code(&self) -> bool {
        match extension(&self.path) {
            Some(end) => ["cedar", "py", "rs", "sql"].contains(&end),
            None => self.text.starts_with("#!"),
        }
    }
}

/// Offsets of `word` in `code` where it stands alone, not as part of a longer name.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let joins =
        |one: Option<u8>, other: Option<u8>| one.is_some_and(in_name) && other.is_some_and(in_name);
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |&at| {
            let (before, after) = (&code[..at], &code[at + word.len()..]);
            let begins_inside = joins(before.bytes().next_back(), word.bytes().next());
            let ends_inside = joins(word.bytes().next_back(), after.bytes().next());
            !begins_inside && !ends_inside
        })
}

/// The name that `code` begins with, or nothing.
pub(crate) fn leading_name(code: &str) -> &str {
    let end = code
        .bytes()
        .position(|byte| !in_name(byte))
        .unwrap_or(code.len());
    &code[..end]
}

/// The name that `code` ends with, or nothing.
pub(crate) fn trailing_name(code: &str) -> &str {
    let start = code
        .bytes()
        .rposition(|byte| !in_name(byte))
        .map_or(0, |at| at + 1);
    &code[start..]
}

/// What `tests/it/generated.rs` makes from definitions.
const GENERATED: &str = "src/proto/generated/";

fn extension(path: &str) -> Option<&str> {
    Path::new(path).extension()?.to_str()
}

fn in_name(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

/// Spaces for every comment and literal; line ends stay.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let Some(end) = end_of_literal(bytes, at) else {
            at += 1;
            continue;
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(code).expect("whole literals were replaced by ASCII")
}

/// Where the comment, string or character that begins at `at` ends; none begins there: `None`.
fn end_of_literal(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let length = match rest {
        [b'/', b'/', ..] => rest.iter().position(|&byte| byte == b'\n'),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => quoted(rest, b'"'),
        [b'\'', b'\\', ..] => quoted(rest, b'\''),
        [b'\'', ..] => {
            // A character only where another quote follows one character later; else a lifetime.
            let width = std::str::from_utf8(&rest[1..])
                .ok()?
                .chars()
                .next()?
                .len_utf8();
            return (rest.get(1 + width) == Some(&b'\'')).then_some(at + width + 2);
        }
        [b'r', ..] if !starts_inside_name(bytes, at) => {
            let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return None;
            }
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            let body = &rest[2 + hashes..];
            body.windows(close.len())
                .position(|window| window == close)
                .map(|found| 2 + hashes + found + close.len())
        }
        _ => return None,
    };
    Some(length.map_or(bytes.len(), |length| at + length))
}

/// `br"` and `cr"` are raw strings too; any other letter before makes the `r` part of a name.
fn starts_inside_name(bytes: &[u8], at: usize) -> bool {
    at > 0 && in_name(bytes[at - 1]) && !matches!(bytes[at - 1], b'b' | b'c')
}

fn block_comment(rest: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

fn quoted(rest: &[u8], quote: u8) -> Option<usize> {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("src/x.rs", text)
            .code()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn comments_and_literals_are_blank() {
        assert_eq!(code("a // b\nc /* d /* e */ f */ g"), "a c g");
        assert_eq!(code(r#"a "b \" // c" d"#), "a d");
        assert_eq!(code("a r#\"b \" c\"# d br\"e\" f"), "a d b f");
        assert_eq!(code(r"a 'b' c '\'' d 'é' e<'f> &'g h"), "a c d e<'f> &'g h");
    }

    #[test]
    fn offsets_are_those_of_the_text() {
        let source = Source::new("src/x.rs", "// é\n\"two\nlines\" here");
        let at = source.code().find("here").unwrap();
        assert_eq!(&source.text[at..], "here");
        assert_eq!(source.finding(at, "found"), "src/x.rs:3: found");
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(
            words("axum taxum axum_x axum::y", "axum").collect::<Vec<_>>(),
            [0, 18]
        );
    }

    #[test]
    fn a_place_is_a_file_and_its_folder() {
        assert!(Source::new("src/store/sqlite.rs", "").within("store/sqlite"));
        assert!(Source::new("src/store/sqlite/row.rs", "").within("store/sqlite"));
        assert!(!Source::new("src/store/sqlite_old.rs", "").within("store/sqlite"));
        assert!(!Source::new("src/restore.rs", "").within("store"));
    }
}

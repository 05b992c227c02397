//! What a command shows: results on standard output, words on standard error.
//!
//! Promises: whatever came from elsewhere is cleaned: control characters and characters that turn
//! the direction of text cannot move a cursor, change a title or swap what a reader sees. JSON
//! stays the same value; such characters are written as escapes.
//! Refuses: colour where nobody sees it.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::time::{Seconds, Timestamp};

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal
    Auto,
    /// Never
    Never,
}

/// Standard output and standard error, and how to write there.
pub(crate) struct Screen {
    out: Box<dyn Write + Send>,
    words: Box<dyn Write + Send>,
    json: bool,
    color: bool,
    live: Live,
}

/// Whether words can be written over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Live {
    /// On a terminal; the last words stay.
    Idle,
    /// Not on a terminal.
    No,
    /// On a terminal; the last words are to be written over.
    Ticking,
}

/// The reader of our output went away.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output")]
pub(crate) struct ScreenClosed;

impl Screen {
    /// The screen of this process.
    pub(crate) fn of_process(json: bool, color: Color) -> Self {
        Self {
            color: color == Color::Auto && io::stdout().is_terminal(),
            live: if !json && io::stderr().is_terminal() {
                Live::Idle
            } else {
                Live::No
            },
            out: Box::new(io::stdout()),
            words: Box::new(io::stderr()),
            json,
        }
    }

    /// Whether programs read.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// One result line.
    pub(crate) fn line(&mut self, text: &str) -> anyhow::Result<()> {
        let text = clean(text);
        self.write(&format!("{text}\n"))
    }

    /// Text of our own making, or PEM: exact but for what a terminal must not get.
    pub(crate) fn text(&mut self, text: &str) -> anyhow::Result<()> {
        let text = clean_lines(text);
        self.write(&text)
    }

    /// A value for programs.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let text = escape(&serde_json::to_string_pretty(value)?);
        self.write(&format!("{text}\n"))
    }

    /// One line of NDJSON, as received.
    pub(crate) fn json_line(&mut self, line: &str) -> anyhow::Result<()> {
        let line = escape(line);
        self.write(&format!("{line}\n"))
    }

    /// Names and values, one a line; empty values are left out.
    pub(crate) fn record(&mut self, fields: &[(&str, String)]) -> anyhow::Result<()> {
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let width = fields.clone().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or_default();
        let mut text = String::new();
        for (name, value) in fields {
            let value = self.paint(&clean(value));
            let _ = writeln!(text, "{name:width$}  {value}");
        }
        self.write(&text)
    }

    /// Rows under heads; says so when there are none.
    pub(crate) fn table(&mut self, heads: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
        if rows.is_empty() {
            self.say("none");
            return Ok(());
        }
        let heads: Vec<String> = heads.iter().map(|head| head.to_uppercase()).collect();
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| clean(cell)).collect())
            .collect();
        let widths: Vec<usize> = heads
            .iter()
            .enumerate()
            .map(|(at, head)| {
                let cells = rows.iter().filter_map(|row| row.get(at));
                cells.chain([head]).map(|c| c.chars().count()).max()
            })
            .map(Option::unwrap_or_default)
            .collect();
        let mut text = String::new();
        for row in [&heads].into_iter().chain(&rows) {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let gap = width.saturating_sub(cell.chars().count());
                let _ = write!(line, "{}{:gap$}  ", self.paint(cell), "");
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        self.write(&text)
    }

    /// Words beside the result, on standard error. That nobody reads them is no failure.
    pub(crate) fn say(&mut self, words: &str) {
        self.end_tick();
        let _ = writeln!(self.words, "{}", clean_lines(words));
        let _ = self.words.flush();
    }

    /// A value for programs, on standard error.
    pub(crate) fn say_json(&mut self, value: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(value) {
            let _ = writeln!(self.words, "{}", escape(&text));
        }
    }

    /// Words that the next words may write over; nothing where there is no terminal.
    pub(crate) fn tick(&mut self, words: &str) {
        if self.live != Live::No {
            let _ = write!(self.words, "\r\x1b[2K{}", clean(words));
            let _ = self.words.flush();
            self.live = Live::Ticking;
        }
    }

    /// Ends a line that [`Self::tick`] began.
    pub(crate) fn end_tick(&mut self) {
        if self.live == Live::Ticking {
            self.live = Live::Idle;
            let _ = write!(self.words, "\r\x1b[2K");
        }
    }

    /// Bytes of our own making, exactly.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.end_tick();
        let written = self.out.write_all(bytes);
        match written.and_then(|()| self.out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(ScreenClosed.into()),
            Err(error) => Err(error.into()),
        }
    }

    fn paint(&self, cell: &str) -> String {
        let code = match cell {
            _ if !self.color => return cell.to_owned(),
            "active" | "approved" | "ok" | "permit" => "32",
            "pending" | "warning" => "33",
            "denied" | "deny" | "failed" => "31",
            _ => return cell.to_owned(),
        };
        format!("\x1b[{code}m{cell}\x1b[0m")
    }

    fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.raw(text.as_bytes())
    }
}

/// A time of the wire for people: UTC to the second, and how far it is from `now`.
pub(crate) fn moment(text: &str, now: Timestamp) -> String {
    text.parse()
        .map_or_else(|_| text.to_owned(), |at| moment_of(at, now))
}

/// As [`moment`], for a time that is already read.
pub(crate) fn moment_of(at: Timestamp, now: Timestamp) -> String {
    let text = at.whole_second().rfc3339().replace(".000Z", "Z");
    if now <= at {
        format!("{text} (in {})", span(at.since(now)))
    } else {
        format!("{text} ({} ago)", span(now.since(at)))
    }
}

/// The clock part of a time, for lines that come often.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    let text = at.whole_second().rfc3339();
    let time = text.split_once('T').map_or("", |(_, time)| time);
    time.replace(".000Z", "Z")
}

/// A span with its two largest units.
pub(crate) fn span(span: Seconds) -> String {
    let s = span.count();
    let (d, h, m) = (s / 86_400, s / 3_600 % 24, s / 60 % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, m) => format!("{m}m{:02}s", s % 60),
        (0, h, m) => format!("{h}h{m:02}m"),
        (d, h, _) => format!("{d}d{h:02}h"),
    }
}

/// The text without what moves a cursor or turns the direction of text.
pub(crate) fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if is_harmful(c) { REPLACEMENT } else { c })
        .collect()
}

fn clean_lines(text: &str) -> String {
    text.chars()
        .map(|c| {
            let harmful = is_harmful(c) && c != '\n';
            if harmful { REPLACEMENT } else { c }
        })
        .collect()
}

/// JSON of the same value in which every harmful character is an escape. Between tokens only line
/// ends and spaces stand, so all others are inside strings.
fn escape(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_harmful(c) && c != '\n' {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}'
                | '\u{200f}'
                | '\u{061c}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
        )
}

const REPLACEMENT: char = '\u{fffd}';

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A screen whose output can be read.
    #[derive(Clone, Default)]
    pub(crate) struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        pub(crate) fn screen(&self) -> Screen {
            Screen {
                out: Box::new(self.clone()),
                words: Box::new(self.clone()),
                json: false,
                color: false,
                live: Live::No,
            }
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn tables_line_up_and_have_no_trailing_space() {
        let paper = Paper::default();
        let rows = [["a", "bbbb", ""], ["aaa", "é", "c\x1b[2J"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        paper
            .screen()
            .table(&["one", "two", "three"], &rows)
            .unwrap();
        assert_eq!(
            paper.text(),
            "ONE  TWO   THREE\na    bbbb\naaa  é     c\u{fffd}[2J\n"
        );
    }

    #[test]
    fn records_leave_out_what_is_empty() {
        let paper = Paper::default();
        let fields = [("id", "el-1".to_owned()), ("reason", String::new())];
        paper.screen().record(&fields).unwrap();
        assert_eq!(paper.text(), "id  el-1\n");
    }

    #[test]
    fn json_keeps_its_value_without_control_characters() {
        let paper = Paper::default();
        let hostile = "a\u{9b}2J\u{7f}\u{202e}b\u{1b}\n";
        paper.screen().json(&hostile).unwrap();
        let text = paper.text();
        assert!(!text.trim_end().contains(is_harmful), "{text:?}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    #[test]
    fn words_keep_their_lines_and_nothing_else() {
        let paper = Paper::default();
        paper.screen().say("a\n  b\rc\u{2067}");
        assert_eq!(paper.text(), "a\n  b\u{fffd}c\u{fffd}\n");
    }

    #[test]
    fn times_are_utc_and_relative() {
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(
            moment("2026-01-31T12:04:05.250Z", now),
            "2026-01-31T12:04:05Z (in 4m05s)"
        );
        assert_eq!(
            moment("2026-01-30T11:00:00.000Z", now),
            "2026-01-30T11:00:00Z (1d01h ago)"
        );
        assert_eq!(moment("soon", now), "soon");
        assert_eq!(span(Seconds::new(3_700)), "1h01m");
        assert_eq!(time_of_day(now), "12:00:00Z");
    }
}

//! Every call of `tracing` in `src`: level, message, fields, target.
//!
//! A reader of exactly the forms that the house writes: fields first, the message last.

use std::fs;
use std::path::Path;

use crate::tools::repository;

/// One call.
pub(super) struct LogLine {
    pub(super) level: String,
    pub(super) message: String,
    pub(super) fields: Vec<String>,
    pub(super) target: String,
}

/// All calls, gravest first.
pub(super) fn all() -> Vec<LogLine> {
    let mut lines = Vec::new();
    collect(&repository("src"), "protem", &mut lines);
    let level = |line: &LogLine| LEVELS.iter().position(|one| *one == line.level).unwrap();
    lines.sort_by_key(|line| (level(line), line.message.clone(), line.target.clone()));
    lines.dedup_by_key(|line| (line.message.clone(), line.target.clone()));
    lines
}

fn collect(folder: &Path, room: &str, lines: &mut Vec<LogLine>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let target = format!("{room}::{name}");
        if path.is_dir() {
            collect(&path, &target, lines);
        } else if path.extension().is_some_and(|end| end == "rs") {
            lines.extend(calls(&fs::read_to_string(&path).unwrap(), &target));
        }
    }
}

fn calls(text: &str, target: &str) -> Vec<LogLine> {
    let shipped = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let mut found = Vec::new();
    for part in shipped.split("tracing::").skip(1) {
        let Some((level, rest)) = part.split_once("!(") else {
            continue;
        };
        if !LEVELS.contains(&level) {
            continue;
        }
        let mut parts = arguments(rest);
        let message = parts.pop().unwrap();
        let quoted = message
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let message = quoted.unwrap_or_else(|| panic!("{target}: no message ends {message}"));
        let field = |part: &String| {
            let name = part.split(" = ").next().unwrap();
            name.trim_start_matches(['%', '?']).to_owned()
        };
        found.push(LogLine {
            level: level.to_owned(),
            message: message.to_owned(),
            fields: parts.iter().map(field).collect(),
            target: target.to_owned(),
        });
    }
    found
}

/// The arguments of a call whose opening bracket was just read.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut quoted) = (0, false);
    let mut parts = vec![String::new()];
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted && depth > 0 => depth -= 1,
            ')' if !quoted => break,
            ',' if !quoted && depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    let parts = parts.iter().map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

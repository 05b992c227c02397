//! Templates: text with places, filled in line by line.
//!
//! `{{name}}` alone on a line, or after `- `, stands for lines at that depth; none of them takes
//! the line away. Anywhere else it stands for a value within its line.
//!
//! Promises: what is filled in is not looked at again.
//! Refuses: nothing; that no place stays open is tested by what is printed.

use std::fmt::Write as _;

/// Fills in the places of a template.
pub(crate) fn fill(template: &str, places: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for line in template.lines() {
        let body = line.trim_start();
        let depth = line.len() - body.len();
        let (dash, place) = match body.strip_prefix("- ") {
            Some(place) => ("- ", place),
            None => ("", body),
        };
        match whole(place).and_then(|name| value(places, name)) {
            Some(block) => push_block(&mut text, block, depth, dash),
            None => push_line(&mut text, line, places),
        }
    }
    text
}

/// A list in YAML, one quoted text an item.
pub(crate) fn quoted(items: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    for item in items {
        let _ = writeln!(text, "- \"{item}\"");
    }
    text
}

/// Comments of at most 100 columns at depth 0.
pub(crate) fn comment(words: &str) -> String {
    comment_with("# ", "# ", words)
}

/// One point of a list of comments.
pub(crate) fn comment_point(words: &str) -> String {
    comment_with("# - ", "#   ", words)
}

fn comment_with(first: &str, next: &str, words: &str) -> String {
    let mut text = String::new();
    let mut line = first.to_owned();
    for word in words.split_whitespace() {
        if line.len() > next.len() && line.len() + word.len() >= COLUMNS_MAX {
            let _ = writeln!(text, "{}", line.trim_end());
            next.clone_into(&mut line);
        }
        let _ = write!(line, "{word} ");
    }
    let _ = writeln!(text, "{}", line.trim_end());
    text
}

/// The name of a place that is all there is.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    (!name.contains(OPEN)).then_some(name)
}

fn value<'a>(places: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    places
        .iter()
        .find(|(place, _)| *place == name)
        .map(|(_, value)| *value)
}

fn push_block(text: &mut String, block: &str, depth: usize, dash: &str) {
    let mut first = true;
    for line in block.lines() {
        let lead = if first { dash } else { "  " };
        let lead = if dash.is_empty() { "" } else { lead };
        first = false;
        let line = format!("{:depth$}{lead}{line}", "");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn push_line(text: &mut String, line: &str, places: &[(&str, &str)]) {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(OPEN) {
        text.push_str(before);
        rest = after;
        if let Some((name, after)) = after.split_once(CLOSE)
            && let Some(value) = value(places, name)
        {
            text.push_str(value);
            rest = after;
        } else {
            text.push_str(OPEN);
        }
    }
    let _ = writeln!(text, "{rest}");
}

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
const COLUMNS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_keep_their_depth_and_values_their_line() {
        let template = "a: {{x}}\nb:\n  {{block}}\n- {{block}}\nc: {{y}} {{x}}\n{{none}}\n";
        let places = [
            ("x", "{{y}}"),
            ("y", "2"),
            ("block", "k: v\n\nl: w"),
            ("none", ""),
        ];
        let text = fill(template, &places);
        assert_eq!(
            text,
            "a: {{y}}\nb:\n  k: v\n\n  l: w\n- k: v\n\n  l: w\nc: 2 {{y}}\n"
        );
        assert_eq!(
            fill("{{unknown}} %REQ({{x}})%", &places),
            "{{unknown}} %REQ({{y}})%\n"
        );
    }

    #[test]
    fn comments_are_wrapped() {
        let text = comment(&"word ".repeat(40));
        assert_eq!(text.lines().count(), 3);
        assert!(
            text.lines()
                .all(|line| line.starts_with("# word") && line.len() < 100)
        );
        assert_eq!(comment_point("a b"), "# - a b\n");
    }
}

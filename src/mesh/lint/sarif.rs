//! Findings as SARIF 2.1.0, which code hosts show beside the line.
//!
//! Promises: every rule is described once, whether it was met or not; a path is a relative URI.
//! Refuses: to tell of files outside the place where it was started by a path of the machine's own:
//! what was named absolute stays so, as a `file:` URI.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::mesh::lint::finding::{Finding, Report};
use crate::mesh::lint::rule::{Rule, rules};

/// The findings as one SARIF log.
#[must_use]
pub fn sarif(report: &Report) -> Value {
    let known: Vec<&'static Rule> = rules().collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| result(finding, &known))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "protem mesh lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": known.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "name": rule.name,
        "shortDescription": {"text": rule.name},
        "fullDescription": {"text": rule.attack},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": rule.severity.word()},
    })
}

fn result(finding: &Finding, known: &[&'static Rule]) -> Value {
    let index = known.iter().position(|rule| rule.id == finding.rule.id);
    let text = format!(
        "{}: {}. {} {}",
        finding.rule.name, finding.words, finding.rule.attack, finding.rule.remedy
    );
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": {"uri": uri(&finding.file)},
            "region": {"startLine": finding.line},
        },
    });
    if !finding.place.is_empty()
        && let Some(location) = location.as_object_mut()
    {
        let place = json!([{"fullyQualifiedName": finding.place}]);
        location.insert("logicalLocations".to_owned(), place);
    }
    json!({
        "ruleId": finding.rule.id,
        "ruleIndex": index,
        "level": finding.rule.severity.word(),
        "message": {"text": text},
        "locations": [location],
        // A line moves with every edit above it; the place in the document does not.
        "partialFingerprints": {
            "protem/place/v1": format!("{}:{}:{}", finding.rule.id, finding.file, finding.place),
        },
    })
}

/// A path as a URI reference (RFC 3986).
fn uri(path: &str) -> String {
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut text = if path.starts_with('/') {
        "file://".to_owned()
    } else {
        String::new()
    };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_uris() {
        assert_eq!(uri("./a b/c.yaml"), "a%20b/c.yaml");
        assert_eq!(uri("/etc/é"), "file:///etc/%C3%A9");
        assert_eq!(uri("a:b"), "a%3Ab");
    }
}

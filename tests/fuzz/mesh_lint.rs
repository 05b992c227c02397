//! The linter of meshes reads files that anybody may have written: no text brings it down, and a
//! text that it can read is told the same way twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protem::mesh::lint::{Text, lint, sarif, told};

fuzz_target!(|text: &str| {
    let texts = [Text {
        name: "f.yaml".to_owned(),
        text: text.to_owned(),
        meant: true,
    }];
    let report = lint(&texts, None);
    assert_eq!(report, lint(&texts, None));
    assert!(!told(&report).is_empty());
    let log = sarif(&report);
    let results = log["runs"][0]["results"].as_array().map(Vec::len);
    assert_eq!(results, Some(report.findings.len()));
});

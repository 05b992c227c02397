//! The committed description of the API is what the endpoints say, and nothing in it is missing
//! from the door.

use protem::api::http::document;

use crate::tools::repository;

#[test]
fn the_committed_document_is_what_the_endpoints_say() {
    let committed = std::fs::read_to_string(repository(COMMITTED)).unwrap();
    let made = document();
    if committed != made {
        std::fs::write(repository(MADE), &made).unwrap();
        let differs = committed
            .lines()
            .zip(made.lines())
            .position(|(was, is)| was != is);
        panic!(
            "the endpoints differ from line {} on: read the difference and commit it\n\
             diff {COMMITTED} {MADE}; cp {MADE} {COMMITTED}",
            differs.unwrap_or_else(|| committed.lines().count()) + 1,
        );
    }
}

#[test]
fn every_operation_has_a_name_and_answers_refusals_with_a_problem() {
    let document: serde_json::Value = serde_json::from_str(&document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut names = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let name = operation["operationId"].as_str();
            names.push(
                name.unwrap_or_else(|| panic!("{method} {path} has no name"))
                    .to_owned(),
            );
            let refusal = &operation["responses"]["default"]["content"];
            let open = path == "/v1/openapi.json";
            assert!(
                open || refusal["application/problem+json"].is_object(),
                "{method} {path}"
            );
        }
    }
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "two operations have one name");
}

const COMMITTED: &str = "src/api/openapi.json";
const MADE: &str = "target/openapi.json";

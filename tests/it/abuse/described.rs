//! The published description against a running server: schemathesis makes requests from it, good
//! ones and bad ones, as an operator who may do everything.
//!
//! Promises: always the same requests; no answer that is not described, no failure inside, bad
//! requests refused, the caller always asked for, and a server that is whole afterwards.

use std::process::Command;

use crate::abuse::stage::Stage;
use crate::abuse::whole;
use crate::tools::{repository, run, tool};

#[tokio::test(flavor = "multi_thread")]
async fn the_published_description_holds_under_generated_requests() {
    let stage = Stage::open().await;
    let bearer = stage.operator.bearer.clone().unwrap();
    let mut words: Command = tool("schemathesis");
    words.current_dir(stage.directory.path());
    words.arg("run").arg(repository("src/api/openapi.json"));
    words.args([
        "--url",
        &format!("https://localhost:{}", stage.address.port()),
    ]);
    words
        .arg("--tls-verify")
        .arg(stage.data().join("bundle.pem"));
    words.args(["--header", &format!("Authorization: Bearer {bearer}")]);
    words.args([
        "--seed",
        "1",
        "--max-examples",
        EXAMPLES,
        "--workers",
        "2",
        "--no-color",
    ]);
    words.args([
        "--phases",
        "examples,coverage,fuzzing",
        "--continue-on-failure",
    ]);
    words.args(["--generation-database", "none", "--request-timeout", "30"]);
    words.args(["--exclude-checks", NOT_PROMISED]);
    words.args(["--suppress-health-check", "filter_too_much"]);
    let told = tokio::task::spawn_blocking(move || run(&mut words))
        .await
        .unwrap();
    assert!(told.success, "{}\n{}", told.stdout, told.stderr);
    let line = told
        .stdout
        .lines()
        .find(|line| line.contains(" generated,"));
    let made = line.and_then(|line| line.split_whitespace().next()?.parse::<u32>().ok());
    assert!(
        made.is_some_and(|made| REQUESTS_MIN <= made),
        "{}",
        told.stdout
    );
    println!("{}", told.stdout);
    whole(stage).await;
}

/// Requests made for each operation in the fuzzing phase.
const EXAMPLES: &str = "25";
/// Fewer than these would say little.
const REQUESTS_MIN: u32 = 1_000;
/// Names, spans and ids are texts in the description and have a narrower grammar, so a text that
/// fits the description may be refused: with 422 and the field's name.
const NOT_PROMISED: &str = "positive_data_acceptance";

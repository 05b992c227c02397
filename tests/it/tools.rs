//! Foreign programs that tests talk to: where they are and what they said.
//!
//! `tests/run tools` installs them once; afterwards a plain `cargo test` finds them without any
//! variable set. A program that is not there fails the test with the command that installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What a finished program left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The program's standard output; fails with all it said if it did not succeed.
    #[track_caller]
    pub(crate) fn expect_success(self) -> String {
        assert!(self.success, "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// A command of an installed program, ready for arguments.
///
/// The pinned tools of `tests/run` win over whatever else the machine has by that name.
#[track_caller]
pub(crate) fn tool(name: &str) -> Command {
    match find(name) {
        Some(path) => Command::new(path),
        None => panic!("`{name}` is not installed: run `tests/run tools` once"),
    }
}

/// Runs to the end and keeps what was said.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ran {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ran {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A file of the repository, by its path from the root.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn find(name: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(repository("target/tools/venv/bin"))
        .chain(std::env::split_paths(&search))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::{run, tool};

    #[test]
    #[should_panic(expected = "run `tests/run tools` once")]
    fn a_missing_tool_says_what_to_do() {
        tool("no-such-tool");
    }

    #[test]
    fn a_tool_is_found_and_heard() {
        let said = run(tool("openssl").arg("version")).expect_success();
        assert!(said.starts_with("OpenSSL"), "{said}");
        assert!(
            tool("cargo-deny")
                .get_program()
                .to_string_lossy()
                .contains("target/tools")
        );
    }

    #[test]
    fn a_failure_is_kept() {
        let ran = run(tool("openssl").args(["x509", "-in", "no-such-file"]));
        assert!(!ran.success && !ran.stderr.is_empty(), "{ran:?}");
    }
}

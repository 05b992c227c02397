//! The `protem` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    protem::cli::run()
}

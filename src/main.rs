//! The `protem` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Nothing in what users run.
    let _points = protem::failpoint::armed();
    protem::cli::run()
}

//! The `protem` binary.

use std::process::ExitCode;

/// Every issuance makes some hundred small allocations; see `manual::decisions` for what it gains.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Nothing in what users run.
    let _points = protem::failpoint::armed();
    protem::cli::run()
}

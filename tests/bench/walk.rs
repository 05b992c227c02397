//! What one issuance costs, step by step, as a share of what cryptography alone would cost.
//!
//! `cargo bench --bench walk` prints the table; `-- steps`, `-- walks` and `-- wire` are its parts.
//! The bound is one ECDSA P-256 verification (the
//! request's proof of possession) plus one P-256 signature, measured in the same run, so the
//! ratios can be compared between machines and the absolute figures cannot.
//!
//! Promises: real store on a real disk with fsync, real policy, real TLS on loopback.
//! Refuses: assertions about time: it measures and prints.
#![allow(
    clippy::allow_attributes,
    reason = "shared modules have uses that the measurement has not"
)]
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::format_push_string,
    clippy::future_not_send,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::redundant_closure,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a measurement stops at the first fault, reads the clock and prints"
)]

#[path = "../it/live.rs"]
mod live;
#[path = "walk/measure.rs"]
mod measure;
#[path = "walk/steps.rs"]
mod steps;
#[path = "../it/tools.rs"]
mod tools;
#[path = "walk/wire.rs"]
mod wire;
#[path = "../it/world.rs"]
mod world;

/// As the server has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let parts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let table = runtime.block_on(steps::measure_all(&parts));
    println!("{}", table.render());
}

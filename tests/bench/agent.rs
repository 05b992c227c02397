//! What an agent costs, and how soon what it is told arrives where it is used.
//!
//! `cargo bench --bench agent` prints the table; `-- sds`, `-- workload` and `-- envoy` are its
//! parts. Server, agent, clients and Envoys are processes of their own on real sockets; clients are
//! this program again. `envoy` needs root: what tells its workloads apart is their group.
//!
//! Promises: the shipped limits; where one process may not have so many streams, there are more
//! processes, as on a host.
//! Refuses: assertions about time: it measures and prints.
#![allow(
    clippy::future_not_send,
    clippy::needless_for_each,
    clippy::used_underscore_binding,
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
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement stops at the first fault, reads the clock and prints"
)]

#[path = "../it/agent_place.rs"]
mod agent_place;
#[path = "../it/agent_wire.rs"]
mod agent_wire;
#[path = "agent/crowd.rs"]
mod crowd;
#[path = "agent/crowds.rs"]
mod crowds;
#[path = "agent/figures.rs"]
mod figures;
#[path = "../it/live.rs"]
mod live;
#[path = "agent/mesh.rs"]
mod mesh;
#[path = "agent/proxies.rs"]
mod proxies;
#[path = "agent/streams.rs"]
mod streams;
#[path = "../it/tools.rs"]
mod tools;

/// As the server and the agent have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if words.first().is_some_and(|word| word == crowd::WORD) {
        return crowd::run(&words[1..]);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let wanted = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    let mut table = figures::Table::default();
    runtime.block_on(async {
        if wanted("sds") {
            streams::sds(&mut table).await;
        }
        if wanted("workload") {
            streams::workload(&mut table).await;
        }
        if wanted("envoy") {
            proxies::measure(&mut table).await;
        }
    });
    println!("{}", table.render());
}

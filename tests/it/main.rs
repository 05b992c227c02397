//! The integration tests: one binary, one link step, one module for each duty.
//!
//! They see what an outsider sees: the public surface, the real process, the files of the
//! repository. What they need beyond cargo is installed by `tests/run tools` and found through
//! [`tools`]; a missing tool is a failure with words, never a skipped test.

#![allow(
    clippy::allow_attributes,
    reason = "the levels below are for the whole crate: an `expect` fails where one has no use yet"
)]
#![allow(
    clippy::as_conversions,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test speaks by failing, and owns its process; helpers here are not `in tests` for \
              clippy.toml"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::needless_pass_by_value,
    clippy::too_many_lines,
    reason = "tables of cases are long, hold their rows by value, and write DER by hand"
)]

mod abuse;
mod agent_churn;
mod agent_envoy;
mod agent_place;
mod agent_wire;
mod agents;
mod brought_issuer;
mod certificates;
mod cli;
mod client;
mod crash;
mod der;
mod dev;
mod doctor;
mod doors;
mod enforce;
mod envoy;
mod envoy_module;
mod faults;
mod generated;
mod hostile_callers;
mod hostile_csr;
mod hostile_mints;
mod hostile_names;
mod idle;
mod interop;
mod issue;
mod limits;
mod lint;
mod live;
mod manual;
mod mesh;
mod mesh_lint;
mod observability;
mod openapi;
mod openssl_csr;
mod races;
mod rest;
mod restart;
mod shutdown;
mod simulation;
mod store_contract;
mod store_sqlite;
mod strangers;
mod supervised;
mod systemd;
mod test_server;
mod tidy;
mod token_vectors;
mod tools;
mod uses;
mod world;

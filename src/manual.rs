//! The manual: how protem works, what it withstands, why it is so, and how to run it.
//!
//! | Page | For whom | Time |
//! |---|---|---|
//! | [`walk`] | whoever reads the code for the first time | 3 minutes |
//! | [`threats`] | whoever must trust it, or break it | 10 minutes |
//! | [`decisions`] | whoever wants to change it | as needed |
//! | [`operating`] | whoever runs it | as needed |
//! | [`runbook`] | whoever an alert has woken | as needed |
//! | [`agents`] | whoever runs agents | 5 minutes |
//! | [`mesh`] | whoever runs the proxies that enforce scopes | 3 minutes |
//! | [`strangers`] | whoever has a mesh, SPIRE or CI already | 5 minutes |
//!
//! Promises: what stands here holds for this version; what does not hold yet is said in the same
//! place. Examples are compiled and run as tests. `tests/it/manual.rs` fails when a test, limit or
//! dependency that is named here does not exist, or a dependency is not explained.
//! Refuses: plans. What is to be built stands in the issues.

pub mod agents;
pub mod decisions;
pub mod mesh;
pub mod operating;
pub mod runbook;
pub mod strangers;
pub mod threats;
pub mod walk;

//! Why it is so, what that costs, and what we would have done otherwise.
//!
//! | Page | Decisions about |
//! |---|---|
//! | [`certificates`] | bytes, keys, names, lives |
//! | [`policies`] | the engine, time, facts |
//! | [`ledgers`] | the store and what is remembered |
//! | [`callers`] | doors, tokens, instances, proxies |
//! | [`agents`] | local callers, sockets, Envoy's protocols, uses |
//! | [`services`] | services without a mesh |
//! | [`linting`] | which holes of a mesh are told, and which are not |
//! | [`speed`] | what an issuance costs, what was tried, what stands in the way |
//! | [`operations`] | starting, stopping, watching |
//! | [`libraries`] | every dependency, each with a sentence |
//!
//! # Where the building differs from its design
//!
//! The design names the promises. Where code taught better, or is not that far, it differs:
//!
//! - **A request is lent to the plan, not consumed.** The permit is used up by it, inside its
//!   warrant; the request may be needed once more when a fact changed and policy is asked again.
//! - **The evidence identifier is not `2.25.<uuid>`.** See [`certificates`].
//! - **The elevated intermediate always permits `scope.<td>`,** not only where the `dns` encoding
//!   is used. See [`certificates`].
//! - **Of leaves, one in 32 is verified after signing,** by the library that signed it; issuers are
//!   verified each, by another. See [`certificates`].
//! - **Envoy's recipe has two filters before the router, not three.** See [`callers`].
//! - **Policy tests are TOML,** not Cedar's JSON. One test is one question with its answer.
//! - **Policy time is cut to minutes.** See [`policies`].
//! - **The kill switch asks policy.** There is no local socket yet.
//!
//! Of the design's parts these do not exist yet: votes and people, signals, console, PostgreSQL,
//! the Merkle log, `simulate`, `replay`, `diff` and `prove`, Kubernetes.

pub mod agents;
pub mod callers;
pub mod certificates;
pub mod ledgers;
pub mod libraries;
pub mod linting;
pub mod operations;
pub mod policies;
pub mod services;
pub mod speed;

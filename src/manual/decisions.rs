//! Why it is so, what that costs, and what we would have done otherwise.
//!
//! | Page | Decisions about |
//! |---|---|
//! | [`certificates`] | bytes, keys, names, lives |
//! | [`policies`] | the engine, time, facts |
//! | [`ledgers`] | the store and what is remembered |
//! | [`callers`] | doors, tokens, instances, proxies |
//! | [`libraries`] | every dependency, each with a sentence |
//!
//! # Where the building differs from its design
//!
//! The design names the promises. Where code taught better, or is not that far, it differs:
//!
//! - **A permit is not consumed by the plan.** The walk lends it to the planner and drops it. It
//!   cannot be copied or kept all the same, and the versions in it are checked once more when it is
//!   recorded. `Warrant::Permit` is a word that nothing says yet: only `Bootstrap` and `Rotation`
//!   are used.
//! - **The evidence identifier is not `2.25.<uuid>`.** See [`certificates`].
//! - **The elevated intermediate always permits `scope.<td>`,** not only where the `dns` encoding
//!   is used. See [`certificates`].
//! - **A leaf is verified by the library that signed it;** issuers are verified by another. See
//!   [`certificates`].
//! - **Envoy's recipe has two filters before the router, not three.** See [`callers`].
//! - **Policy tests are TOML,** not Cedar's JSON. One test is one question with its answer.
//! - **Policy time is cut to minutes.** See [`policies`].
//! - **The kill switch asks policy.** There is no local socket yet.
//! - **No buckets for each caller** before recording, and no counted overflow.
//! - **Outcomes of the authority's own certificates are `svid.issued`,** as those of workloads;
//!   their intents are `authority.intent`.
//!
//! Of the design's parts these do not exist yet: votes and people, signals, agent, gRPC, console,
//! PostgreSQL, the Merkle log, `simulate`, `replay`, `diff` and `prove`, mesh generators,
//! Kubernetes.

pub mod callers;
pub mod certificates;
pub mod ledgers;
pub mod libraries;
pub mod policies;

//! protem mints minutes-long SPIFFE X.509 SVIDs. A right is a scope in the certificate's SAN.
//!
//! The mesh that already checks certificates enforces the right, and the certificate's own notAfter
//! ends it. No decision point stands in the data path. This page is the map; the manual is in the
//! module `manual` (`cargo doc --open` shows it): the walk, the threats, the decisions, operating.
//!
//! # What it is not
//!
//! - Not a proxy and not a policy check for each request: it decides when a certificate is minted.
//! - Not a certificate authority for web sites: leaves carry one SPIFFE ID each.
//! - Not a revocation service: what was minted ends by itself. Lives are short for that reason.
//! - Not a store of secrets: it never sees a workload's private key.
//!
//! # The house
//!
//! Rooms in reading order, from the lowest floor to the highest. A room imports only from floors
//! below its own; rooms on one floor do not know each other. The table in `tests/it/tidy.rs` is the
//! law, and a finding there says what to do.
//!
//! | Floor | Room | One line |
//! |---|---|---|
//! | words | [`mod@time`] | one moment, one span, one clock |
//! | words | [`id`] | a typed id for each kind of thing; the one source of chance |
//! | words | [`failpoint`] | points between the steps of a walk where tests stop it |
//! | words | [`identity`] | trust domains, SPIFFE IDs, subjects, groups, selectors |
//! | words | [`metric`] | the table of all metrics, and their instruments |
//! | words | [`scope`] | scopes, and the three ways to write one into a SAN |
//! | crafts | [`x509`] | keys, requests and certificates: read strictly, checked, never built |
//! | crafts | [`policy`] | question + facts + moment -> permit or denial; Cedar lives here |
//! | crafts | [`elevation`] | the states of one request for one scope, and its four clocks |
//! | crafts | [`attestation`] | who is on the other end, and what is registered about him |
//! | crafts | [`audit`] | the event and its one canonical text |
//! | crafts | [`wire`] | the shapes of the REST door |
//! | crafts | [`proto`] | the messages of gRPC: SPIFFE's, Envoy's, and our own |
//! | memory | [`store`] | verbs that are each one durable act with its event; SQLite below |
//! | signing | [`pki`] | profiles, plans, issuers, the signature, the trust bundle |
//! | walks | [`service`] | issue, elevate, revoke, sweep, search, and the admin plane |
//! | doors | [`api`] | REST over TLS: connections, extractors, problems, one file an endpoint |
//! | doors | [`client`] | the same door from outside |
//! | doors | [`keyset`] | the keys of token issuers, from files and over the net |
//! | root | [`config`], [`lifecycle`], [`telemetry`] | what is set; start and stop; logs |
//! | root | [`agent`] | on each host: attests local callers, keeps their SVIDs, hands them over |
//! | root | [`enforce`] | for services without a mesh: a right ends with its certificate |
//! | root | [`mesh`] | what a mesh must be told so that it enforces a scope, and its holes |
//! | root | [`server`] | the parts put together, in the order in which they need each other |
//! | root | [`cli`] | the command `protem`: a client, also of a server in its own process |
//!
//! Ten minutes: this page, then [`service::issue`] (the walk), then `tests/it/issue.rs` (the same
//! walk as tests), then `policy/elevate.cedar` (why it said yes).
//!
//! # The words
//!
//! One word for one thing, in code, wire, log and policy. Words of the SPIFFE standards mean what
//! the standards say: trust domain, SPIFFE ID, SVID, bundle, selector, registration entry.
//!
//! | Word | Means | Type |
//! |---|---|---|
//! | subject | a workload's SPIFFE ID without any scope | [`identity::Subject`] |
//! | scope | a named right of the catalogue `scopes.toml` | [`scope::Scope`] |
//! | base SVID | the ordinary identity of a workload | [`scope::SvidName::Base`] |
//! | elevated SVID | an SVID that carries exactly one scope | [`scope::SvidName::Elevated`] |
//! | elevation | one request for one scope, and what becomes of it | [`elevation::Elevation`] |
//! | use | what a server's access log shows of an elevated SVID | [`elevation::Used`] |
//! | reporter | an agent that tells of uses, at servers it obtains SVIDs for | [`service::uses`] |
//! | cover | its word that it told of all, from when to when | [`service::uses::Cover`] |
//! | instance | one running holder: the hash of its key | [`id::Instance`] |
//! | entry | what is registered of a workload before it calls | [`attestation::Entry`] |
//! | approval, denial | one person's word, in the name of one group | [`policy::Approvals`] |
//! | signal | a fact about the world that has an end | [`policy::SignalFact`] |
//! | fact | what a verdict rests on and may change; it has a version | [`policy::Facts`] |
//! | verdict | what policy answers | [`policy::Verdict`] |
//! | outlook | what policy would answer; it opens nothing | [`policy::Outlook`] |
//! | warrant | what lets the authority plan a certificate | [`pki::Warrant`] |
//! | plan | the exact to-be-signed bytes of one certificate | [`pki::Plan`] |
//! | recorded | durable together with its event, and so fit to be signed | [`store::Recorded`] |
//! | intent, outcome | the events before and after a signature | [`audit::EventKind`] |
//! | event | one audit record, with one canonical text | [`audit::SealedEvent`] |
//! | ledger | all events, numbered from 1 without gaps | [`store::Store::events`] |
//! | holder | one running holder at an agent, as the agent tells it | [`id::Holder`] |
//! | caller | who is on the other end: workload, token, operator | [`attestation::Caller`] |
//! | claimant | who holds a token of a configured issuer | [`attestation::Claimant`] |
//!
//! Checkpoint and receipt, and controller are words for what is still to come.

pub mod agent;
pub mod api;
pub mod attestation;
pub mod audit;
pub mod cli;
pub mod client;
pub mod config;
pub mod elevation;
pub mod enforce;
pub mod failpoint;
pub mod id;
pub mod identity;
pub mod keyset;
pub mod lifecycle;
#[cfg(any(doc, doctest))]
pub mod manual;
pub mod mesh;
pub mod metric;
pub mod pki;
pub mod policy;
pub mod proto;
pub mod scope;
pub mod server;
pub mod service;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod wire;
pub mod x509;

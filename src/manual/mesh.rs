//! What makes an end true in a mesh, and what `protem mesh` prints for which.
//!
//! A certificate's notAfter is looked at in the handshake. A connection that is open goes on, and a
//! session that is resumed is not looked at again: with the defaults of Envoy, nginx, HAProxy and
//! rustls an ended certificate opens new connections for hours. So each text that `protem mesh`
//! prints begins with the tier that it reaches:
//!
//! | Tier | Access can outlive notAfter by | By |
//! |---|---|---|
//! | 0 | any time, on what is open | the defaults |
//! | 1 | the age of a connection and a stream | no resumption, ages computed from the life |
//! | 2 | 50 ms (HTTP) | the recipe: what is left of the certificate limits each request |
//! | 3 | 10 ms (everything) | the module of `deploy/envoy`, in Envoy |
//!
//! # Which mesh
//!
//! | Mesh | Encoding | Server | Client | Tried |
//! |---|---|---|---|---|
//! | Envoy 1.40, HTTP | all | tier 2, deny list | an SVID for each request | as it is |
//! | Envoy 1.40, raw TCP | `path`, `folded` | tier 1, deny list | a listener for each | as it is |
//! | Istio's sidecars | `path`, `folded` | tier 2 by patches | a credential a host | in Envoy |
//! | Linkerd | `path`, `folded` | tier 0 | none | the text's form |
//! | Consul | `folded` | tier 0, or Envoy's as escape hatch | as Envoy | its rules, in Envoy |
//! | HAProxy 3.1 | `path`, `folded` | new requests within 1 s, else tier 0 | none | no |
//! | nginx | none: it reads no SAN | tier 0; the service must read the name | none | no |
//!
//! # How old a connection may become
//!
//! Life, less the latest renewal (0.55 of it), less drain and margin (3 s), at most 0.4 of it: 24 s
//! of 60 s, 2 minutes of 5. A pool that keeps connections for longer shows an old certificate and
//! is denied while a new one lies there (817 of 1,061 requests, measured); an agent takes an
//! on-demand secret away with the last certificate of a right. Streams may last for a life.
//!
//! # Base rights
//!
//! A rule names whole SPIFFE IDs. Under `path` and `folded` an elevated identity is another name:
//! it may do what its scope opens, and loses what exact rules give to the base identity; Istio's
//! rules by namespace or service account still let a `path` name in. Under `dns` it keeps the base
//! name, and all that this one may do. `--base-rights` names base identities that may do without
//! elevation what the scope opens.
//!
//! # Traps that the texts step around
//!
//! - A name matched by its end lets in other workloads and other trust domains; by its beginning,
//!   other scopes (`mesh::table`: twelve rules against nine certificates in a real Envoy).
//! - Envoy's RBAC for raw TCP is asked at the client's first byte. A service that speaks first
//!   would speak to everybody, so names are asked in the handshake too; the deny list cannot be.
//! - The selector of certificates fails open with a factory that is not hashable: base requests
//!   ride elevated connections. The client's text says how to try it; `mesh::client` does.
//! - A sidecar of Istio believes the retry headers of its peers, and a retry has a new limit.
//!
//! # What goes wrong, and what one sees
//!
//! | Seen | Means |
//! |---|---|
//! | 403, `left_ms` 0 or less | the certificate had ended: a pool without bound, or a late agent |
//! | 403, `left_ms` more | the name is not in the rules |
//! | flag `UMSDR` | a stream ended with its certificate |
//! | 400 at the client's Envoy | x-protem-scope names another scope |
//! | 503 at the client's Envoy | the agent has no SVID for the scope |
//!
//! Not done: a check of configurations that exist already, and texts with the module of tier 3.

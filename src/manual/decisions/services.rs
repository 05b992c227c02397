//! Decisions about services that check certificates themselves, without a mesh.
//!
//! # The end stands in the connection, not in the handler
//!
//! A layer that looks at notAfter for each request leaves streams, upgrades and idle connections
//! open. So [`Guarded`](crate::enforce::Guarded) stands between TLS and whatever runs on it: from
//! notAfter on nothing is read or written. Price: an answer that is half written then is cut, as by
//! a proxy; a handler that must finish takes less time than its peer's certificate lives.
//!
//! # The layer matches whole SPIFFE IDs
//!
//! [`Require`](crate::enforce::Require) takes a list of exact ids, each with its scope. A function
//! "has scope" would let in whoever holds that scope in any path of any trust domain below the same
//! roots. Price: a service that many workloads may call names them all.
//!
//! # One function serves
//!
//! axum and tonic each have a server of their own, and each would need the peer handed through it
//! in another way. [`serve`](crate::enforce::serve) takes any tower service, so that both examples
//! differ in their service alone. Who has a server already takes
//! [`never_resume`](crate::enforce::never_resume) and [`Doorman`](crate::enforce::Doorman).
//!
//! # The clock is the host's
//!
//! As in a proxy. It is looked at for each read and write, and at least each second; an end that
//! was reached stays reached when the clock is set back.

//! An Envoy module that makes the end of a certificate true for every protocol over TCP.
//!
//! TLS looks at notAfter in the handshake only, and connections live on. Envoy's own filters can
//! ask again for each HTTP request (`deploy/demo/server.yaml`); nothing of theirs knows notAfter
//! for a connection as such. This module does.
//!
//! | `filter_name` | Does | `filter_config` |
//! |---|---|---|
//! | `end` | closes connections whose certificate ends or is denied | `unreadable=close`, `=pass` |
//! | `deny_list` | denies certificates, in the whole process | their SHA-256 in hexadecimal |
//!
//! Before `end` stands Envoy's own `set_filter_state`, which writes what Envoy knows of the peer's
//! certificate as [`peer::KEY`]: notAfter in Unix seconds, a space, the SHA-256 of its DER.
//!
//! # Promises
//!
//! - From notAfter on, by the wall clock, no byte passes in either direction: the clock is read for
//!   each piece of data. An idle connection is closed by a timer. The second of notAfter itself
//!   counts as ended, as in the handshake.
//! - A digest that a new `deny_list` names is cut on live connections when the list comes.
//! - A connection whose peer is not known (no TLS, no certificate, no `set_filter_state` before) is
//!   closed before a byte passes, unless the configuration says `unreadable=pass`.
//! - A clock that is set is noticed within a second.
//! - Each cut is a line in Envoy's log (`dynamic_modules`), a counter, and the termination details
//!   of the connection's access log.
//! - A configuration that is not understood is refused with words, and the one before stays.
//! - No panic reaches Envoy: it counts as a connection that cannot be read.
//!
//! # Refuses
//!
//! To look at the certificate itself: whether a chain is valid and whom it names is Envoy's word.
//! To flush: what was not handed to the kernel at notAfter is dropped.
//!
//! # Walk
//!
//! [`abi`] is where Envoy calls, and the only file with `unsafe`; [`settings`] reads
//! configurations, [`peer`] what is known of a certificate, [`filter`] decides for one connection,
//! and [`agenda`] knows all of them: who ends when, and who is denied.

#![expect(
    rustdoc::private_intra_doc_links,
    reason = "all of it is private but the hooks: read it with --document-private-items"
)]

#[expect(
    unsafe_code,
    reason = "Envoy's interface is C: pointers come in, and functions are found by name"
)]
mod abi;
mod agenda;
mod clock;
mod filter;
mod peer;
mod settings;

//! Envoy's secret discovery service: SVIDs and validation contexts by name.
//!
//! | Name | Answered with |
//! |---|---|
//! | `default` | the base SVID of the caller's first entry |
//! | a SPIFFE ID of his | its base SVID; of a subject with a scope, the elevated SVID |
//! | `scope/<scope>` | the elevated SVID of the first entry's subject |
//! | `ROOTCA`, his trust domain, `<any of these>-cacert` | the roots of his trust domain |
//! | a trust domain that he federates with | its roots |
//! | `ALL` | the roots of all of these, each for its own names |
//!
//! Each also with `sds://` in front, as Istio asks. Everything is each base SVID and each trust
//! domain's roots: an elevated SVID must be asked for by name.
//!
//! Promises: what a name is answered with, and its version, depend on what it names and on nothing
//! else; an elevated SVID is never under a name that says no scope, and is out of use a second
//! before its end; nothing ended or not begun goes out. A name that opens an elevation does so
//! once for each time that somebody begins to ask for it.
//! Refuses: callers without an entry, for whom every name is unknown; keys of others.

mod name;
mod node;
mod offer;
mod secret;
mod service;
mod shelf;
mod source;

pub(crate) use crate::agent::sds::secret::Validator;
pub(crate) use crate::agent::sds::service::{Options, Sds};

#[cfg(test)]
mod tests;

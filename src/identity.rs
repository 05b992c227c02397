//! SPIFFE trust domains and SPIFFE IDs, exactly as the SPIFFE ID standard writes them.
//!
//! Promises: a [`SpiffeId`] that exists is valid (SPIFFE-ID sections 2.1 to 2.4) and prints back
//! to the very text it was read from; nothing is normalised, so one identity has one spelling. A
//! [`Subject`] is moreover a base identity: it has a path, and uses none of the parts that
//! protem reserves for elevated names (DESIGN section 6).
//! Refuses: every deviation, each with an error of its own, and stricter than the standard: path
//! segments of dots only (`...`), trust domains that are IP literals or hold `_` (assurance S7:
//! several validators fail whole chains on them).

mod error;
mod group;
mod selector;
mod spiffe_id;
mod subject;
mod trust_domain;

pub use crate::identity::error::SpiffeIdError;
pub use crate::identity::group::{GROUP_BYTES_MAX, Group, GroupError};
pub use crate::identity::selector::{SELECTOR_BYTES_MAX, SELECTOR_KINDS, Selector, SelectorError};
pub use crate::identity::spiffe_id::{SPIFFE_ID_BYTES_MAX, SpiffeId};
pub use crate::identity::subject::Subject;
pub(crate) use crate::identity::subject::{FOLD, SCOPE_SEGMENT};
pub use crate::identity::trust_domain::{TRUST_DOMAIN_BYTES_MAX, TrustDomain};

//! Who is on the other end: callers, what proves them, and what is registered about them.
//!
//! Promises: a [`Caller`] is made only from something that was proved: a verified certificate, or
//! a secret whose digest the store holds. Secrets never print.
//! Refuses: certificates that protem would not have minted (assurance M6, M7, M10): exactly one
//! URI SAN of the own trust domain, and nothing that names no workload.

mod bearer;
mod caller;
mod entry;
mod neighbour;

pub use crate::attestation::bearer::{Bearer, BearerError, Secret, SecretDigest};
pub use crate::attestation::caller::{AttestationError, Caller, PeerNames, Workload};
pub use crate::attestation::entry::{
    ENTRY_GROUPS_MAX, ENTRY_OBTAINERS_BYTES_MAX, ENTRY_OBTAINERS_MAX, ENTRY_SELECTORS_MAX, Entry,
    EntryTerms, EntryTermsError, HINT_BYTES_MAX, Obtainer,
};
pub use crate::attestation::neighbour::Neighbour;

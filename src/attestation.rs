//! Who is on the other end: callers, what proves them, and what is registered about them.
//!
//! Promises: a [`Caller`] is made only from something that was proved: a verified certificate, a
//! secret whose digest the store holds, or a token that a configured issuer signed. Secrets never
//! print.
//! Refuses: certificates with other names than protem mints or than a configured trust domain has
//! (assurance M6, M7, M10): exactly one URI SAN, and nothing that names no workload.

mod bearer;
mod caller;
mod entry;
mod foreign;
mod issuer;
mod jws;
mod key_set;
mod neighbour;
mod strict_json;
mod token_error;

pub use crate::attestation::bearer::{Bearer, BearerError, Secret, SecretDigest};
pub use crate::attestation::caller::{AttestationError, Caller, PeerNames, Workload};
pub use crate::attestation::entry::{
    AGENT_ENTRIES_MAX, ENTRY_GROUPS_MAX, ENTRY_OBTAINERS_BYTES_MAX, ENTRY_OBTAINERS_MAX,
    ENTRY_SELECTORS_MAX, Entry, EntryTerms, EntryTermsError, HINT_BYTES_MAX, Obtainer,
};
pub use crate::attestation::foreign::{ForeignTrustDomain, ForeignTrustDomainError};
pub use crate::attestation::issuer::{
    Claimant, IssuerError, IssuerTerms, LEEWAY_MAX, TOKEN_LIFE_MAX, TokenIssuer,
};
pub use crate::attestation::jws::{Jws, JwsAlgorithm, TOKEN_BYTES_MAX};
pub use crate::attestation::key_set::{KEYS_MAX, KeySet};
pub use crate::attestation::neighbour::Neighbour;
pub use crate::attestation::token_error::{KeySetError, TokenError};

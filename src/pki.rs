//! What is signed: profiles, plans, issuers, and the bundle that others trust.
//!
//! Promises: plan, record, sign, check (DESIGN section 4). A certificate is built from a
//! [`Warrant`], made durable by `store::record`, signed once, read back with other code and
//! compared, and its outcome is durable before anybody gets it.
//! Refuses: names from requests, private keys for the builder, URI name constraints.

mod authority;
mod bundle;
mod finish;
mod issuing;
mod key;
mod keystore;
mod plan;
mod profile;
mod rotation;

pub use crate::pki::authority::{Authority, MintTerms, Setup, SetupError, Warrant};
pub use crate::pki::bundle::{BundleError, TrustBundle};
pub use crate::pki::finish::{FinishError, Svid};
pub use crate::pki::issuing::{Issuing, SignError};
pub use crate::pki::keystore::KeystoreError;
pub use crate::pki::plan::{Plan, PlanError, Planned};
pub use crate::pki::profile::{
    IssuerName, Profile, ProfileError, ProfileFault, ProfileName, Profiles,
};
pub use crate::pki::rotation::{SERVER_PATH, Started};

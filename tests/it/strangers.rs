//! Callers whom others vouch for, against a whole server with real TLS: tokens of issuers and SVIDs
//! of other authorities, the good ones and the hostile ones.

mod foreign;
mod hostile_tokens;
pub(crate) mod house;
mod issuers;
mod signer;

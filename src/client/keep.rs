//! What it takes to keep an SVID on this machine: the folder, and when to ask for the next.
//!
//! Promises: a reader of the folder meets whole files only; renewals of a fleet that started
//! together do not come together.
//! Refuses: to ask for anything. Who keeps an SVID asks for it himself.

mod envoy;
mod folder;
mod timing;

pub(crate) use crate::client::keep::folder::{Contents, KeptFolder};
pub(crate) use crate::client::keep::timing::{Stop, pause_after, renewal_point, until};

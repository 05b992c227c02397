//! Envoy's discovery protocol (xDS), state of the world and delta, whatever is discovered.
//!
//! ```text
//! request --> dialect --> subscriptions --> source: offers --> dialect --> response
//! ```
//!
//! Promises: each name is answered by itself, and a name that nobody knows ends nothing; versions
//! only rise; a refused response is not sent again, the next content is; nothing stands in line
//! for a client that does not read, he gets the newest when he does. Before a secret goes
//! out, the caller is attested: anew where it is the first under its name, else within a second.
//! Refuses: to know what a resource means.

mod content;
mod delta;
mod dialect;
mod lean;
mod session;
mod sotw;
mod streams;
mod subscriptions;
mod version;

pub(crate) use crate::agent::xds::content::{Content, Offer, Source};
pub(crate) use crate::agent::xds::delta::Delta;
pub(crate) use crate::agent::xds::lean::{Lean, Pot};
pub(crate) use crate::agent::xds::session::{Responses, open};
pub(crate) use crate::agent::xds::sotw::Sotw;
pub(crate) use crate::agent::xds::streams::{Place, Service, Streams, StreamsMax};
pub(crate) use crate::agent::xds::subscriptions::{Subscription, Subscriptions};
pub(crate) use crate::agent::xds::version::{Digest, Version};

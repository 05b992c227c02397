//! What a service of discovery offers, and how it is asked for it.
//!
//! Promises: an offer says of one name what holds at this moment, and depends on nothing else that
//! is named.
//! Refuses: protocol; that is the dialects'.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use prost_types::Any;
use tonic::Status;

use crate::agent::caller::Look;
use crate::agent::holdings::Generation;
use crate::agent::xds::{Digest, Subscription, Subscriptions};
use crate::proto::core::Node;
use crate::time::Timestamp;

/// One resource, ready to be sent.
pub(crate) trait Content {
    /// When it was made; later ones are greater.
    fn generation(&self) -> Generation;

    /// Which content it is.
    fn digest(&self) -> Digest;

    /// The resource under the name by which it was asked for.
    fn encode(&self, name: &str) -> Any;

    /// When it must not be in use any more; nothing for what ends by itself or never.
    fn ends(&self) -> Option<Timestamp> {
        None
    }

    /// Whether whoever gets it can do more than without it.
    fn raises_rights(&self) -> bool;
}

/// What holds of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Offer<C> {
    /// There is no such thing for this caller, or not any more.
    Absent,
    /// It is his and will come by itself: nothing is said of it.
    Awaited,
    /// Somebody is being asked: a client is kept waiting for a while, then told that it is absent.
    Deciding,
    /// Here it is.
    Ready(C),
}

/// Where the resources of one stream come from.
pub(crate) trait Source: Send + 'static {
    /// Its resources.
    type Content: Content + Send;

    /// The type of its resources.
    const TYPE_URL: &'static str;
    /// All names that there can be, where that is fixed.
    const NAMES: Option<&'static [&'static str]>;

    /// Reads what a client says of himself; only the first is taken.
    fn node(&mut self, node: &Node);

    /// Attests the caller, and holds what fits what he shows.
    fn attest(&mut self, look: Look) -> impl Future<Output = Result<(), Status>> + Send;

    /// Takes up what is newest, and says further down what the subscriptions want.
    fn refresh(
        &mut self,
        subscriptions: &mut Subscriptions,
    ) -> impl Future<Output = Result<(), Status>> + Send;

    /// Whether this caller is to be given nothing, as far as anybody can tell now.
    fn serves_nobody(&self) -> bool;

    /// The names that a subscription to everything means now.
    fn everything(&self) -> Vec<Arc<str>>;

    /// What holds of one name. `delta`: a client who can be told that something is absent.
    fn offer(&self, name: &str, subscription: &Subscription, delta: bool) -> Offer<Self::Content>;

    /// Ends when something is newer.
    fn changed(&mut self) -> impl Future<Output = Result<(), Status>> + Send;

    /// How long until this moment of the wall clock.
    fn until(&self, moment: Timestamp) -> Duration;

    /// Milliseconds of a clock that nobody sets.
    fn running_ms(&self) -> i64;
}

//! Who is on the other end of a socket, as far as the services for Envoy ask.
//!
//! Promises: one connection has one caller; he is looked at anew each time that he is attested.
//! Refuses: to believe what a caller says of himself in a message.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use tonic::{Request, Status};

use crate::id::Holder;
use crate::identity::Selector;

/// The process at the other end of a connection; tonic's connect info of each request.
pub(crate) trait Caller: Clone + Send + Sync + 'static {
    /// Why he could not be attested.
    type Error: fmt::Display + Send;

    /// What he shows at this moment.
    fn attest(&self) -> impl Future<Output = Result<Arc<BTreeSet<Selector>>, Self::Error>> + Send;

    /// The same, or what he showed within the last second: for what he was given before.
    fn attest_lately(
        &self,
    ) -> impl Future<Output = Result<Arc<BTreeSet<Selector>>, Self::Error>> + Send {
        self.attest()
    }

    /// Which running holder he is.
    fn holder(&self) -> Holder;

    /// His user, as this host counts.
    fn uid(&self) -> u32;

    /// His process, as this host counts.
    fn pid(&self) -> u32;

    /// Whether he was root of this host, not of a container, when he connected: says how much he
    /// may have open, and gives no right.
    fn is_root_of_host(&self) -> bool;
}

/// How new what a caller shows must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Look {
    /// At most a second old: he is given anew what he was given before, and ten thousand streams
    /// may be at once.
    Lately,
    /// Of this moment.
    Anew,
}

/// Whom the connection of a request names.
///
/// # Errors
/// When it names nobody: the socket does not look who connects.
pub(crate) fn caller_of<P: Caller, T>(request: &Request<T>) -> Result<P, Status> {
    let caller = request.extensions().get::<P>();
    caller
        .cloned()
        .ok_or_else(|| Status::unavailable("the connection does not say who calls"))
}

/// What a caller shows.
///
/// # Errors
/// When he cannot be attested.
pub(crate) async fn attest<P: Caller>(
    caller: &P,
    look: Look,
) -> Result<Arc<BTreeSet<Selector>>, Status> {
    let attested = match look {
        Look::Anew => caller.attest().await,
        Look::Lately => caller.attest_lately().await,
    };
    attested.map_err(|error| Status::unavailable(format!("the caller is not attested: {error}")))
}

//! The walks: each file is one thing that a caller can have done.
//!
//! Promises: every walk asks policy with the facts that hold now, and records before it answers.
//! The longest is [`issue`]: facts, permit, plan, record, signature.
//! Refuses: to know HTTP, TLS, files or environment; whatever is asked came through a door and
//! is made of valid types.

mod admission;
pub mod agents;
mod allowance;
mod ask;
pub mod callers;
mod changes;
pub mod clock;
pub mod denials;
pub mod elevate;
pub mod entries;
mod error;
pub mod issue;
mod metrics;
mod obtain;
pub mod operators;
mod pending;
pub mod policies;
pub mod revoke;
mod roots;
pub mod rotate;
pub mod search;
pub mod sweep;
pub mod tokens;
mod turns;
pub mod uses;
mod waits;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::attestation::Caller;
use crate::audit::{Event, EventKind};
use crate::id::PolicyVersion;
use crate::id::entropy::Entropy;
use crate::pki::{Authority, TrustBundle};
use crate::policy::Bundle;
use crate::service::admission::Admission;
use crate::service::allowance::Allowance;
use crate::service::callers::Strangers;
use crate::service::changes::Changes;
use crate::service::clock::ClockWatch;
use crate::service::denials::Denials;
use crate::service::issue::living::Living;
use crate::service::metrics::Metrics;
use crate::service::pending::Anew;
use crate::service::roots::Roots;
use crate::service::turns::{Seats, Turns};
use crate::service::uses::Covers;
use crate::service::waits::Waits;
use crate::store::{Store, StoreError};
use crate::time::{Clock, Timestamp};

pub use crate::service::admission::Place;
pub use crate::service::error::{Refusal, ServiceError};
pub use crate::service::roots::RootsDer;
pub use crate::service::turns::Seat;
pub use crate::service::waits::Wait;

/// Everything that a walk needs; one for each server.
pub struct Service {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) authority: Authority,
    pub(crate) entropy: Entropy,
    pub(crate) clock: ClockWatch,
    /// Written by [`Service::take_up`] alone.
    policy: RwLock<Option<InForce>>,
    admission: Admission,
    allowance: Allowance,
    waits: Waits,
    anew: Anew,
    covers: Covers,
    searches: Turns,
    batches: Seats,
    watches: Seats,
    changes: Changes,
    denials: Denials,
    living: Living,
    roots: Roots,
    metrics: Metrics,
    /// Whom others vouch for.
    strangers: Strangers,
}

impl Call {
    /// An event that the caller causes, with who vouches for him.
    pub(crate) fn event(&self, kind: EventKind, at: Timestamp) -> Event {
        let event = Event::new(kind, at, &self.caller.to_string());
        let vouched = self.caller.vouched().into_iter();
        vouched.fold(event, |event, (name, text)| event.and(name, text))
    }
}

/// The policy that decides.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Its version.
    pub version: PolicyVersion,
    /// The compiled bundle.
    pub bundle: Arc<Bundle>,
    /// Who activated it.
    pub author: String,
    /// When.
    pub activated_at: Timestamp,
}

/// Who calls, and from where.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who, proved.
    pub caller: Caller,
    /// From where, when there is an address.
    pub source: Option<IpAddr>,
}

impl Service {
    /// A service on a store and an authority that are open.
    ///
    /// # Errors
    /// When the store cannot be read, or the policy in force cannot be compiled.
    pub async fn open(
        store: Arc<dyn Store>,
        authority: Authority,
        clock: Arc<dyn Clock>,
        entropy: Entropy,
    ) -> Result<Self, ServiceError> {
        let head = store.head().await?;
        let service = Self {
            store,
            authority,
            entropy,
            clock: ClockWatch::new(clock, head.map(|head| head.at)),
            policy: RwLock::new(None),
            admission: Admission::default(),
            allowance: Allowance::default(),
            waits: Waits::default(),
            anew: Anew::default(),
            covers: Covers::default(),
            searches: Turns::of_searches(),
            batches: Seats::of_batches(),
            watches: Seats::of_watches(),
            changes: Changes::default(),
            denials: Denials::default(),
            living: Living::default(),
            roots: Roots::default(),
            metrics: Metrics::default(),
            strangers: Strangers::default(),
        };
        service.refresh_policy().await?;
        service.recall_denials(head).await?;
        Ok(service)
    }

    /// The bundle that others put into their trust stores.
    #[must_use]
    pub fn trust_bundle(&self) -> TrustBundle {
        TrustBundle::new(self.authority.root().into_iter().cloned().collect())
    }

    /// The authority, for doors that verify peers by its anchor.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Now, by the clock whether or not it is in doubt.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether this server can record, sign and decide right now.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn ready(&self) -> Result<(), ServiceError> {
        self.store.probe().await?;
        self.willing()
    }

    /// Whether anything but the store keeps this server from minting: what a person must decide.
    ///
    /// # Errors
    /// [`ServiceError::ClockInDoubt`] and [`ServiceError::NoPolicy`].
    pub fn willing(&self) -> Result<(), ServiceError> {
        self.clock.sure()?;
        self.in_force()?;
        Ok(())
    }

    /// The policy that decides.
    ///
    /// # Errors
    /// [`ServiceError::NoPolicy`] before the first activation.
    pub fn in_force(&self) -> Result<InForce, ServiceError> {
        let policy = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        policy.clone().ok_or(ServiceError::NoPolicy)
    }

    /// Takes up the policy that the store says is in force.
    async fn refresh_policy(&self) -> Result<(), ServiceError> {
        let Some(active) = self.store.active_policy().await? else {
            return Ok(());
        };
        let source = crate::policy::BundleSource::from_bytes(&active.content)?;
        let bundle = Bundle::compile(&source).map_err(ServiceError::Bundle)?;
        let in_force = InForce {
            version: active.version,
            bundle: Arc::new(bundle),
            author: active.author,
            activated_at: active.activated_at,
        };
        self.take_up(in_force);
        Ok(())
    }

    /// Lets a policy decide, unless a later one does: two may come into force at once.
    fn take_up(&self, in_force: InForce) {
        let mut policy = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        if policy
            .as_ref()
            .is_none_or(|known| known.version < in_force.version)
        {
            *policy = Some(in_force);
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// The caller's name in events of the server itself.
pub(crate) const SERVER: &str = "server";

/// Checks that a result of the store was refused only because a fact changed meanwhile.
pub(crate) const fn is_stale(error: &StoreError) -> bool {
    matches!(error, StoreError::FactChanged(_) | StoreError::SerialTaken)
}

/// How often a walk decides anew when the facts change under it.
pub(crate) const DECIDE_ATTEMPTS_MAX: usize = 8;

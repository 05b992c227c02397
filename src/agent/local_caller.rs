//! Who is on the other end of a local socket, as the services see him.
//!
//! Promises: one caller a connection; asking again tells what he shows now, not what he showed when
//! he connected.
//! Refuses: anything that the caller says about himself.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tonic::Extensions;

use crate::agent::attestor::Peer;
use crate::agent::caller::Caller;
use crate::agent::refusal::Refusal;
use crate::id::Holder;
use crate::identity::Selector;

/// How a caller is attested. The attestor does it by the kernel's word; tests say what they like.
pub(crate) trait Attest: Send + Sync + 'static {
    /// What the caller shows at this moment.
    fn attest(&self) -> BoxFuture<'_, Result<Arc<BTreeSet<Selector>>, AttestFailure>>;

    /// The same, or what he showed within the last second.
    fn attest_lately(&self) -> BoxFuture<'_, Result<Arc<BTreeSet<Selector>>, AttestFailure>> {
        self.attest()
    }

    /// The calling process, as elevations are bound to it.
    fn holder(&self) -> Holder;

    /// Its user.
    fn uid(&self) -> u32;

    /// Its number.
    fn pid(&self) -> u32;

    /// As [`Caller::is_root_of_host`].
    fn is_root_of_host(&self) -> bool;

    /// Counts that it failed; where a line of the log is due, how many were kept back.
    fn failed(&self) -> Option<u64> {
        Some(0)
    }
}

/// Why it failed, for the log.
pub(crate) type AttestFailure = Box<dyn Error + Send + Sync>;

/// The caller of one connection; tonic hands it on with each request.
#[derive(Clone)]
pub(crate) struct LocalCaller(pub(crate) Arc<dyn Attest>);

impl LocalCaller {
    /// The caller of a request.
    ///
    /// # Errors
    /// [`Refusal::NotAttested`] where the connection was accepted without one.
    pub(crate) fn of(extensions: &Extensions) -> Result<Self, Refusal> {
        extensions
            .get::<Self>()
            .cloned()
            .ok_or(Refusal::NotAttested)
    }

    /// What he shows at this moment.
    ///
    /// # Errors
    /// [`Refusal::NotAttested`], with the reason in the log where a line is due.
    pub(crate) async fn attest(&self) -> Result<Arc<BTreeSet<Selector>>, Refusal> {
        self.0.attest().await.map_err(|error| self.refused(&error))
    }

    /// What he shows, or showed within the last second.
    ///
    /// # Errors
    /// As [`Self::attest`].
    pub(crate) async fn attest_lately(&self) -> Result<Arc<BTreeSet<Selector>>, Refusal> {
        let shows = self.0.attest_lately().await;
        shows.map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &AttestFailure) -> Refusal {
        if let Some(kept_back) = self.0.failed() {
            let (pid, uid) = (self.0.pid(), self.0.uid());
            tracing::warn!(
                pid, uid, kept_back, error = %error, "a local caller could not be attested"
            );
        }
        Refusal::NotAttested
    }

    /// The calling process.
    pub(crate) fn holder(&self) -> Holder {
        self.0.holder()
    }

    /// Its user.
    pub(crate) fn uid(&self) -> u32 {
        self.0.uid()
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }
}

/// By the kernel's word.
impl Attest for Peer {
    fn attest(&self) -> BoxFuture<'_, Result<Arc<BTreeSet<Selector>>, AttestFailure>> {
        Box::pin(async { Ok(Self::attest(self).await?) })
    }

    fn attest_lately(&self) -> BoxFuture<'_, Result<Arc<BTreeSet<Selector>>, AttestFailure>> {
        Box::pin(async { Ok(Self::attest_lately(self).await?) })
    }

    fn holder(&self) -> Holder {
        Self::holder(self)
    }

    fn uid(&self) -> u32 {
        Self::uid(self)
    }

    fn pid(&self) -> u32 {
        Self::pid(self)
    }

    fn is_root_of_host(&self) -> bool {
        Self::is_root_of_host(self)
    }

    fn failed(&self) -> Option<u64> {
        Self::failed(self)
    }
}

impl Caller for LocalCaller {
    type Error = Refusal;

    async fn attest(&self) -> Result<Arc<BTreeSet<Selector>>, Refusal> {
        Self::attest(self).await
    }

    async fn attest_lately(&self) -> Result<Arc<BTreeSet<Selector>>, Refusal> {
        Self::attest_lately(self).await
    }

    fn holder(&self) -> Holder {
        Self::holder(self)
    }

    fn uid(&self) -> u32 {
        Self::uid(self)
    }

    fn pid(&self) -> u32 {
        Self::pid(self)
    }

    fn is_root_of_host(&self) -> bool {
        self.0.is_root_of_host()
    }
}

//! The roots of each trust domain, as agents hand them to workloads.
//!
//! Promises: the own trust domain's are those of `/v1/bundle`; a foreign one's are what verifies
//! its SVIDs at the door. What changes is told to who watches.
//! Refuses: to read files: who does hands over what was read.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use crate::identity::TrustDomain;
use crate::service::Service;
use crate::service::changes::Change;
use crate::x509::Certificate;

/// The roots of one trust domain, each in DER.
pub type RootsDer = Arc<[Bytes]>;

/// The roots of foreign trust domains.
#[derive(Default)]
pub(crate) struct Roots(RwLock<BTreeMap<TrustDomain, RootsDer>>);

impl Service {
    /// Takes up the roots of all foreign trust domains in place of those before.
    pub fn take_up_roots(&self, foreign: BTreeMap<TrustDomain, RootsDer>) {
        let mut roots = self.roots.0.write().unwrap_or_else(PoisonError::into_inner);
        if *roots != foreign {
            *roots = foreign;
            drop(roots);
            self.changes.tell(|| Change::Bundles);
        }
    }

    /// The roots of the own trust domain, and those of each foreign one.
    pub(crate) fn all_roots(&self) -> Vec<(TrustDomain, RootsDer)> {
        let own = self.authority.root().map(Certificate::der);
        let own = own.map(Bytes::copy_from_slice).into_iter().collect();
        let own = (self.authority.trust_domain().clone(), own);
        let foreign = self.roots.0.read().unwrap_or_else(PoisonError::into_inner);
        let foreign = foreign
            .iter()
            .map(|(name, roots)| (name.clone(), Arc::clone(roots)));
        std::iter::once(own).chain(foreign).collect()
    }
}

//! What one caller may hold at this moment, as the keeper tells it to the sockets.
//!
//! Promises: entries stand in their order for the Workload API, the default first; an elevated SVID
//! is never among them. What is told is whole: the newest holdings replace the ones before. A
//! [`Generation`] only rises, also over restarts of the agent.
//! Refuses: to show a private key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use zeroize::Zeroizing;

use crate::identity::{SpiffeId, Subject, TrustDomain};
use crate::scope::{Scope, SvidName};
use crate::time::{Seconds, Timestamp};

/// A version of something that is told; later ones are greater, over restarts too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Generation(pub(crate) u64);

/// One caller's holdings.
#[derive(Clone, Debug)]
pub(crate) struct Holdings {
    /// Whether the server has told everything once since this agent started; before, an empty list
    /// means nothing yet.
    pub(crate) told: bool,
    /// His entries, the default first; none: he has no identity here.
    pub(crate) identities: Vec<Identity>,
    /// What is open for him beyond his base identities.
    pub(crate) elevated: Vec<Elevated>,
    /// What became of scopes that were asked for at the moment of use.
    pub(crate) asks: BTreeMap<(Subject, Scope), Ask>,
    /// Whom to trust: his own trust domain, and those that his entries federate with.
    pub(crate) bundles: Arc<Bundles>,
    /// The trust domains that his entries federate with.
    pub(crate) federates_with: BTreeSet<TrustDomain>,
}

/// One entry of a caller, and its base SVID once it is minted.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The entry.
    pub(crate) entry: Arc<AgentEntry>,
    /// Current; none while it is being minted, or when it could not be renewed in time.
    pub(crate) svid: Option<Arc<Svid>>,
}

/// A registration entry that names this agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AgentEntry {
    /// Its id.
    pub(crate) id: String,
    /// Rises with each change.
    pub(crate) version: u64,
    /// Whom the base SVID names.
    pub(crate) subject: Subject,
    /// What a caller must show: all of them.
    pub(crate) selectors: BTreeSet<crate::identity::Selector>,
    /// The life of the base SVID.
    pub(crate) life: Seconds,
    /// The Workload API's word for it.
    pub(crate) hint: Option<String>,
    /// Whose bundles go with it.
    pub(crate) federates_with: BTreeSet<TrustDomain>,
}

/// An elevation that serves a caller, approved or active.
#[derive(Clone, Debug)]
pub(crate) struct Elevated {
    /// The elevation.
    pub(crate) elevation: String,
    /// Whose.
    pub(crate) subject: Subject,
    /// For which scope.
    pub(crate) scope: Scope,
    /// Current; none while it is not asked for, or is being minted.
    pub(crate) svid: Option<Arc<Svid>>,
    /// A request opened it, this is its last certificate, and the next request may open another:
    /// who asks at the moment of use asks anew while connections live that were made before.
    pub(crate) fades: bool,
}

/// How far asking for a scope at the moment of use has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The server is being asked.
    Asking,
    /// People decide.
    Pending {
        /// The elevation.
        elevation: String,
    },
    /// No; not asked again before `until`.
    Refused {
        /// The server's code for why, such as `no_permit`.
        code: String,
        /// When it may be asked for again.
        until: Timestamp,
    },
}

/// One SVID with its key, checked, in the forms in which it is handed over.
pub(crate) struct Svid {
    /// Rises with each SVID of this agent.
    pub(crate) generation: Generation,
    /// The URI SAN.
    pub(crate) spiffe_id: SpiffeId,
    /// What it means.
    pub(crate) name: SvidName,
    /// DER, leaf first, without the root, one after the other.
    pub(crate) chain_der: Bytes,
    /// The same in PEM.
    pub(crate) chain_pem: Bytes,
    /// PKCS#8.
    pub(crate) key_der: Zeroizing<Vec<u8>>,
    /// The same in PEM.
    pub(crate) key_pem: Zeroizing<String>,
    /// The serial number, hex.
    pub(crate) serial: String,
    /// SHA-256 of the leaf's DER.
    pub(crate) sha256: [u8; 32],
    /// First moment.
    pub(crate) not_before: Timestamp,
    /// Last second.
    pub(crate) not_after: Timestamp,
    /// When it is renewed, drawn once.
    pub(crate) renew_at: Timestamp,
}

/// The bundles of all trust domains that the server told.
#[derive(Clone, Debug)]
pub(crate) struct Bundles {
    /// Rises with each change.
    pub(crate) generation: Generation,
    /// The trust domain of this agent.
    pub(crate) own: TrustDomain,
    /// Each in DER, one certificate an item; never empty.
    pub(crate) roots: BTreeMap<TrustDomain, Vec<Bytes>>,
}

/// What a follower wants kept: nothing is minted that nobody wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wants {
    /// Only to know what there is.
    #[default]
    Nothing,
    /// All base SVIDs of the caller and all his elevated ones: the Workload API.
    Everything,
    /// Some: SDS.
    Some {
        /// His base SVIDs.
        base: bool,
        /// The scopes, each of a subject, that a name asks for, and whether asking for it may open
        /// an elevation where none is open.
        scopes: BTreeMap<(Subject, Scope), bool>,
    },
}

impl Holdings {
    /// The base SVID that stands first; none while it is not minted or there is no identity.
    #[cfg(test)]
    pub(crate) fn default_svid(&self) -> Option<&Arc<Svid>> {
        self.identities.first()?.svid.as_ref()
    }
}

impl Bundles {
    /// The certificates of one trust domain in PEM.
    pub(crate) fn pem(&self, of: &TrustDomain) -> Option<String> {
        let roots = self.roots.get(of)?;
        let blocks = roots
            .iter()
            .map(|der| crate::x509::write_pem(CERTIFICATE_LABEL, der));
        Some(blocks.collect())
    }

    /// The certificates of one trust domain in DER, one after the other.
    pub(crate) fn der(&self, of: &TrustDomain) -> Option<Bytes> {
        let roots = self.roots.get(of)?;
        Some(roots.concat().into())
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid")
            .field("spiffe_id", &self.spiffe_id)
            .field("serial", &self.serial)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

const CERTIFICATE_LABEL: &str = "CERTIFICATE";

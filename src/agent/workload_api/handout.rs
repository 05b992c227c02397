//! What a caller is given at one moment, and whether that is news to him.
//!
//! Promises: base SVIDs stand first, in the order of their entries, and the first is that of the
//! first entry or nothing is given at all: no other identity ever takes the place of the default
//! one. Elevated SVIDs follow, under hints that no base SVID can have. Nothing that has ended or not
//! begun is given. Two handouts differ only where a client would see it.
//! Refuses: bundles of trust domains that the caller's entries do not federate with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::holdings::{Bundles, Generation, Holdings, Svid};
use crate::agent::refusal::Refusal;
use crate::identity::{Subject, TrustDomain};
use crate::proto::workload::{X509BundlesResponse, X509svid, X509svidResponse};
use crate::scope::{Scope, SvidName};
use crate::time::Timestamp;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Whom to trust.
    Bundles,
    /// SVIDs, and whom to trust.
    Svids,
}

/// Everything that a caller is given at one moment.
pub(crate) struct Handout {
    given: Vec<Given>,
    trust: Trust,
}

struct Given {
    svid: Arc<Svid>,
    hint: String,
}

/// What was given, without the keys.
pub(crate) struct Told {
    svids: Vec<(Generation, String)>,
    names: Vec<SvidName>,
    trust: Trust,
}

/// Bundles, of them the caller's own trust domain's and these.
#[derive(Clone)]
struct Trust {
    bundles: Arc<Bundles>,
    federated: BTreeSet<TrustDomain>,
}

impl Handout {
    /// What these holdings amount to at `now`.
    ///
    /// # Errors
    /// [`Refusal::NoIdentity`]; or [`Refusal::NotTold`] and [`Refusal::Minting`], which pass.
    pub(crate) fn of(holdings: &Holdings, now: Timestamp, kind: Kind) -> Result<Self, Refusal> {
        if !holdings.told {
            return Err(Refusal::NotTold);
        }
        if holdings.identities.is_empty() {
            return Err(Refusal::NoIdentity);
        }
        let trust = Trust::of(holdings).ok_or(Refusal::NotTold)?;
        let given = match kind {
            Kind::Bundles => Vec::new(),
            Kind::Svids => {
                let mut given = base(holdings, now)?;
                given.extend(elevated(holdings, now));
                given
            }
        };
        Ok(Self { given, trust })
    }

    /// What remains in mind of it.
    pub(crate) fn told(&self) -> Told {
        let given = self.given.iter();
        let svids = given.map(|given| (given.svid.generation, given.hint.clone()));
        let names = self.given.iter().map(|given| given.svid.name.clone());
        Told {
            svids: svids.collect(),
            names: names.collect(),
            trust: self.trust.clone(),
        }
    }

    /// The message of `FetchX509SVID`.
    pub(crate) fn svids(self) -> X509svidResponse {
        let own = self.trust.own();
        let federated_bundles = self.trust.federated();
        let svids = self.given.into_iter().map(|given| X509svid {
            spiffe_id: given.svid.spiffe_id.to_string(),
            x509_svid: given.svid.chain_der.clone(),
            x509_svid_key: Bytes::from_owner(KeyOf(given.svid)),
            bundle: own.clone(),
            hint: given.hint,
        });
        X509svidResponse {
            svids: svids.collect(),
            crl: Vec::new(),
            federated_bundles,
        }
    }

    /// The message of `FetchX509Bundles`.
    pub(crate) fn bundles(self) -> X509BundlesResponse {
        let mut bundles = self.trust.federated();
        bundles.insert(id_of(&self.trust.bundles.own), self.trust.own());
        X509BundlesResponse {
            crl: Vec::new(),
            bundles,
        }
    }
}

impl Told {
    /// Whether a client sees no difference to what he was told `before`.
    pub(crate) fn says_the_same(&self, before: &Self) -> bool {
        self.svids == before.svids && self.trust.says_the_same(&before.trust)
    }

    /// Whether it names a subject or a scope that what was told `before` did not.
    pub(crate) fn raises(&self, before: Option<&Self>) -> bool {
        let held = |name| before.is_some_and(|before| before.names.contains(name));
        !self.names.iter().all(held)
    }
}

impl Trust {
    /// None while the own bundle is not told.
    fn of(holdings: &Holdings) -> Option<Self> {
        let bundles = holdings.bundles.clone();
        bundles.roots.get(&bundles.own)?;
        let federated = holdings.federates_with.iter();
        let federated = federated
            .filter(|domain| **domain != bundles.own && bundles.roots.contains_key(domain))
            .cloned()
            .collect();
        Some(Self { bundles, federated })
    }

    fn own(&self) -> Bytes {
        self.bundles.der(&self.bundles.own).unwrap_or_default()
    }

    fn federated(&self) -> BTreeMap<String, Bytes> {
        let federated = self.federated.iter();
        federated
            .filter_map(|domain| Some((id_of(domain), self.bundles.der(domain)?)))
            .collect()
    }

    fn says_the_same(&self, before: &Self) -> bool {
        let same = |domain| self.bundles.roots.get(domain) == before.bundles.roots.get(domain);
        self.federated == before.federated
            && (self.bundles.generation == before.bundles.generation
                || (same(&self.bundles.own) && self.federated.iter().all(same)))
    }
}

/// The base SVIDs that are good at `now`, the default first.
fn base(holdings: &Holdings, now: Timestamp) -> Result<Vec<Given>, Refusal> {
    let mut given = Vec::new();
    let mut hints = BTreeSet::new();
    for (place, identity) in holdings.identities.iter().enumerate() {
        let svid = identity.svid.as_ref();
        let svid = svid.filter(|svid| is_good(svid, now) && svid.name.scope().is_none());
        let Some(svid) = svid else {
            if place == 0 {
                return Err(Refusal::Minting);
            }
            continue;
        };
        let hint = identity.entry.hint.as_deref().unwrap_or_default();
        let usable = hint.len() <= HINT_BYTES_MAX && !hint.starts_with(ELEVATED_HINT);
        // Unique within a response (SPIFFE Workload API 5.2.1): the first entry keeps it.
        let hint = if usable && hints.insert(hint) {
            hint
        } else {
            ""
        };
        given.push(Given {
            svid: svid.clone(),
            hint: hint.to_owned(),
        });
    }
    Ok(given)
}

/// The elevated SVIDs that are good at `now`, one for each subject and scope: the one that lasts
/// longest.
fn elevated(holdings: &Holdings, now: Timestamp) -> Vec<Given> {
    let subjects = holdings.identities.iter();
    let subjects: Vec<&Subject> = subjects.map(|identity| &identity.entry.subject).collect();
    let mut longest: BTreeMap<(usize, &Scope), &Arc<Svid>> = BTreeMap::new();
    for elevated in &holdings.elevated {
        let place = subjects.iter().position(|one| **one == elevated.subject);
        let svid = elevated.svid.as_ref();
        let svid = svid.filter(|svid| is_good(svid, now) && svid.name.scope().is_some());
        let (Some(place), Some(svid)) = (place, svid) else {
            continue;
        };
        let held = longest.entry((place, &elevated.scope)).or_insert(svid);
        if held.not_after < svid.not_after {
            *held = svid;
        }
    }
    let given = longest.into_iter().map(|((place, scope), svid)| Given {
        hint: hint_of(place, scope, svid),
        svid: svid.clone(),
    });
    given.collect()
}

/// `scope/<scope>` where the subject is the default one; else with the subject, so that no hint
/// ever changes its meaning when another subject is elevated too.
fn hint_of(place: usize, scope: &Scope, svid: &Svid) -> String {
    let short = format!("{ELEVATED_HINT}{}", scope.as_str());
    if place == 0 {
        return short;
    }
    let hint = format!("{short}/{}", svid.name.subject());
    if hint.len() <= HINT_BYTES_MAX {
        hint
    } else {
        String::new()
    }
}

fn is_good(svid: &Svid, now: Timestamp) -> bool {
    svid.not_before <= now && now <= svid.not_after
}

fn id_of(domain: &TrustDomain) -> String {
    format!("spiffe://{domain}")
}

/// The key inside its SVID, so that no message holds a copy that nobody wipes.
struct KeyOf(Arc<Svid>);

impl AsRef<[u8]> for KeyOf {
    fn as_ref(&self) -> &[u8] {
        &self.0.key_der
    }
}

const ELEVATED_HINT: &str = "scope/";
/// SPIFFE Workload API 5.1.
const HINT_BYTES_MAX: usize = 1024;

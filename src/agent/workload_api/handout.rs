//! What a caller is given at one moment, and whether that is news to him.
//!
//! Promises: base SVIDs stand first, in the order of their entries, and the first is that of the
//! first entry or nothing is given at all: no other identity ever takes the place of the default
//! one. Elevated SVIDs follow, under hints that no base SVID can have. Nothing that has ended or
//! not begun is given. Two handouts differ only where a client would see it.
//! Refuses: bundles of trust domains that the caller's entries do not federate with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::agent::holdings::{Bundles, Generation, Holdings, Svid};
use crate::agent::refusal::{Refusal, Shows};
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
            return Err(Refusal::NoIdentity(Shows::default()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::stand::{Stand, identity};
    use crate::time::Seconds;

    const A: &str = "spiffe://td/a";
    const B: &str = "spiffe://td/b";

    fn hints(stand: &Stand) -> Vec<(String, String)> {
        let handout = Handout::of(&stand.holdings.borrow(), stand.now(), Kind::Svids);
        let svids = handout.unwrap().svids().svids.into_iter();
        svids.map(|svid| (svid.spiffe_id, svid.hint)).collect()
    }

    fn of(stand: &Stand) -> Result<Handout, String> {
        let handout = Handout::of(&stand.holdings.borrow(), stand.now(), Kind::Svids);
        handout.map_err(|refusal| format!("{refusal:?}"))
    }

    fn two(stand: &Stand) {
        stand.tell(|holdings| {
            holdings.told = true;
            holdings.identities = vec![
                identity(A, Some("main"), Some(stand.base(A, 1))),
                identity(B, None, Some(stand.base(B, 2))),
            ];
        });
    }

    #[tokio::test]
    async fn the_default_stands_first_and_elevated_svids_last() {
        let stand = Stand::new();
        two(&stand);
        stand.tell(|holdings| {
            holdings.elevated = vec![
                stand.elevated(B, "db.read", 5),
                stand.elevated(A, "db.write", 4),
                stand.elevated(A, "db.read", 3),
                stand.elevated("spiffe://td/other", "db.read", 6),
            ];
        });
        let expected = [
            (A, "main"),
            (B, ""),
            ("spiffe://td/a/scope/db.read", "scope/db.read"),
            ("spiffe://td/a/scope/db.write", "scope/db.write"),
            ("spiffe://td/b/scope/db.read", "scope/db.read/spiffe://td/b"),
        ];
        let expected = expected.map(|(id, hint)| (id.to_owned(), hint.to_owned()));
        assert_eq!(hints(&stand), expected);
    }

    #[tokio::test]
    async fn hints_are_unique_short_and_never_those_of_a_scope() {
        let stand = Stand::new();
        let long = "x".repeat(1_025);
        let given = ["one", "one", &long, "scope/db.read", "two"];
        stand.tell(|holdings| {
            holdings.told = true;
            holdings.identities = (1..)
                .zip(given)
                .map(|(number, hint)| {
                    let subject = format!("spiffe://td/{number}");
                    identity(&subject, Some(hint), Some(stand.base(&subject, number)))
                })
                .collect();
        });
        let hints: Vec<String> = hints(&stand).into_iter().map(|(_, hint)| hint).collect();
        assert_eq!(hints, ["one", "", "", "", "two"]);
    }

    #[tokio::test]
    async fn two_elevations_for_one_scope_give_the_svid_that_lasts_longest() {
        let stand = Stand::new();
        two(&stand);
        let short = stand.elevated(A, "db.read", 8);
        stand.clock.advance(Seconds::new(10));
        let longer = stand.elevated(A, "db.read", 9);
        let chain = longer.svid.as_ref().unwrap().chain_der.clone();
        stand.tell(|holdings| holdings.elevated = vec![longer, short]);
        let svids = of(&stand).unwrap().svids().svids;
        assert_eq!((svids.len(), &svids[2].x509_svid), (3, &chain));
    }

    #[tokio::test]
    async fn no_other_identity_takes_the_place_of_the_default() {
        let stand = Stand::new();
        two(&stand);
        stand.tell(|holdings| holdings.identities[0].svid = None);
        assert_eq!(of(&stand).err().unwrap(), "Minting");
        two(&stand);
        stand.tell(|holdings| holdings.identities[1].svid = None);
        assert_eq!(of(&stand).unwrap().svids().svids.len(), 1);
    }

    #[tokio::test]
    async fn an_elevated_svid_is_never_a_base_svid() {
        let stand = Stand::new();
        two(&stand);
        stand.tell(|holdings| {
            let elevated = stand.elevated(A, "db.read", 5).svid;
            holdings.identities[0].svid = elevated;
        });
        assert_eq!(of(&stand).err().unwrap(), "Minting");
    }

    #[tokio::test]
    async fn nothing_ended_or_not_begun_is_given() {
        let stand = Stand::new();
        two(&stand);
        stand.tell(|holdings| holdings.elevated = vec![stand.elevated(A, "db.read", 3)]);
        let svid = stand.holdings.borrow().elevated[0].svid.clone().unwrap();
        stand.clock.set_wall(svid.not_after);
        assert_eq!(of(&stand).unwrap().svids().svids.len(), 3);
        stand.clock.advance(Seconds::new(1));
        assert_eq!(of(&stand).unwrap().svids().svids.len(), 2);
        stand.clock.set_wall(svid.not_before.minus(Seconds::new(1)));
        assert_eq!(of(&stand).err().unwrap(), "Minting");
        stand
            .clock
            .set_wall(svid.not_after.plus(Seconds::new(86_400)));
        assert_eq!(of(&stand).err().unwrap(), "Minting");
    }

    #[tokio::test]
    async fn only_federated_bundles_are_given_and_only_their_change_is_news() {
        let stand = Stand::new();
        two(&stand);
        let root = |name| stand.root.der.slice(..name);
        let change = |bundles: &mut Bundles, domain: &str, name: usize| {
            bundles.generation.0 += 1;
            let roots = vec![root(name)];
            bundles.roots.insert(domain.parse().unwrap(), roots);
        };
        stand.tell(|holdings| {
            let bundles = Arc::make_mut(&mut holdings.bundles);
            change(bundles, "friend", 10);
            change(bundles, "stranger", 11);
            holdings.federates_with = ["friend", "unknown", "td"]
                .map(|domain| domain.parse().unwrap())
                .into();
        });
        let message = of(&stand).unwrap().bundles();
        let domains: Vec<_> = message.bundles.keys().collect();
        assert_eq!(domains, ["spiffe://friend", "spiffe://td"]);
        let message = of(&stand).unwrap().svids();
        assert!(message.crl.is_empty());
        let domains: Vec<_> = message.federated_bundles.keys().collect();
        assert_eq!(domains, ["spiffe://friend"]);

        let before = of(&stand).unwrap().told();
        stand.tell(|holdings| change(Arc::make_mut(&mut holdings.bundles), "stranger", 12));
        let same = of(&stand).unwrap().told();
        assert!(same.says_the_same(&before));
        stand.tell(|holdings| change(Arc::make_mut(&mut holdings.bundles), "friend", 13));
        assert!(!of(&stand).unwrap().told().says_the_same(&before));
        stand.tell(|holdings| holdings.federates_with.clear());
        assert!(!of(&stand).unwrap().told().says_the_same(&same));
    }

    #[tokio::test]
    async fn a_new_subject_or_scope_raises_and_a_renewal_does_not() {
        let stand = Stand::new();
        two(&stand);
        let told = || of(&stand).unwrap().told();
        let before = told();
        assert!(before.raises(None));
        stand.tell(|holdings| holdings.identities[0].svid = Some(stand.base(A, 9)));
        assert!(!told().says_the_same(&before) && !told().raises(Some(&before)));
        stand.tell(|holdings| holdings.elevated = vec![stand.elevated(A, "db.read", 10)]);
        assert!(told().raises(Some(&before)));
        let higher = told();
        stand.tell(|holdings| holdings.elevated.clear());
        assert!(!told().raises(Some(&higher)) && told().raises(None));
    }
}

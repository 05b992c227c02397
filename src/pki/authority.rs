//! The authority: who may sign what, and how a permit becomes a plan.
//!
//! Promises: a workload's certificate needs a policy permit; what the authority signs for itself
//! (root, intermediates, server names) goes the same way under a warrant of its own. Names come
//! from the permit, never from a request.
//! Refuses: to certify a key of its own issuers (assurance C13); to mint beyond the permit's last
//! second, the issuer's end, or the elevation's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::attestation::Caller;
use crate::audit::{Event, EventKind, Key, Value};
use crate::elevation::{Elevation, State};
use crate::id::entropy::Entropy;
use crate::id::{Holder, Instance, TokenId};
use crate::identity::TrustDomain;
use crate::pki::issuing::Issuing;
use crate::pki::keystore::{Keystore, KeystoreError};
use crate::pki::plan::{Contents, Plan, PlanError, Recording};
use crate::pki::profile::{IssuerName, Profile, ProfileName, Profiles};
use crate::policy::{Act, FactVersion, Permit};
use crate::scope::SvidName;
use crate::store::{Mint, RetryKey, StoreError};
use crate::time::{Seconds, Timestamp};
use crate::x509::{
    Certificate, ChainError, CsrRules, Evidence, Fingerprint, PublicKey, Role, VerifiedCsr,
};

/// What an authority is made from.
#[derive(Debug)]
pub struct Setup {
    /// Whose SVIDs it mints.
    pub trust_domain: TrustDomain,
    /// Where it keeps its keys.
    pub directory: PathBuf,
    /// An issuer that the operator brings: its key file and its chain, issuer first, root last.
    pub issuer: Option<(PathBuf, PathBuf)>,
    /// What its certificates look like.
    pub profiles: Profiles,
    /// The first byte of its serial numbers, 1 to 127; differs between servers of one root.
    pub serial_instance: u8,
}

/// An authority that can plan and sign.
#[derive(Debug)]
pub struct Authority {
    pub(crate) trust_domain: TrustDomain,
    pub(crate) profiles: Profiles,
    pub(crate) serial_instance: u8,
    pub(crate) keystore: Keystore,
    /// The root or the issuer that was brought; signs intermediates only.
    pub(crate) top: Arc<Issuing>,
    /// From the top's certificate to the root.
    pub(crate) above: Vec<Certificate>,
    /// Newest generation first. Written by rotation alone.
    pub(crate) issuers: RwLock<BTreeMap<IssuerName, Vec<Arc<Issuing>>>>,
}

/// What lets the authority plan a certificate.
#[derive(Debug)]
pub enum Warrant {
    /// The first start: a root.
    Bootstrap,
    /// Policy permits a workload's certificate.
    Permit(Box<Permit>),
    /// An issuer or server certificate of the authority itself is due.
    Rotation,
}

/// What a mint needs besides permit and key.
#[derive(Debug)]
pub struct MintTerms<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// For which running holder.
    pub instance: Instance,
    /// What his agent calls him.
    pub holder: Option<&'a Holder>,
    /// The elevation that is minted from.
    pub elevation: Option<&'a Elevation>,
    /// The entry of a caller who asks for somebody else, which must hold too.
    pub deputy: Option<FactVersion>,
    /// The token that is spent.
    pub spend: Option<TokenId>,
    /// What a repeated request is known by.
    pub retry: Option<RetryKey>,
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The chain that was brought cannot carry intermediates.
    #[error("the issuer's chain cannot carry protem's intermediates")]
    Chain(#[from] ChainError),
    /// A certificate of its own could not be made.
    #[error("a certificate of the authority itself could not be made")]
    Finish(#[from] crate::pki::finish::FinishError),
    /// The key that was brought is not the issuer's.
    #[error("the issuer's key is not that of the first certificate of its chain")]
    ForeignKey,
    /// Key or certificate files cannot be used.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// A key could not be made.
    #[error("a key cannot be made")]
    Key(#[from] crate::x509::PrivateKeyError),
    /// The directory belongs to another trust domain.
    #[error(
        "this data directory was made for `{made_for}`, and `{configured}` is configured: a trust \
         domain cannot be changed; use another data directory"
    )]
    OtherTrustDomain {
        /// What its certificates name.
        made_for: String,
        /// What the configuration says.
        configured: String,
    },
    /// A certificate of its own could not be planned.
    #[error("a certificate of the authority itself cannot be planned")]
    Plan(#[from] PlanError),
    /// The serial instance is out of range.
    #[error("serial_instance must be 1 to 127")]
    SerialInstance,
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Warrant {
    /// The word in events.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap",
            Self::Permit(_) => "permit",
            Self::Rotation => "rotation",
        }
    }
}

impl Authority {
    /// Plans the certificate that a permit allows for the key of a request.
    ///
    /// # Errors
    /// Why there is no plan; nothing is recorded then.
    pub fn plan_svid(
        &self,
        permit: Permit,
        csr: &VerifiedCsr,
        terms: MintTerms<'_>,
        now: Timestamp,
        entropy: &Entropy,
    ) -> Result<Plan, PlanError> {
        let name = svid_name(&permit).ok_or(PlanError::NothingToMint)?;
        let profile = self.profile_of(&name);
        let issuing = self.issuing(profile.name.issuer());
        let sans = name.sans().map_err(|_| PlanError::Text)?;
        let not_after = permit.last_second().min(issuing.not_after()).whole_second();
        let evidence = terms
            .elevation
            .map(|elevation| evidence(elevation, &permit));
        let contents = Contents {
            profile,
            key: csr.public_key(),
            role: Role::Workload,
            common_name: None,
            uris: vec![sans.uri.to_string()],
            dns: sans.dns.into_iter().collect(),
            ips: Vec::new(),
            constraints: None,
            evidence,
            now,
            not_after,
        };
        let recording = Recording {
            event: svid_event(&permit, &name, &terms, now),
            guards: permit
                .fact_versions()
                .into_iter()
                .chain(terms.deputy)
                .collect(),
            mint: terms.elevation.map(|elevation| Mint {
                elevation: elevation.id,
                instance: terms.instance,
                at: now,
            }),
            activates: terms
                .elevation
                .is_some_and(|elevation| activation(elevation).is_none()),
            spend: terms.spend,
            retry: terms.retry,
        };
        Plan::build(
            Warrant::Permit(Box::new(permit)),
            &issuing,
            &contents,
            recording,
            self.serial_instance,
            entropy,
        )
    }

    /// What is accepted in a request for an SVID.
    #[must_use]
    pub fn csr_rules(&self, elevated: bool) -> CsrRules {
        let profile = if elevated {
            &self.profiles.elevated
        } else {
            &self.profiles.base
        };
        CsrRules {
            strict: profile.strict_csr,
            keys: profile.keys.iter().copied().collect(),
            blocked: self.own_keys(),
        }
    }

    /// How long an SVID may live at most from now, by profile and issuer, when `wish` is wished.
    #[must_use]
    pub fn life_for(&self, elevated: bool, wish: Option<Seconds>, now: Timestamp) -> Seconds {
        let profile = if elevated {
            &self.profiles.elevated
        } else {
            &self.profiles.base
        };
        let issuer = self.issuing(profile.name.issuer());
        profile.life_for(wish).min(issuer.not_after().since(now))
    }

    /// Whose SVIDs it mints.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The certificate that every chain of this authority ends in, as a client's trust anchor:
    /// the own root, or the issuer that was brought (not the mesh's root above it, under which
    /// others sign too).
    pub fn anchor(&self) -> Option<&Certificate> {
        self.above.first()
    }

    /// The root that others put into their bundles.
    pub fn root(&self) -> Option<&Certificate> {
        self.above.last()
    }

    /// The newest generation of an issuer.
    #[must_use]
    pub fn issuing(&self, name: IssuerName) -> Arc<Issuing> {
        let issuers = self.issuers.read().unwrap_or_else(PoisonError::into_inner);
        let newest = issuers
            .get(&name)
            .and_then(|generations| generations.first());
        newest.map_or_else(|| Arc::clone(&self.top), Arc::clone)
    }

    /// The issuer with this key, of any generation that is still held.
    pub(crate) fn issuing_by_key(&self, key_id: &str) -> Option<Arc<Issuing>> {
        if self.top.key_id() == key_id {
            return Some(Arc::clone(&self.top));
        }
        let issuers = self.issuers.read().unwrap_or_else(PoisonError::into_inner);
        issuers
            .values()
            .flatten()
            .find(|one| one.key_id() == key_id)
            .map(Arc::clone)
    }

    /// Whether a key identifier is that of a base or elevated issuer of this authority. A leaf that
    /// was let in and names one was signed by it.
    pub fn issues_under(&self, key_id: &[u8]) -> bool {
        let issuers = self.issuers.read().unwrap_or_else(PoisonError::into_inner);
        [IssuerName::Base, IssuerName::Elevated]
            .iter()
            .filter_map(|name| issuers.get(name))
            .flatten()
            .any(|one| one.subject_key_id() == key_id)
    }

    /// Whether a base or elevated issuer of this authority signed the certificate, of any
    /// generation that is still held; three generations outlive every leaf. An operator's own
    /// issuer may sign for others too, and their leaves are no callers here.
    pub fn has_signed(&self, leaf: &Certificate) -> bool {
        let issuers = self.issuers.read().unwrap_or_else(PoisonError::into_inner);
        [IssuerName::Base, IssuerName::Elevated]
            .iter()
            .filter_map(|name| issuers.get(name))
            .flatten()
            .filter(|one| leaf.tbs().authority_key_id == Some(one.subject_key_id()))
            .any(|one| leaf.verify_signature_fast(one.public_key()).is_ok())
    }

    /// Whether one of its own issuers has this key; with `above`, also whoever stands above them.
    pub fn signs_with(&self, key: &PublicKey, above: bool) -> bool {
        let mut higher = self.above.iter().filter(|_| above);
        self.own_keys().contains(&key.fingerprint())
            || higher.any(|one| one.tbs().public_key.fingerprint() == key.fingerprint())
    }

    fn own_keys(&self) -> BTreeSet<Fingerprint> {
        let issuers = self.issuers.read().unwrap_or_else(PoisonError::into_inner);
        let held = issuers.values().flatten().chain([&self.top]);
        held.map(|one| one.fingerprint()).collect()
    }

    const fn profile_of(&self, name: &SvidName) -> &Profile {
        match name {
            SvidName::Base(_) => &self.profiles.base,
            SvidName::Elevated { .. } => &self.profiles.elevated,
        }
    }

    /// The profile of one kind of certificate.
    pub(crate) const fn profile(&self, name: ProfileName) -> &Profile {
        match name {
            ProfileName::Base => &self.profiles.base,
            ProfileName::Elevated => &self.profiles.elevated,
            ProfileName::Intermediate => &self.profiles.intermediate,
            ProfileName::Root => &self.profiles.root,
            ProfileName::Service => &self.profiles.service,
        }
    }
}

/// Whom the permit names: the subject asked for, with the scope when it is an elevation.
fn svid_name(permit: &Permit) -> Option<SvidName> {
    match (&permit.ask().act, permit.terms()) {
        (Act::Issue { subject }, _) => Some(SvidName::Base(subject.clone())),
        (Act::Elevate(act), Some(terms)) => Some(SvidName::Elevated {
            subject: act.subject.clone(),
            scope: act.scope.clone(),
            encoding: terms.encoding,
        }),
        (Act::Elevate(_), None) | (Act::Operate(_) | Act::ReadAudit { .. } | Act::Revoke(_), _) => {
            None
        }
    }
}

fn evidence(elevation: &Elevation, permit: &Permit) -> Evidence {
    Evidence {
        elevation: *elevation.id.bytes(),
        policy_digest: *permit.digest().bytes(),
        // Zero until the store writes the index of the activating intent into the bytes.
        activation_index: activation(elevation).unwrap_or_default(),
    }
}

/// The log index of the event that activated an elevation.
fn activation(elevation: &Elevation) -> Option<u64> {
    match &elevation.state {
        State::Active { activation, .. } => Some(activation.index()),
        State::Approved { .. }
        | State::Cancelled { .. }
        | State::Denied { .. }
        | State::Ended { .. }
        | State::Lapsed { .. }
        | State::Pending { .. } => None,
    }
}

fn svid_event(permit: &Permit, name: &SvidName, terms: &MintTerms<'_>, now: Timestamp) -> Event {
    let event = Event::new(EventKind::SvidIntent, now, &terms.caller.to_string())
        .with(Key::Subject, name.subject().to_string())
        .with(Key::Policy, permit.digest().to_string())
        .and("instance", terms.instance.to_string())
        .and("verdict", Value::record(permit.record()));
    let vouched = terms.caller.vouched().into_iter();
    let event = vouched.fold(event, |event, (name, text)| event.and(name, text));
    let event = match name.scope() {
        Some(scope) => event.with(Key::Scope, scope.as_str()),
        None => event,
    };
    let event = match terms.holder {
        Some(holder) => event.and("holder", holder.as_str()),
        None => event,
    };
    match terms.elevation {
        Some(elevation) => event.with(Key::Elevation, elevation.id.to_string()),
        None => event,
    }
}

//! The beginning and the renewal of the authority's own certificates.
//!
//! Promises: the first start makes a root or takes the issuer that was brought; each
//! intermediate is renewed before half of its life is over, so that two generations overlap and
//! any leaf fits under its issuer. The chain travels with the leaf: nobody notices.
//! Refuses: a brought chain that could not carry an intermediate (path length, usages, validity),
//! a key file that others may read. A key is on disk before its certificate is recorded, so that
//! a crash in between can be finished.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use crate::audit::{Event, EventKind, Key};
use crate::failpoint::{Point, reach};
use crate::id::entropy::Entropy;
use crate::identity::TrustDomain;
use crate::pki::authority::{Authority, Setup, SetupError, Warrant};
use crate::pki::finish::{FinishError, Svid};
use crate::pki::issuing::Issuing;
use crate::pki::keystore::{Keystore, read_certificates, read_key};
use crate::pki::plan::{Contents, Plan, Recording, no_dns_no_ip};
use crate::pki::profile::{IssuerName, ProfileName};
use crate::store::{Record, Store, StoreError, leftovers, record};
use crate::time::Timestamp;
use crate::x509::{Certificate, KeyKind, PrivateKey, PublicKey, Role, check_issuer_chain};

/// What the start of an authority found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// Intents that a crash had left and that are signed now.
    pub finished: u32,
    /// Intents that a crash had left and that cannot be signed any more.
    pub told: u32,
}

impl Authority {
    /// Opens the authority: makes or loads the top, finishes what a crash left, renews what is
    /// due. While the clock stands before the last event, what a crash left stays for
    /// [`Authority::finish_leftovers`], when the clock is trusted again.
    ///
    /// # Errors
    /// Why it cannot mint; it refuses to start half able.
    pub async fn open(
        setup: Setup,
        store: &dyn Store,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<(Self, Started), SetupError> {
        if !(1..=127).contains(&setup.serial_instance) {
            return Err(SetupError::SerialInstance);
        }
        let keystore = Keystore::open(&setup.directory)?;
        let (top, above) = match &setup.issuer {
            Some((key, chain)) => brought(key, chain, now)?,
            None => own_root(&keystore, &setup, store, entropy, now).await?,
        };
        let authority = Self {
            trust_domain: setup.trust_domain,
            profiles: setup.profiles,
            serial_instance: setup.serial_instance,
            keystore,
            top: Arc::new(top),
            above,
            issuers: RwLock::new(BTreeMap::new()),
        };
        authority.load_intermediates()?;
        // By a clock before the last event, what is over would look as if its time lasted.
        let behind = store.head().await?.is_some_and(|head| now < head.at);
        let started = if behind {
            Started::default()
        } else {
            authority.finish_leftovers(store, None, now).await?
        };
        authority.rotate(store, entropy, now).await?;
        Ok((authority, started))
    }

    /// Renews every intermediate that has lived for 45 percent of its life, or whose
    /// issuer has changed. Answers which were renewed. Safe to call at any time: a reconciler.
    ///
    /// # Errors
    /// The first renewal that failed; the older generation goes on.
    pub async fn rotate(
        &self,
        store: &dyn Store,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<Vec<IssuerName>, SetupError> {
        let mut renewed = Vec::new();
        for name in IssuerName::INTERMEDIATES {
            let current = self.issuing(name);
            if current.name() == name && !is_due(&current, now) {
                continue;
            }
            let issuing = self.make_intermediate(name, store, entropy, now).await?;
            reach(Point::RotationWritten).map_err(StoreError::from)?;
            let mut issuers = self.issuers.write().unwrap_or_else(PoisonError::into_inner);
            let generations = issuers.entry(name).or_default();
            generations.insert(0, Arc::new(issuing));
            for old in generations.split_off(GENERATIONS_MAX.min(generations.len())) {
                self.keystore.remove(&file_name(name, &old.key_id()))?;
            }
            drop(issuers);
            tracing::info!(issuer = name.as_str(), "issuer renewed");
            renewed.push(name);
        }
        Ok(renewed)
    }

    /// Makes a server certificate for protem's own names.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub async fn mint_service(
        &self,
        key: &PublicKey,
        (dns, ips): (Vec<String>, Vec<IpAddr>),
        store: &dyn Store,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<Svid, SetupError> {
        let issuing = self.issuing(IssuerName::Service);
        let profile = self.profile(ProfileName::Service);
        let contents = Contents {
            profile,
            key,
            role: Role::Server,
            common_name: None,
            uris: vec![format!("spiffe://{}{SERVER_PATH}", self.trust_domain)],
            dns,
            ips,
            constraints: None,
            evidence: None,
            now,
            not_after: last_second(now, profile.life).min(issuing.not_after()),
        };
        let plan = self.plan_own(&issuing, &contents, "server", entropy)?;
        Ok(carry_out(self, plan, store, now).await?)
    }

    async fn make_intermediate(
        &self,
        name: IssuerName,
        store: &dyn Store,
        entropy: &Entropy,
        now: Timestamp,
    ) -> Result<Issuing, SetupError> {
        let key = PrivateKey::generate(KeyKind::P256)?;
        let key_id = key.public_key().fingerprint().to_string();
        let file = file_name(name, &key_id);
        self.keystore.write_key(&file, &key)?;
        reach(Point::RotationKeyWritten).map_err(StoreError::from)?;
        let profile = self.profile(ProfileName::Intermediate);
        let constraints = match name {
            IssuerName::Base => Some(no_dns_no_ip(None)),
            // Always permitted, so that a policy may begin to use the `dns` encoding at any time.
            IssuerName::Elevated => {
                Some(no_dns_no_ip(Some(format!("scope.{}", self.trust_domain))))
            }
            IssuerName::Service | IssuerName::Root => None,
        };
        let contents = Contents {
            profile,
            key: key.public_key(),
            role: Role::Authority { path_len: Some(0) },
            common_name: Some(common_name(name, &key_id)),
            uris: vec![format!("spiffe://{}", self.trust_domain)],
            dns: Vec::new(),
            ips: Vec::new(),
            constraints,
            evidence: None,
            now,
            not_after: last_second(now, profile.life).min(self.top.not_after()),
        };
        let plan = self.plan_own(&self.top, &contents, name.as_str(), entropy)?;
        let svid = carry_out(self, plan, store, now).await?;
        reach(Point::RotationRecorded).map_err(StoreError::from)?;
        self.keystore.write_certificate(&file, &svid.certificate)?;
        Ok(
            Issuing::certified(name, Box::new(key), svid.certificate, &self.above)
                .map_err(crate::pki::plan::PlanError::from)?,
        )
    }

    fn plan_own(
        &self,
        issuing: &Arc<Issuing>,
        contents: &Contents<'_>,
        purpose: &str,
        entropy: &Entropy,
    ) -> Result<Plan, SetupError> {
        let recording = own_recording(purpose, contents.now);
        Ok(Plan::build(
            Warrant::Rotation,
            issuing,
            contents,
            recording,
            self.serial_instance,
            entropy,
        )?)
    }

    fn load_intermediates(&self) -> Result<(), SetupError> {
        let mut issuers = self.issuers.write().unwrap_or_else(PoisonError::into_inner);
        for name in IssuerName::INTERMEDIATES {
            let mut generations = Vec::new();
            for file in self.keystore.keys(&format!("{}-", name.as_str()))? {
                let key = self.keystore.key(&file)?;
                let Some(certificate) = self.keystore.certificate(&file)? else {
                    // A crash between key and certificate: the key never signed anything.
                    self.keystore.remove(&file)?;
                    continue;
                };
                if certificate
                    .verify_signature_fast(self.top.public_key())
                    .is_err()
                {
                    tracing::warn!(file, "issuer is not of the present root and stays unused");
                    continue;
                }
                of_trust_domain(&certificate, &self.trust_domain)?;
                let issuing = Issuing::certified(name, Box::new(key), certificate, &self.above);
                generations.push(Arc::new(
                    issuing.map_err(crate::pki::plan::PlanError::from)?,
                ));
            }
            generations.sort_by_key(|issuing| std::cmp::Reverse(issuing.not_after()));
            issuers.insert(name, generations);
        }
        Ok(())
    }

    /// Finishes intents that have no outcome: all of them before serving, and while serving those
    /// that were recorded before `before`. One that is still under way after all loses nothing by
    /// it: the store takes one outcome, and who comes second hears so.
    ///
    /// # Errors
    /// When an outcome cannot be made durable; the next call is the retry.
    pub async fn finish_leftovers(
        &self,
        store: &dyn Store,
        before: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Started, FinishError> {
        let mut started = Started::default();
        loop {
            let mut found = leftovers(store, LEFTOVERS_AT_ONCE).await?;
            found.retain(|one| before.is_none_or(|before| one.event().event().at() < before));
            if found.is_empty() {
                return Ok(started);
            }
            let (mut concluded, mut fault) = (false, None);
            for recorded in found {
                match self.finish_leftover(store, recorded, now).await {
                    Ok(true) => started.finished = started.finished.saturating_add(1),
                    Ok(false) => started.told = started.told.saturating_add(1),
                    // Whose walk was under way after all.
                    Err(FinishError::Store(StoreError::Concluded)) => {}
                    // One that cannot be finished must not keep the others from it.
                    Err(error) => {
                        fault = fault.or(Some(error));
                        continue;
                    }
                }
                concluded = true;
            }
            match fault {
                Some(error) if !concluded => return Err(error),
                Some(_) | None => {}
            }
        }
    }
}

/// Records a plan of the authority's own and signs it.
async fn carry_out(
    authority: &Authority,
    plan: Plan,
    store: &dyn Store,
    now: Timestamp,
) -> Result<Svid, FinishError> {
    match record(store, plan).await? {
        Record::New(recorded) => authority.finish(store, recorded, now).await,
        // Without retry key there is nothing to repeat.
        Record::Repeated(_) => Err(FinishError::NotIssued),
    }
}

/// The issuer and chain that an operator brought.
fn brought(
    key: &std::path::Path,
    chain: &std::path::Path,
    now: Timestamp,
) -> Result<(Issuing, Vec<Certificate>), SetupError> {
    let key = read_key(key)?;
    let chain = read_certificates(chain)?;
    check_issuer_chain(&chain, now, 1)?;
    let issuer = chain.first().ok_or(crate::x509::ChainError::Empty)?.clone();
    if issuer.tbs().public_key != *key.public_key() {
        return Err(SetupError::ForeignKey);
    }
    let above = chain.get(1..).unwrap_or_default();
    let issuing = Issuing::certified(IssuerName::Root, Box::new(key), issuer, above)
        .map_err(crate::pki::plan::PlanError::from)?;
    Ok((issuing, chain))
}

/// The root of an earlier start, or a new one.
async fn own_root(
    keystore: &Keystore,
    setup: &Setup,
    store: &dyn Store,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<(Issuing, Vec<Certificate>), SetupError> {
    let (key, known) = if keystore.keys(ROOT_FILE)?.is_empty() {
        let key = PrivateKey::generate(KeyKind::P256)?;
        keystore.write_key(ROOT_FILE, &key)?;
        (key, None)
    } else {
        (keystore.key(ROOT_FILE)?, keystore.certificate(ROOT_FILE)?)
    };
    let certificate = match known {
        Some(certificate) if certificate.tbs().public_key == *key.public_key() => certificate,
        Some(_) => return Err(SetupError::ForeignKey),
        None => {
            let made = make_root(&key, setup, store, entropy, now).await?;
            keystore.write_certificate(ROOT_FILE, &made)?;
            made
        }
    };
    check_issuer_chain(std::slice::from_ref(&certificate), now, 1)?;
    of_trust_domain(&certificate, &setup.trust_domain)?;
    let above = vec![certificate.clone()];
    let issuing = Issuing::certified(IssuerName::Root, Box::new(key), certificate, &[])
        .map_err(crate::pki::plan::PlanError::from)?;
    Ok((issuing, above))
}

async fn make_root(
    key: &PrivateKey,
    setup: &Setup,
    store: &dyn Store,
    entropy: &Entropy,
    now: Timestamp,
) -> Result<Certificate, SetupError> {
    let own = PrivateKey::from_pkcs8_der(&key.to_pkcs8_der()?)?;
    let issuing = Arc::new(Issuing::uncertified(IssuerName::Root, Box::new(own)));
    let profile = &setup.profiles.root;
    let contents = Contents {
        profile,
        key: key.public_key(),
        role: Role::Authority { path_len: Some(1) },
        common_name: Some(common_name(IssuerName::Root, &issuing.key_id())),
        uris: vec![format!("spiffe://{}", setup.trust_domain)],
        dns: Vec::new(),
        ips: Vec::new(),
        constraints: None,
        evidence: None,
        now,
        not_after: last_second(now, profile.life),
    };
    let recording = own_recording(IssuerName::Root.as_str(), now);
    let plan = Plan::build(
        Warrant::Bootstrap,
        &issuing,
        &contents,
        recording,
        setup.serial_instance,
        entropy,
    )?;
    let Record::New(recorded) = record(store, plan).await? else {
        return Err(FinishError::NotIssued.into());
    };
    Ok(crate::pki::finish::finish_recorded(store, recorded, now)
        .await?
        .certificate)
}

/// Whether an authority's own certificate names the trust domain that is configured: its ledger,
/// entries and SVIDs are of that one, and a second would be minted under the first one's root.
fn of_trust_domain(certificate: &Certificate, served: &TrustDomain) -> Result<(), SetupError> {
    let named = certificate
        .tbs()
        .alt_names
        .iter()
        .flat_map(|names| &names.uris);
    let served = format!("spiffe://{served}");
    match named.into_iter().find(|uri| **uri != served) {
        None => Ok(()),
        Some(uri) => Err(SetupError::OtherTrustDomain {
            made_for: uri.clone(),
            configured: served,
        }),
    }
}

fn own_recording(purpose: &str, now: Timestamp) -> Recording {
    let event = Event::new(EventKind::AuthorityIntent, now, "server").with(Key::Outcome, purpose);
    Recording {
        event,
        guards: Vec::new(),
        mint: None,
        activates: false,
        spend: None,
        retry: None,
    }
}

fn is_due(issuing: &Issuing, now: Timestamp) -> bool {
    let Some(certificate) = issuing.certificate() else {
        return true;
    };
    let born = certificate.tbs().not_before;
    let life = certificate.tbs().not_after.since(born).count();
    let lived = now.since(born).count();
    u64::from(life) * RENEW_AFTER_PERCENT <= u64::from(lived) * 100
}

/// A life counts from now; the last second is inclusive (RFC 5280 4.1.2.5).
fn last_second(now: Timestamp, life: crate::time::Seconds) -> Timestamp {
    now.plus(life)
        .minus(crate::time::Seconds::new(1))
        .whole_second()
}

fn common_name(name: IssuerName, key_id: &str) -> String {
    let generation: String = key_id.chars().take(8).collect();
    format!("protem {} {generation}", name.as_str())
}

fn file_name(name: IssuerName, key_id: &str) -> String {
    let generation: String = key_id.chars().take(16).collect();
    format!("{}-{generation}", name.as_str())
}

/// The path of protem's own SPIFFE ID; no entry may register below `/protem`.
pub const SERVER_PATH: &str = "/protem/server";
/// An intermediate is renewed after so much of its life, in percent.
const RENEW_AFTER_PERCENT: u64 = 45;
/// Generations of one issuer that are held at once.
const GENERATIONS_MAX: usize = 3;
const LEFTOVERS_AT_ONCE: u32 = 256;
const ROOT_FILE: &str = "root";

//! Callers whom others vouch for: holders of tokens of configured issuers, and workloads of foreign
//! trust domains.
//!
//! Promises: a token is judged by the keys that are known now; one that names a key which is not
//! known makes the keys be read again, at most once in [`KEYS_ASK_AGAIN_AFTER`], and waits for that
//! alone: nobody else does. At most `WAITING_PER_ISSUER_MAX` wait for one issuer's keys, and none
//! from where too much came unproved. A token of an issuer that is not configured causes nothing.
//! Refuses: keys that were last read more than [`KEYS_AGE_MAX`] ago.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::attestation::{
    AttestationError, Caller, Entry, ForeignTrustDomain, Jws, KeySet, Neighbour, Obtainer,
    PeerNames, TokenError, TokenIssuer, Workload,
};
use crate::service::{Call, Service, ServiceError};
use crate::time::{Seconds, Timestamp};

/// Who else is let in; nobody by default.
#[derive(Clone, Debug, Default)]
pub struct Strangers {
    /// Trust domains whose SVIDs are let in.
    pub foreign: Vec<ForeignTrustDomain>,
    /// Issuers whose tokens are let in, each with its keys.
    pub issuers: Vec<Arc<IssuerDesk>>,
}

/// An issuer, what is known of its keys, and whether somebody waits for newer ones.
#[derive(Debug)]
pub struct IssuerDesk {
    issuer: TokenIssuer,
    known: watch::Sender<Known>,
    /// For those who wait for newer keys.
    places: Semaphore,
}

#[derive(Debug, Default)]
struct Known {
    keys: Option<(Arc<KeySet>, Timestamp)>,
    /// How often newer keys were wished for.
    wished: u64,
    /// Up to which wish there was an attempt to read them.
    tried: u64,
    tried_at: Option<Timestamp>,
}

/// What a caller comes for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Anything that is done in his subject's name.
    Act,
    /// An SVID.
    Mint,
}

impl Service {
    /// The same service, which lets these in too.
    #[must_use]
    pub fn with_strangers(mut self, strangers: Strangers) -> Self {
        self.strangers = strangers;
        self
    }

    /// Who holds a token that an issuer signed, and comes from an address if there is one.
    ///
    /// # Errors
    /// [`ServiceError::IssuerToken`] where the token does not hold, [`ServiceError::KeysAway`]
    /// where nobody can say, [`ServiceError::TooMany`] where too much came unproved from there for
    /// this one to wait.
    pub async fn claimant(
        &self,
        token: &str,
        from: Option<Neighbour>,
    ) -> Result<Caller, ServiceError> {
        let jws = Jws::parse(token)?;
        let claimed = jws.claimed_issuer()?;
        let mut desks = self.strangers.issuers.iter();
        let desk = desks.find(|desk| desk.issuer.terms().issuer == claimed);
        let desk = desk.ok_or(TokenError::UnknownIssuer)?;
        let answer = match desk.admit(&jws, self.now()) {
            Err(ServiceError::KeysAway | ServiceError::IssuerToken(TokenError::KeyUnknown)) => {
                self.may_wait_unproved(from, "keys_away")?;
                let _place = desk
                    .places
                    .try_acquire()
                    .map_err(|_| ServiceError::KeysAway)?;
                desk.newer_keys(self.now()).await;
                desk.admit(&jws, self.now())
            }
            other => other,
        };
        if let Err(error) = &answer {
            let error: &dyn std::error::Error = error;
            tracing::info!(issuer = claimed, error, "token refused");
        }
        answer
    }

    /// The workload that a verified certificate names, of the own trust domain or of one that is
    /// let in. Under `own_bundle` another authority may vouch for names of the own one.
    ///
    /// # Errors
    /// The rule that its names break.
    pub fn workload(&self, peer: &PeerNames) -> Result<Workload, AttestationError> {
        let id = peer.spiffe_id()?;
        let mut foreign = self.strangers.foreign.iter();
        if let Some(of) = foreign.find(|one| one.name() == id.trust_domain()) {
            return Workload::from_foreign_peer(peer, of);
        }
        let own = Workload::from_peer(peer, self.authority.trust_domain())?;
        let issuer = peer.issuer_key_id.as_deref();
        let ours = issuer.is_some_and(|key_id| self.authority.issues_under(key_id));
        let foreign = Some(id).filter(|_| !ours);
        Ok(Workload { foreign, ..own })
    }
}

impl Service {
    /// Lets in whom another authority vouches for only where his entry says so: nothing that the
    /// subject may do is done in its name by somebody else's certificate, unless it is `foreign`;
    /// and nothing is minted, unless it is that or `x509`. The mint looks closer.
    ///
    /// # Errors
    /// [`ServiceError::NotAllowed`], recorded.
    pub async fn let_in(&self, call: &Call, to: Purpose) -> Result<(), ServiceError> {
        let Caller::Workload(workload) = &call.caller else {
            return Ok(());
        };
        if workload.foreign.is_none() {
            return Ok(());
        }
        let subject = workload.name.subject();
        let standing = self.store.standing(Some(subject.clone()), None).await?;
        // Without an entry there is nothing to do in its name; policy says so.
        let ways: &[Obtainer] = match to {
            Purpose::Act => &[Obtainer::Foreign],
            Purpose::Mint => &[Obtainer::Foreign, Obtainer::X509],
        };
        let says = |entry: Arc<Entry>| {
            let obtained_by = &entry.terms.obtained_by;
            ways.iter().any(|way| obtained_by.contains(way))
        };
        if standing.entry.is_none_or(says) {
            return Ok(());
        }
        let rule = ServiceError::NotAllowed("the entry of this subject does not say `foreign`");
        Err(self
            .refused_by_rule(call, Some(subject), "not_foreign", rule)
            .await)
    }
}

impl IssuerDesk {
    /// An issuer whose keys nobody has read yet.
    #[must_use]
    pub fn new(issuer: TokenIssuer) -> Self {
        Self {
            issuer,
            known: watch::Sender::default(),
            places: Semaphore::new(WAITING_PER_ISSUER_MAX),
        }
    }

    /// The issuer.
    #[must_use]
    pub const fn issuer(&self) -> &TokenIssuer {
        &self.issuer
    }

    /// Puts down what came of reading the keys: newer ones, or none. Those before stay until their
    /// greatest age.
    pub fn tried(&self, read: Option<KeySet>, now: Timestamp) {
        self.known.send_modify(|known| {
            known.tried = known.wished;
            known.tried_at = Some(now);
            if let Some(keys) = read {
                known.keys = Some((Arc::new(keys), now));
            }
        });
    }

    /// Ends when somebody wishes for newer keys.
    pub async fn wished(&self) {
        let mut known = self.known.subscribe();
        // The sender lives as long as the desk.
        let _ = known.wait_for(|known| known.tried < known.wished).await;
    }

    fn admit(&self, jws: &Jws, now: Timestamp) -> Result<Caller, ServiceError> {
        let known = self.known.borrow().keys.clone();
        let young = |(_, read_at): &(_, Timestamp)| now < read_at.plus(KEYS_AGE_MAX);
        let (keys, _) = known.filter(young).ok_or(ServiceError::KeysAway)?;
        Ok(Caller::Claimant(self.issuer.admit(jws, &keys, now)?))
    }

    /// Ends when the keys were read again, or are not to be yet.
    async fn newer_keys(&self, now: Timestamp) {
        let mut wish = 0;
        let wished = self.known.send_if_modified(|known| {
            wish = known.wished;
            let rested = known
                .tried_at
                .is_none_or(|at| now < at || at.plus(KEYS_ASK_AGAIN_AFTER) <= now);
            // One wish at a time: who comes while it is open waits for it too.
            let new = known.tried == known.wished && rested;
            if new {
                known.wished = known.wished.saturating_add(1);
                wish = known.wished;
            }
            new
        });
        let mut known = self.known.subscribe();
        if wished || known.borrow().tried < wish {
            let read = known.wait_for(|known| wish <= known.tried);
            let _ = timeout(KEYS_WAIT_MAX, read).await;
        }
    }
}

/// Keys that were last read longer ago verify nothing.
pub const KEYS_AGE_MAX: Seconds = Seconds::new(3_600);
/// The least time between two readings that tokens can cause.
pub const KEYS_ASK_AGAIN_AFTER: Seconds = Seconds::new(30);
/// How long a caller waits for newer keys.
const KEYS_WAIT_MAX: Duration = Duration::from_secs(10);
/// The most callers who wait for the keys of one issuer; the others are told at once.
const WAITING_PER_ISSUER_MAX: usize = 64;

//! The agent's own identity: the first proof, then its own SVID, renewed by itself.
//!
//! Promises: a new key with every renewal; the SVID and its key are kept together (0600), so that a
//! restart needs no new proof while they live. While the server is away it goes on with what it
//! has, and where that has ended, with the first proof again: the agent itself never ends for it.
//! Refuses: an answer that is not for its own SPIFFE ID and key.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::agent::home::{Home, HomeError};
use crate::agent::trouble::Troubles;
use crate::client::keep::{pause_after, renewal_point, until};
use crate::client::{Client, ClientError, Minted, Proof, Wanted, read_roots, read_svid, svid_name};
use crate::config::{AgentConfig, FirstProof};
use crate::id::entropy::Entropy;
use crate::time::{Clock, Timestamp};
use crate::wire::problem::ProblemKind;
use crate::wire::svid::SvidRequest;
use crate::x509::{KeyKind, PrivateKey, PrivateKeyError, write_chain, write_request};

/// The agent's own SVID, as far as others must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    /// Its last second.
    pub(crate) not_after: Timestamp,
    /// When it is renewed.
    pub(crate) renew_at: Timestamp,
}

/// Who keeps it.
pub(crate) struct Identity {
    subject: String,
    home: Arc<Home>,
    /// Calls with the SVID that lies in the place.
    pub(crate) client: Arc<Client>,
    /// Calls with the first proof.
    first: Option<Client>,
}

/// Why the agent gets no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The server does not give one.
    #[error("the agent gets no SVID of its own")]
    Client(#[from] ClientError),
    /// No key could be made.
    #[error("no key could be made")]
    Key(#[from] PrivateKeyError),
    /// Nothing proves it.
    #[error(
        "nothing proves this agent: its own SVID is not there or has ended. Make a join token with \
         `protem token create {0}` and write it to the file that `join_token_file` names"
    )]
    NoProof(String),
    /// What should prove it does not.
    #[error(
        "nothing proves this agent: its own SVID is not there or has ended, and the first proof is \
         no good. Make a join token with `protem token create {subject}` and write it to the file \
         that `join_token_file` names; it is tried again by itself"
    )]
    NotProved {
        /// The agent's SPIFFE ID.
        subject: String,
        /// What is wrong with the proof.
        source: Box<ClientError>,
    },
    /// What it has cannot be kept.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl Identity {
    /// The keeper of the identity of this agent.
    ///
    /// # Errors
    /// When the roots cannot be put in their place.
    pub(crate) fn open(
        config: &AgentConfig,
        home: Arc<Home>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, IdentityError> {
        if !home.bundle().exists() {
            let read = fs::read_to_string(&config.bundle);
            let pem = read.map_err(|source| ClientError::Bundle {
                path: config.bundle.clone(),
                source,
            })?;
            read_roots(pem.as_bytes(), || format!("`{}`", config.bundle.display()))?;
            home.put_bundle(&pem)?;
        }
        let client = |proof| Client {
            address: config.server.clone(),
            bundle: home.bundle(),
            proof,
            clock: Arc::clone(clock),
            entropy: Arc::new(Entropy::system()),
        };
        Ok(Self {
            subject: config.subject.to_string(),
            first: config.proof.as_ref().map(|proof| client(proof_of(proof))),
            client: Arc::new(client(Proof::Svid(home.svid()))),
            home,
        })
    }

    /// What lies in the place, where it lives and is this agent's.
    pub(crate) fn held(&self) -> Option<Own> {
        let now = self.client.clock.now();
        let held = read_svid(&self.home.svid(), now).ok()?;
        let (_, name) = svid_name(&held.leaf).ok()?;
        let own = name.scope().is_none() && name.subject().to_string() == self.subject;
        let tbs = held.leaf.tbs();
        // When it was asked for is not known any more; its notBefore stands a little before that.
        own.then(|| self.own(tbs.not_before.max(Timestamp::EPOCH), tbs.not_after))
    }

    /// Asks for an SVID: with the one that is held, else with the first proof.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn obtain(&self) -> Result<Own, IdentityError> {
        if self.held().is_some() {
            return self.mint(&self.client).await;
        }
        match &self.first {
            Some(first) => self.mint(first).await.map_err(|error| self.of_proof(error)),
            None => Err(IdentityError::NoProof(self.subject.clone())),
        }
    }

    /// Renews it until the stop, and tells each, or why there is none.
    pub(crate) async fn keep(
        self,
        own: watch::Sender<Option<Own>>,
        troubles: Troubles,
        stop: CancellationToken,
    ) {
        let clock = Arc::clone(&self.client.clock);
        let mut failures = 0_u32;
        loop {
            let next = match *own.borrow() {
                Some(own) if failures == 0 => own.renew_at,
                Some(_) | None => {
                    let chance = u16::from_be_bytes(self.client.entropy.bytes());
                    let now = clock.now();
                    if failures == 0 {
                        now
                    } else {
                        now.plus(pause_after(failures, chance))
                    }
                }
            };
            tokio::select! {
                () = until(&*clock, next) => {}
                () = stop.cancelled() => return,
            }
            match self.obtain().await {
                Ok(new) => {
                    failures = 0;
                    troubles.own(None);
                    tracing::info!(not_after = %new.not_after, "the agent's own SVID is new");
                    own.send_replace(Some(new));
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    troubles.own(Some(&error));
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(failures, error, "the agent gets no new SVID of its own");
                    if self.held().is_none() {
                        own.send_if_modified(|own| own.take().is_some());
                    }
                }
            }
        }
    }

    /// Says what to do where the first proof is not there, spent, or somebody else's.
    fn of_proof(&self, error: IdentityError) -> IdentityError {
        let refused = |kind| {
            matches!(
                kind,
                ProblemKind::Denied | ProblemKind::Forbidden | ProblemKind::Unauthenticated
            )
        };
        match error {
            IdentityError::Client(source)
                if matches!(source, ClientError::Secret(_) | ClientError::Svid(_))
                    || source.problem().is_some_and(refused) =>
            {
                let subject = self.subject.clone();
                let source = Box::new(source);
                IdentityError::NotProved { subject, source }
            }
            error => error,
        }
    }

    async fn mint(&self, client: &Client) -> Result<Own, IdentityError> {
        // Before a token is spent, and before the server signs what could not be kept.
        self.home.try_room()?;
        let key = PrivateKey::generate(KeyKind::P256)?;
        let asked = client.clock.now();
        let request = SvidRequest {
            csr: write_request(&key)?,
            scope: None,
            elevation: None,
            // Named, so that a token for another agent is refused before it is spent.
            subject: Some(self.subject.clone()),
            ttl: None,
            holder: None,
        };
        let view = client.mint(&request).await?;
        let path = self.home.bundle();
        let pem = fs::read(&path).map_err(|source| ClientError::Bundle { path, source })?;
        let roots = read_roots(&pem, || format!("`{}`", self.home.bundle().display()))?;
        let wanted = Wanted {
            key: key.public_key(),
            scope: None,
            subject: Some(&self.subject),
        };
        let minted = Minted::check(&view, &wanted, &roots, client.clock.now());
        let minted = minted.map_err(ClientError::from)?;
        self.home
            .put_svid(&write_chain(&minted.chain), &key.to_pkcs8_pem()?)?;
        Ok(self.own(asked, minted.not_after))
    }

    fn own(&self, asked: Timestamp, not_after: Timestamp) -> Own {
        let chance = u16::from_be_bytes(self.client.entropy.bytes());
        Own {
            not_after,
            renew_at: renewal_point(asked, not_after, chance),
        }
    }
}

fn proof_of(proof: &FirstProof) -> Proof {
    match proof {
        FirstProof::JoinToken(file) => Proof::BearerFile(PathBuf::from(file)),
        FirstProof::Svid(folder) => Proof::Svid(folder.clone()),
    }
}

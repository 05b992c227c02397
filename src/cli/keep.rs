//! Keeping one SVID in a folder: key made here, certificate asked for, answer checked, files
//! written.
//!
//! Promises: the private key never leaves this machine; nothing is written that was not checked
//! against the question and the roots; nothing expired is written at all. One key is kept for the
//! life of a keeper: it is the instance that elevations are bound to.
//! Refuses: two keepers on one folder.

use std::path::Path;

use crate::client::keep::{Contents, KeptFolder, renewal_point};
use crate::client::{Client, ClientError, Minted, Wanted};
use crate::time::{Seconds, Timestamp};
use crate::wire::svid::SvidRequest;
use crate::x509::{KeyKind, PrivateKey, write_chain, write_request};

/// What is asked for again and again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) scope: Option<String>,
    pub(crate) elevation: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) ttl: Option<Seconds>,
}

/// One SVID in one folder.
pub(crate) struct Keeper {
    pub(crate) client: Client,
    pub(crate) folder: KeptFolder,
    pub(crate) ask: Ask,
    key: PrivateKey,
}

/// A certificate that was written.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) minted: Minted,
    /// When it was asked for.
    pub(crate) asked: Timestamp,
    /// When to ask for the next.
    pub(crate) renew: Timestamp,
}

impl Keeper {
    /// A keeper of `folder` with the given key, or with a new one.
    pub(crate) fn new(
        client: Client,
        folder: &Path,
        ask: Ask,
        key: Option<PrivateKey>,
    ) -> anyhow::Result<Self> {
        let key = match key {
            Some(key) => key,
            None => PrivateKey::generate(KeyKind::P256)?,
        };
        Ok(Self {
            client,
            folder: KeptFolder::open(folder)?,
            ask,
            key,
        })
    }

    /// The instance that elevations are bound to: the fingerprint of the key.
    pub(crate) fn instance(&self) -> String {
        self.key.public_key().fingerprint().to_string()
    }

    /// Asks for a certificate, checks it and writes all files.
    pub(crate) async fn mint(&self) -> anyhow::Result<Kept> {
        let asked = self.client.clock.now();
        let request = SvidRequest {
            csr: write_request(&self.key)?,
            scope: self.ask.scope.clone(),
            elevation: self.ask.elevation.clone(),
            subject: self.ask.subject.clone(),
            ttl: self.ask.ttl.map(|ttl| ttl.to_string()),
            holder: None,
        };
        let view = self.client.mint(&request).await?;
        let roots = self.client.bundle_roots().await?;
        let wanted = Wanted {
            key: self.key.public_key(),
            scope: self.ask.scope.as_deref(),
            subject: self.ask.subject.as_deref(),
        };
        let now = self.client.clock.now();
        let minted = Minted::check(&view, &wanted, &roots, now).map_err(ClientError::from)?;
        self.folder.write(&Contents {
            chain: &write_chain(&minted.chain),
            key: &self.key.to_pkcs8_pem()?,
            bundle: &write_chain(&roots),
            federated: None,
        })?;
        let chance = u16::from_be_bytes(self.client.entropy.bytes());
        let renew = renewal_point(asked, minted.not_after, chance);
        Ok(Kept {
            minted,
            asked,
            renew,
        })
    }
}

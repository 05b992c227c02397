//! Renewing the authority's own certificates, and making its server's.
//!
//! Promises: a reconciler, safe at any time; a failed renewal leaves the older generation.
//! Refuses: to renew issuers while the clock is in doubt.

use std::net::IpAddr;

use crate::pki::{IssuerName, Svid};
use crate::service::{Service, ServiceError};
use crate::x509::PublicKey;

impl Service {
    /// Renews what is due. Answers which issuers were renewed.
    ///
    /// # Errors
    /// Why a renewal failed.
    pub async fn rotate(&self) -> Result<Vec<IssuerName>, ServiceError> {
        let now = self.clock.sure()?;
        Ok(self
            .authority
            .rotate(self.store.as_ref(), &self.entropy, now)
            .await?)
    }

    /// Makes a certificate for protem's own server names.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub async fn mint_service(
        &self,
        key: &PublicKey,
        names: (Vec<String>, Vec<IpAddr>),
    ) -> Result<Svid, ServiceError> {
        // Also while the clock is in doubt: nobody could reach the server to accept it otherwise.
        let now = self.clock.now();
        let store = self.store.as_ref();
        Ok(self
            .authority
            .mint_service(key, names, store, &self.entropy, now)
            .await?)
    }
}

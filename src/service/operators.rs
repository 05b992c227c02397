//! Operator credentials: the first login, before any person or workload is known.
//!
//! Promises: made at the first start, or by whoever holds the server's own files (above policy,
//! like the kill switch on the local socket); recorded; kept only as a digest.
//! Refuses: to be made over the network.

use crate::attestation::{Bearer, Caller, SecretDigest};
use crate::audit::{Event, EventKind};
use crate::id::OperatorId;
use crate::service::{SERVER, Service, ServiceError};
use crate::store::NewOperator;

impl Service {
    /// Records that a server of this version begins to serve.
    ///
    /// # Errors
    /// When it cannot be recorded: such a server must not serve.
    pub async fn record_start(&self, version: &str) -> Result<(), ServiceError> {
        let event = Event::new(EventKind::ServerStarted, self.now(), SERVER);
        self.store.append(event.and("version", version)).await?;
        Ok(())
    }

    /// Draws an operator credential, which opens nothing until it is admitted.
    #[must_use]
    pub fn draw_operator(&self) -> Bearer {
        Bearer::operator(&self.entropy)
    }

    /// Lets an operator credential in. The caller of this function holds the server itself.
    ///
    /// # Errors
    /// When it is another kind of secret, or cannot be recorded.
    pub async fn admit_operator(&self, bearer: &Bearer) -> Result<(), ServiceError> {
        let id = match bearer {
            Bearer::Operator(id, _) => *id,
            Bearer::JoinToken(..) => return Err(ServiceError::Token),
        };
        let event = Event::new(EventKind::OperatorCreated, self.now(), SERVER)
            .and("operator", id.to_string());
        self.store
            .create_operator(NewOperator {
                id,
                digest: bearer.digest(),
                event,
            })
            .await?;
        Ok(())
    }

    /// Whether any operator credential exists.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn has_operator(&self) -> Result<bool, ServiceError> {
        Ok(self.store.has_operator().await?)
    }

    /// Who holds an operator credential.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] without saying which part was wrong.
    pub async fn operator_holder(
        &self,
        id: OperatorId,
        digest: &SecretDigest,
    ) -> Result<Caller, ServiceError> {
        let row = self.store.operator(id).await?;
        match row.filter(|row| row.digest.matches(digest)) {
            Some(_) => Ok(Caller::Operator(id)),
            None => Err(ServiceError::NotFound("operator credential")),
        }
    }
}

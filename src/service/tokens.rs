//! Join tokens: one use, one subject, minutes to live.
//!
//! Promises: the secret is answered once and kept only as a digest; it is spent in the very
//! transaction that records what it pays for, so two redeemers cannot both win (assurance T12).
//! Refuses: tokens for subjects without an entry that allows them, lives above a day.

use crate::attestation::{Bearer, Caller, Obtainer, SecretDigest};
use crate::audit::{EventKind, Key};
use crate::id::{EventNumber, TokenId};
use crate::identity::Subject;
use crate::policy::OperateVerb;
use crate::service::{Call, Service, ServiceError};
use crate::store::{NewToken, TokenRow};
use crate::time::{Seconds, Timestamp};

/// A token as it is answered once.
#[derive(Debug)]
pub struct CreatedToken {
    /// The secret with its id.
    pub bearer: Bearer,
    /// Its id.
    pub id: TokenId,
    /// Whom it lets in.
    pub subject: Subject,
    /// From this moment on it opens nothing.
    pub expires_at: Timestamp,
}

impl Service {
    /// Makes a join token for a subject.
    ///
    /// # Errors
    /// Why not.
    pub async fn create_token(
        &self,
        call: &Call,
        subject: Subject,
        life: Option<Seconds>,
    ) -> Result<CreatedToken, ServiceError> {
        self.operate(call, OperateVerb::MakeTokens).await?;
        let life = life.unwrap_or(TOKEN_LIFE);
        if life < TOKEN_LIFE_MIN || TOKEN_LIFE_MAX < life {
            return Err(ServiceError::Field("a token lives between 1m and 1d"));
        }
        let standing = self.store.standing(Some(subject.clone()), None).await?;
        let entry = standing.entry.ok_or(ServiceError::NotFound(
            "entry for this subject; register it first with `protem entry put`",
        ))?;
        if !entry.terms.obtained_by.contains(&Obtainer::Token) {
            return Err(ServiceError::Field(
                "the subject's entry does not allow join tokens; `protem entry put` changes it",
            ));
        }
        let bearer = Bearer::join_token(&self.entropy);
        let id = match &bearer {
            Bearer::JoinToken(id, _) => *id,
            Bearer::Operator(..) => return Err(ServiceError::Token),
        };
        let now = self.now();
        let expires_at = now.plus(life);
        let event = call
            .event(EventKind::TokenCreated, now)
            .with(Key::Subject, subject.to_string())
            .and("expires_at", expires_at.rfc3339())
            .and("token", id.to_string());
        let digest = bearer.digest();
        let token = NewToken {
            id,
            digest,
            subject: subject.clone(),
            expires_at,
            event,
        };
        self.store.create_token(token).await?;
        Ok(CreatedToken {
            bearer,
            id,
            subject,
            expires_at,
        })
    }

    /// Who holds a join token. Whether it is spent is judged by the transaction that spends it,
    /// so that a repeated request with the same idempotency key finds its certificate.
    ///
    /// # Errors
    /// [`ServiceError::Token`] without saying which part was wrong.
    pub async fn token_holder(
        &self,
        id: TokenId,
        digest: &SecretDigest,
    ) -> Result<Caller, ServiceError> {
        let row = self.store.token(id).await?.ok_or(ServiceError::Token)?;
        let good = row.digest.matches(digest) && self.now() < row.expires_at;
        if good {
            Ok(Caller::Token(id, row.subject))
        } else {
            Err(ServiceError::Token)
        }
    }

    /// Join tokens in the order in which they were made, without secrets.
    ///
    /// # Errors
    /// Why not.
    pub async fn tokens(
        &self,
        call: &Call,
        after: Option<EventNumber>,
        limit: u32,
    ) -> Result<Vec<TokenRow>, ServiceError> {
        self.operate(call, OperateVerb::ReadState).await?;
        let _turn = self.turn_to_search(call).await;
        Ok(self
            .store
            .tokens(after, limit.min(crate::service::elevate::PAGE_MAX))
            .await?)
    }

    /// Removes an unspent join token.
    ///
    /// # Errors
    /// Why not.
    pub async fn remove_token(&self, call: &Call, id: TokenId) -> Result<(), ServiceError> {
        self.operate(call, OperateVerb::MakeTokens).await?;
        let row = self
            .store
            .token(id)
            .await?
            .ok_or(ServiceError::NotFound("token"))?;
        let event = call
            .event(EventKind::TokenRemoved, self.now())
            .with(Key::Subject, row.subject.to_string())
            .and("token", id.to_string());
        self.store.remove_token(id, event).await?;
        Ok(())
    }
}

const TOKEN_LIFE: Seconds = Seconds::new(600);
const TOKEN_LIFE_MIN: Seconds = Seconds::new(60);
const TOKEN_LIFE_MAX: Seconds = Seconds::new(86_400);

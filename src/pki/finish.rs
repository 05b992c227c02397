//! From recorded bytes to a certificate in somebody's hands.
//!
//! Promises: an [`Svid`] exists only when its signature is durable; a failure is durable too.
//! After a crash, what was recorded and not signed is signed from the very bytes that were
//! recorded, at most once, while its time lasts; otherwise its failure is recorded.
//! Refuses: to answer with anything that the store has not confirmed.

use std::sync::Arc;

use crate::audit::{Event, EventKind, Key, SealedEvent};
use crate::failpoint::{Point, reach};
use crate::id::EventNumber;
use crate::pki::authority::Authority;
use crate::pki::issuing::SignError;
use crate::pki::plan::Planned;
use crate::store::{Leftover, Outcome, Recorded, Store, StoreError};
use crate::time::Timestamp;
use crate::x509::{Certificate, CertificateError};

/// A certificate whose intent and outcome are durable.
#[derive(Debug)]
pub struct Svid {
    /// The certificate.
    pub certificate: Certificate,
    /// The certificate and its issuers without the root, leaf first, PEM.
    pub chain_pem: String,
    /// The event that recorded what was going to be signed.
    pub intent: SealedEvent,
    /// The event that recorded the signature.
    pub issued: EventNumber,
}

/// Why recorded bytes did not become a certificate.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
    /// The intent has no certificate yet: another request is at it, or it failed.
    #[error(
        "the first request with this key has no certificate yet; ask again with it in a moment, \
         and with a new key when that stays so"
    )]
    NotIssued,
    /// The certificate of the first request with this key is over.
    #[error("the certificate of the first request with this key is over; ask with a new key")]
    Over,
    /// A certificate in the store cannot be read.
    #[error("a stored certificate cannot be read")]
    Read(#[from] CertificateError),
    /// It could not be signed, or what came out was not what was recorded.
    #[error("the certificate cannot be signed")]
    Sign(#[from] SignError),
    /// The outcome could not be made durable.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The issuer's key is no longer held.
    #[error("the key that was to sign is no longer held")]
    UnknownIssuer,
}

impl Authority {
    /// Signs a recorded plan and makes the outcome durable.
    ///
    /// # Errors
    /// Why there is no certificate; a failure to sign is recorded as `svid.failed`.
    pub async fn finish(
        &self,
        store: &dyn Store,
        recorded: Recorded<Planned>,
        now: Timestamp,
    ) -> Result<Svid, FinishError> {
        finish_recorded(store, recorded, now).await
    }

    /// Finishes one intent that a crash left behind. Answers whether it was signed.
    ///
    /// # Errors
    /// When the outcome cannot be made durable.
    pub async fn finish_leftover(
        &self,
        store: &dyn Store,
        recorded: Recorded<Leftover>,
        now: Timestamp,
    ) -> Result<bool, FinishError> {
        let event = recorded.event().event();
        let text = |name| event.field(name).and_then(|value| value.as_text());
        let not_after = text("not_after").and_then(|time| time.parse::<Timestamp>().ok());
        if not_after.is_none_or(|last| last <= now) {
            fail(
                store,
                recorded.event(),
                "its time was over before it was signed",
                now,
            )
            .await?;
            return Ok(false);
        }
        if let Some(why) = overtaken(store, event).await? {
            fail(store, recorded.event(), why, now).await?;
            return Ok(false);
        }
        let Some(issuing) = text("issuer").and_then(|key| self.issuing_by_key(key)) else {
            let why = FinishError::UnknownIssuer.to_string();
            fail(store, recorded.event(), &why, now).await?;
            return Ok(false);
        };
        match issuing.sign(&recorded, None) {
            Ok(certificate) => {
                conclude(store, recorded.event(), &certificate, now).await?;
                Ok(true)
            }
            Err(error) => {
                fail(store, recorded.event(), &error.to_string(), now).await?;
                Ok(false)
            }
        }
    }

    /// The certificate of an earlier request with the same idempotency key.
    ///
    /// # Errors
    /// [`FinishError::NotIssued`] when there is none.
    pub async fn again(
        &self,
        store: &dyn Store,
        intent: SealedEvent,
        now: Timestamp,
    ) -> Result<Svid, FinishError> {
        let row = store
            .certificate(intent.number())
            .await?
            .ok_or(FinishError::NotIssued)?;
        let certificate = Certificate::parse(&row.der)?;
        if certificate.tbs().not_after <= now {
            return Err(FinishError::Over);
        }
        let issuer = intent.event().field("issuer").and_then(|key| key.as_text());
        let issuing = issuer
            .and_then(|key| self.issuing_by_key(key))
            .ok_or(FinishError::UnknownIssuer)?;
        let chain_pem = certificate.to_pem() + issuing.chain_pem();
        Ok(Svid {
            certificate,
            chain_pem,
            intent,
            issued: row.issued,
        })
    }
}

/// What has happened since an intent was recorded that lets nothing be signed from it any more.
async fn overtaken(store: &dyn Store, event: &Event) -> Result<Option<&'static str>, StoreError> {
    if event.kind() != EventKind::SvidIntent {
        return Ok(None);
    }
    if store.minting().await?.stopped {
        return Ok(Some("minting was stopped before it was signed"));
    }
    let Some(id) = event.key(Key::Elevation).and_then(|id| id.parse().ok()) else {
        return Ok(None);
    };
    let elevation = store.elevation(id).await?;
    let open = elevation.is_some_and(|row| row.elevation.runs_out_at().is_some());
    Ok((!open).then_some("its elevation ended before it was signed"))
}

/// As [`Authority::finish`]; also for the root, which is signed before there is an authority.
pub(crate) async fn finish_recorded(
    store: &dyn Store,
    recorded: Recorded<Planned>,
    now: Timestamp,
) -> Result<Svid, FinishError> {
    let issuing = Arc::clone(recorded.kept().issuing());
    let (recorded, planned) = recorded.part();
    match issuing.sign(&recorded, Some(planned.into_read())) {
        Ok(certificate) => {
            if recorded.event().event().kind() == EventKind::SvidIntent {
                reach(Point::WalkSigned).map_err(StoreError::from)?;
            }
            let issued = conclude(store, recorded.event(), &certificate, now).await?;
            let chain_pem = certificate.to_pem() + issuing.chain_pem();
            Ok(Svid {
                certificate,
                chain_pem,
                intent: recorded.into_event(),
                issued,
            })
        }
        Err(error) => {
            fail(store, recorded.event(), &error.to_string(), now).await?;
            Err(error.into())
        }
    }
}

async fn conclude(
    store: &dyn Store,
    intent: &SealedEvent,
    certificate: &Certificate,
    now: Timestamp,
) -> Result<EventNumber, StoreError> {
    let event = outcome(true, intent, now)
        .with(Key::Outcome, "issued")
        .with(Key::Fingerprint, certificate.fingerprint().to_string())
        .and("not_after", certificate.tbs().not_after.rfc3339());
    let certificate = Some(certificate.der().to_vec());
    store
        .conclude(Outcome {
            intent: intent.number(),
            event,
            certificate,
        })
        .await
}

async fn fail(
    store: &dyn Store,
    intent: &SealedEvent,
    why: &str,
    now: Timestamp,
) -> Result<EventNumber, StoreError> {
    tracing::error!(intent = %intent.number(), why, "planned certificate was not signed");
    let event = outcome(false, intent, now)
        .with(Key::Outcome, "failed")
        .and("why", why);
    store
        .conclude(Outcome {
            intent: intent.number(),
            event,
            certificate: None,
        })
        .await
}

/// An outcome repeats the names under which its intent is searched.
fn outcome(issued: bool, intent: &SealedEvent, now: Timestamp) -> Event {
    let own = intent.event().kind() == EventKind::AuthorityIntent;
    let kind = match (own, issued) {
        (true, true) => EventKind::AuthorityIssued,
        (true, false) => EventKind::AuthorityFailed,
        (false, true) => EventKind::SvidIssued,
        (false, false) => EventKind::SvidFailed,
    };
    let caller = intent.event().key(Key::Caller).unwrap_or_default();
    let event = Event::new(kind, now, caller).with(Key::Intent, intent.number().to_string());
    [
        Key::Subject,
        Key::Scope,
        Key::Elevation,
        Key::Serial,
        Key::Policy,
    ]
    .into_iter()
    .filter_map(|key| intent.event().key(key).map(|value| (key, value)))
    .fold(event, |event, (key, value)| event.with(key, value))
}

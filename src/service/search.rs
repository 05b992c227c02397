//! The audit query.
//!
//! Promises: a query is one event, recorded before its first row is answered; pages go by event
//! number up to the number that was newest when the query began, so rows that arrive meanwhile
//! neither skip nor repeat any.
//! Refuses: more than [`PAGE_MAX`](crate::service::elevate::PAGE_MAX) rows at once.

use crate::audit::{EventKind, SealedEvent, Value};
use crate::id::EventNumber;
use crate::service::{Call, Service, ServiceError};
use crate::store::EventFilter;
use crate::time::Timestamp;

/// A query that was recorded.
#[derive(Clone, Debug)]
pub struct Query {
    /// What it looks for.
    pub filter: EventFilter,
    /// The newest event when it began; none in an empty ledger.
    pub until: Option<EventNumber>,
}

impl Service {
    /// Begins a query: asks policy, records that it was asked, pins its end.
    ///
    /// # Errors
    /// When policy refuses, or the query cannot be recorded.
    pub async fn begin_query(
        &self,
        call: &Call,
        filter: EventFilter,
    ) -> Result<Query, ServiceError> {
        self.may_read(call, &filter).await?;
        let until = self.store.head().await?.map(|head| head.number);
        let event = call
            .event(EventKind::AuditQueried, self.now())
            .and("filter", told(&filter));
        self.store.append(event).await?;
        Ok(Query { filter, until })
    }

    /// The next rows of a query that was begun, after `after`.
    ///
    /// # Errors
    /// When policy refuses by now, or the store cannot be read.
    pub async fn query_page(
        &self,
        call: &Call,
        query: &Query,
        after: Option<EventNumber>,
        limit: u32,
    ) -> Result<Vec<SealedEvent>, ServiceError> {
        self.may_read(call, &query.filter).await?;
        let limit = limit.min(crate::service::elevate::PAGE_MAX);
        let _turn = self.turn_to_search(call).await;
        Ok(self
            .store
            .events(query.filter.clone(), after, query.until, limit)
            .await?)
    }

    /// One event.
    ///
    /// # Errors
    /// When policy refuses, or there is none.
    pub async fn event(
        &self,
        call: &Call,
        number: EventNumber,
    ) -> Result<SealedEvent, ServiceError> {
        self.may_read_audit(call, None).await?;
        self.store
            .event(number)
            .await?
            .ok_or(ServiceError::NotFound("event"))
    }

    async fn may_read(&self, call: &Call, filter: &EventFilter) -> Result<(), ServiceError> {
        let of = filter
            .subject
            .as_deref()
            .and_then(|subject| subject.parse().ok());
        self.may_read_audit(call, of).await.map(|_| ())
    }
}

/// What was looked for, as the ledger tells it.
fn told(filter: &EventFilter) -> Value {
    let texts = [
        ("caller", filter.caller.clone()),
        ("elevation", filter.elevation.clone()),
        ("fingerprint", filter.fingerprint.clone()),
        ("from", filter.from.map(Timestamp::rfc3339)),
        ("kind", filter.kind.map(|kind| kind.to_string())),
        ("outcome", filter.outcome.clone()),
        ("policy", filter.policy.clone()),
        ("scope", filter.scope.clone()),
        ("serial", filter.serial.clone()),
        ("subject", filter.subject.clone()),
        ("to", filter.to.map(Timestamp::rfc3339)),
    ];
    let given = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), text?)));
    Value::Map(
        given
            .map(|(name, text)| (name, Value::from(text)))
            .collect(),
    )
}

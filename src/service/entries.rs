//! Registration entries: who is known, and who may obtain his SVID.
//!
//! Promises: every change is an event; the version rises, so that a permit decided on the older
//! one is refused.
//! Refuses: subjects of another trust domain (assurance S6), and the names below `/protem` that
//! the authority itself uses.

use crate::attestation::{Entry, EntryTerms};
use crate::audit::{EventKind, Key, Value};
use crate::id::EntryId;
use crate::identity::Subject;
use crate::policy::OperateVerb;
use crate::service::{Call, Service, ServiceError};

impl Service {
    /// Registers a workload, or changes what is registered of it.
    ///
    /// # Errors
    /// Why not.
    pub async fn put_entry(&self, call: &Call, terms: EntryTerms) -> Result<Entry, ServiceError> {
        self.operate(call, OperateVerb::ChangeEntries).await?;
        let terms = terms.checked()?;
        if terms.subject.trust_domain() != self.authority.trust_domain() {
            return Err(ServiceError::Field(
                "the subject is of another trust domain",
            ));
        }
        let path = terms.subject.id().path();
        if path == OWN_PATH || path.starts_with(OWN_PATHS) {
            return Err(ServiceError::Field(
                "names below `/protem` are the authority's own",
            ));
        }
        let event = call
            .event(EventKind::EntryPut, self.now())
            .with(Key::Subject, terms.subject.to_string())
            .and("federates_with", texts(&terms.federates_with))
            .and("groups", texts(&terms.groups))
            .and("life_s", terms.life.count())
            .and("obtained_by", texts(&terms.obtained_by))
            .and("owner", terms.owner.as_str())
            .and("selectors", texts(&terms.selectors));
        let entry = Entry {
            id: EntryId::random(&self.entropy),
            version: 1,
            terms,
        };
        let entry = self.store.put_entry(entry, event).await?;
        self.entry_changed(&entry.terms.subject, &entry.terms.obtained_by);
        Ok(entry)
    }

    /// Removes an entry: from then on nothing is minted for its subject.
    ///
    /// # Errors
    /// Why not.
    pub async fn remove_entry(&self, call: &Call, id: EntryId) -> Result<(), ServiceError> {
        self.operate(call, OperateVerb::ChangeEntries).await?;
        let entry = self
            .store
            .entry(id)
            .await?
            .ok_or(ServiceError::NotFound("entry"))?;
        let event = call
            .event(EventKind::EntryRemoved, self.now())
            .with(Key::Subject, entry.terms.subject.to_string());
        self.store.remove_entry(id, event).await?;
        self.entry_changed(&entry.terms.subject, &[]);
        Ok(())
    }

    /// One entry.
    ///
    /// # Errors
    /// Why not.
    pub async fn entry(&self, call: &Call, id: EntryId) -> Result<Entry, ServiceError> {
        self.operate(call, OperateVerb::ReadState).await?;
        self.store
            .entry(id)
            .await?
            .ok_or(ServiceError::NotFound("entry"))
    }

    /// The entry of a subject, when there is one.
    ///
    /// # Errors
    /// Why not.
    pub async fn entry_of(
        &self,
        call: &Call,
        subject: &Subject,
    ) -> Result<Option<Entry>, ServiceError> {
        self.operate(call, OperateVerb::ReadState).await?;
        let standing = self.store.standing(Some(subject.clone()), None).await?;
        Ok(standing.entry.map(|entry| entry.as_ref().clone()))
    }

    /// Entries by subject, after `after`.
    ///
    /// # Errors
    /// Why not.
    pub async fn entries(
        &self,
        call: &Call,
        after: Option<Subject>,
        limit: u32,
    ) -> Result<Vec<Entry>, ServiceError> {
        self.operate(call, OperateVerb::ReadState).await?;
        let _turn = self.turn_to_search(call).await;
        Ok(self
            .store
            .entries(after, limit.min(crate::service::elevate::PAGE_MAX))
            .await?)
    }
}

fn texts<T: ToString>(values: &[T]) -> Value {
    Value::List(
        values
            .iter()
            .map(|value| Value::from(value.to_string()))
            .collect(),
    )
}

const OWN_PATH: &str = "/protem";
const OWN_PATHS: &str = "/protem/";

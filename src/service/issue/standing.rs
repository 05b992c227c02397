//! What a mint rests on, and for whom it is looked for.
//!
//! Promises: strangers learn nothing of what is open for others; a holder is named by an agent of
//! the subject alone; whoever asks for somebody else is registered himself.
//! Refuses: to judge rights: policy does, on what is found here.

use crate::attestation::{Caller, Obtainer};
use crate::elevation::{Elevation, Instances};
use crate::id::{ElevationId, Holder, Instance};
use crate::identity::Subject;
use crate::policy::FactVersion;
use crate::scope::Scope;
use crate::service::elevate::OPEN_PER_SUBJECT_MAX;
use crate::service::issue::Walk;
use crate::service::obtain::{is_let_in, may_name_holder, obtains};
use crate::service::{Service, ServiceError};
use crate::store::Standing;

impl Service {
    /// What is known of whom and what is asked for; strangers learn nothing here.
    pub(super) async fn standing_of(&self, walk: &Walk<'_>) -> Result<Standing, ServiceError> {
        let subject = Some(walk.subject.clone());
        let standing = self.store.standing(subject, walk.elevation).await?;
        let (caller, entry) = (&walk.call.caller, standing.entry.as_deref());
        may_name_holder(caller, walk.holder.as_ref(), entry)?;
        let asked_for = |one: &Elevation| {
            let scope = &one.request.scope;
            one.request.subject == walk.subject
                && walk.scope.as_ref().is_none_or(|named| named == scope)
        };
        let allowed = if walk.elevation.is_some() {
            if !standing.elevation.as_ref().is_some_and(asked_for) {
                return Err(ServiceError::NotFound("elevation"));
            }
            // Policy tells strangers from deputies. An operator asks for others, and holds nothing;
            // a token pays for a base SVID and nothing more.
            matches!(caller, Caller::Workload(_)) && entry.is_none_or(|it| is_let_in(caller, it))
        } else {
            entry.is_some_and(|entry| obtains(caller, entry))
        };
        if allowed {
            Ok(standing)
        } else {
            Err(ServiceError::NotAllowed(
                "this caller may not obtain that SVID",
            ))
        }
    }

    /// Refuses who asks for somebody else and is registered no more: his SVID may outlive his
    /// entry (assurance M8). The entry of the subject is policy's to judge.
    ///
    /// Answers the version of his entry, which must still hold when what he asked for is recorded.
    pub(crate) async fn known(
        &self,
        caller: &Caller,
        subject: &Subject,
    ) -> Result<Option<FactVersion>, ServiceError> {
        match caller.subject() {
            Some(own) if own != subject => {
                let standing = self.store.standing(Some(own.clone()), None).await?;
                let gone = ServiceError::NotAllowed("who asks has no registration entry any more");
                let entry = standing.entry.filter(|entry| is_let_in(caller, entry));
                let entry = entry.ok_or(gone)?;
                Ok(Some(FactVersion::Entry(entry.id, entry.version)))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Refuses strangers before anything is looked for in the subject's name: what is open is not
    /// theirs to learn.
    pub(super) async fn may_ask_for(
        &self,
        caller: &Caller,
        subject: &Subject,
        holder: Option<&Holder>,
    ) -> Result<(), ServiceError> {
        let own = caller.subject() == Some(subject);
        let foreign = matches!(caller, Caller::Workload(workload) if workload.foreign.is_some());
        if own && !foreign && holder.is_none() {
            return Ok(());
        }
        let standing = self.store.standing(Some(subject.clone()), None).await?;
        let entry = standing.entry.as_deref();
        may_name_holder(caller, holder, entry)?;
        if own && entry.is_none_or(|entry| is_let_in(caller, entry)) {
            return Ok(());
        }
        let is_deputy = |own: &Subject| {
            let agent = Obtainer::Agent(own.id().clone());
            entry.is_some_and(|entry| entry.terms.obtained_by.contains(&agent))
        };
        match caller {
            Caller::Workload(workload) if is_deputy(workload.name.subject()) => Ok(()),
            Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) | Caller::Workload(_) => {
                Err(ServiceError::NotAllowed(
                    "this caller may not obtain that SVID",
                ))
            }
        }
    }

    /// The elevation that a caller means when he names only the scope: the newest open one that
    /// serves his instance.
    pub(super) async fn open_for(
        &self,
        subject: &Subject,
        scope: &Scope,
        instance: Instance,
    ) -> Result<ElevationId, ServiceError> {
        let open = self
            .store
            .open_elevations(subject, Some(scope), OPEN_LOOKED_AT_MAX)
            .await?;
        let serves = |elevation: &Elevation| match elevation.request.instances {
            Instances::One(one) => one == instance,
            Instances::All | Instances::Count(_) => true,
        };
        let newest = open.into_iter().find(serves);
        newest
            .map(|elevation| elevation.id)
            .ok_or(ServiceError::NoElevation)
    }
}

/// How many open elevations of one subject and scope are looked at: all that there can be.
const OPEN_LOOKED_AT_MAX: u32 = OPEN_PER_SUBJECT_MAX;

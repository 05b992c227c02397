//! Ending elevations before their time: cancel, withdraw, revoke, and the kill switch.
//!
//! Promises: an end is durable before it is answered, and from then on nothing is minted from
//! the elevation; what was minted before lives until its own notAfter, and who keeps a list of what
//! is denied hears of it at once. Stopping everything also
//! stops minting until it is released.
//! Refuses: to end what is over already; to let a stranger learn that an elevation exists.

use crate::attestation::Caller;
use crate::audit::{Event, EventKind, Key, Value};
use crate::elevation::{Elevation, End, Move, State};
use crate::id::{ElevationId, Instance};
use crate::identity::Subject;
use crate::policy::{OperateVerb, RevokeAct};
use crate::scope::Scope;
use crate::service::denials::denies;
use crate::service::{Call, DECIDE_ATTEMPTS_MAX, SERVER, Service, ServiceError, is_stale};
use crate::store::{ElevationChange, ElevationFilter, ElevationRow, Minting, Reason, with_use};
use crate::time::Timestamp;

/// Which elevations are to end.
#[derive(Clone, Debug)]
pub enum Target {
    /// Every one, and minting with them.
    Everything,
    /// Those that serve this instance.
    Instance(Instance),
    /// Those for this scope.
    Scope(Scope),
    /// Those of this subject.
    Subject(Subject),
}

/// What ending many came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// How many ended.
    pub elevations: u32,
    /// Whether minting is stopped now.
    pub minting_stopped: bool,
}

impl Service {
    /// Takes back a request before it was activated; by who asked.
    ///
    /// # Errors
    /// Why not.
    pub async fn cancel(&self, call: &Call, id: ElevationId) -> Result<ElevationRow, ServiceError> {
        let row = self.elevation(call, id).await?;
        if row.elevation.request.asked_by.0 != call.caller.to_string() {
            return Err(ServiceError::NotAllowed(
                "only who asked for an elevation can cancel it",
            ));
        }
        self.end_one(call, id, Move::Cancel, None).await
    }

    /// Ends an elevation at once: by its own subject, who gives it back, or by a permitted
    /// caller.
    ///
    /// # Errors
    /// Why not.
    pub async fn revoke(
        &self,
        call: &Call,
        id: ElevationId,
        reason: &str,
    ) -> Result<ElevationRow, ServiceError> {
        let row = self.elevation(call, id).await?;
        let reason = self.reason(reason)?;
        // An elevated SVID gives nothing back: the guardrails speak to whoever comes with one.
        let own = matches!(&call.caller, Caller::Workload(workload)
            if workload.name.scope().is_none()
                && workload.name.subject() == &row.elevation.request.subject);
        let active = matches!(row.elevation.state, State::Active { .. });
        let step = if own && active {
            Move::Withdraw
        } else {
            Move::Revoke
        };
        if !own {
            let request = &row.elevation.request;
            let act = RevokeAct {
                subject: Some(request.subject.clone()),
                scope: Some(request.scope.clone()),
            };
            self.may_revoke(call, act).await?;
        }
        self.end_one(call, id, step, Some(&reason)).await
    }

    /// Ends every open elevation that the target names.
    ///
    /// # Errors
    /// When policy refuses, or an end cannot be recorded; those recorded before stay ended.
    pub async fn revoke_many(
        &self,
        call: &Call,
        target: Target,
        reason: &str,
    ) -> Result<Revoked, ServiceError> {
        let reason = self.reason(reason)?;
        let mut filter = ElevationFilter {
            open_only: true,
            ..ElevationFilter::default()
        };
        match &target {
            Target::Everything => {}
            Target::Instance(instance) => filter.instance = Some(*instance),
            Target::Scope(scope) => filter.scope = Some(scope.clone()),
            Target::Subject(subject) => filter.subject = Some(subject.clone()),
        }
        let act = RevokeAct {
            subject: filter.subject.clone(),
            scope: filter.scope.clone(),
        };
        self.may_revoke(call, act).await?;
        if matches!(target, Target::Everything) {
            self.stop_minting(call, &reason).await?;
        }
        let ended = self.end_all(call, &filter, &reason).await?;
        if ended == 0 {
            self.is_known(&target).await?;
        }
        let minting_stopped = self.store.minting().await?.stopped;
        Ok(Revoked {
            elevations: ended,
            minting_stopped,
        })
    }

    /// Ends every open elevation of a filter. One that moves under every attempt never keeps the
    /// others from their end: it is tried again after them.
    async fn end_all(
        &self,
        call: &Call,
        filter: &ElevationFilter,
        reason: &Reason,
    ) -> Result<u32, ServiceError> {
        let mut ended = 0_u32;
        for _ in 0..REVOKE_ROUNDS_MAX {
            let (mut after, mut busy) = (None, false);
            loop {
                let page = self
                    .store
                    .elevations_to_end(filter.clone(), after, REVOKE_AT_ONCE)
                    .await?;
                let Some(last) = page.last() else { break };
                after = Some(last.opened.number());
                for row in page {
                    let id = row.elevation.id;
                    match self.end_one(call, id, Move::Revoke, Some(reason)).await {
                        Ok(_) => ended = ended.saturating_add(1),
                        // It ended by itself meanwhile.
                        Err(ServiceError::Move(_)) => {}
                        Err(ServiceError::Busy) => busy = true,
                        Err(error) => return Err(error),
                    }
                }
            }
            if !busy {
                return Ok(ended);
            }
        }
        Err(ServiceError::Busy)
    }

    /// Whether a target that ended nothing names anything: a slip must not look like success.
    async fn is_known(&self, target: &Target) -> Result<(), ServiceError> {
        match target {
            Target::Everything | Target::Instance(_) => Ok(()),
            Target::Scope(scope) => match self.in_force()?.bundle.catalogue().terms(scope) {
                Some(_) => Ok(()),
                None => Err(ServiceError::NotFound("scope in the policy's catalogue")),
            },
            Target::Subject(subject) => {
                let standing = self.store.standing(Some(subject.clone()), None).await?;
                match standing.entry {
                    Some(_) => Ok(()),
                    None => Err(ServiceError::NotFound("entry for this subject")),
                }
            }
        }
    }

    /// Lets minting go on after everything was stopped.
    ///
    /// # Errors
    /// When policy refuses, or it cannot be recorded.
    pub async fn release_minting(
        &self,
        call: &Call,
        reason: &str,
    ) -> Result<Minting, ServiceError> {
        self.operate(call, OperateVerb::ReleaseMinting).await?;
        let reason = self.reason(reason)?;
        let event = call
            .event(EventKind::MintingReleased, self.now())
            .and("reason", reason.commitment.to_string());
        let minting = self.store.set_minting(false, event, Some(reason)).await?;
        // Nothing was permitted meanwhile, whatever policy came.
        self.judge_all_pending();
        Ok(minting)
    }

    /// Whether minting is stopped, and why the clock is in doubt, if it is.
    ///
    /// # Errors
    /// When the caller may not know, or the store cannot be read.
    pub async fn minting(&self, call: &Call) -> Result<(Minting, Option<String>), ServiceError> {
        self.operate(call, OperateVerb::ReadState).await?;
        Ok((self.store.minting().await?, self.clock.doubt()))
    }

    async fn stop_minting(&self, call: &Call, reason: &Reason) -> Result<(), ServiceError> {
        let event = call
            .event(EventKind::MintingStopped, self.now())
            .and("reason", reason.commitment.to_string());
        self.store
            .set_minting(true, event, Some(reason.copied()))
            .await?;
        tracing::error!(caller = %call.caller, "minting is stopped");
        Ok(())
    }

    /// Makes one move of one elevation, anew when it moved meanwhile.
    async fn end_one(
        &self,
        call: &Call,
        id: ElevationId,
        step: Move,
        reason: Option<&Reason>,
    ) -> Result<ElevationRow, ServiceError> {
        for _ in 0..DECIDE_ATTEMPTS_MAX {
            let row = self.store.elevation(id).await?;
            let elevation = row.ok_or(ServiceError::NotFound("elevation"))?.elevation;
            match self
                .move_elevation(elevation, step, call, reason, self.now())
                .await
            {
                Err(ServiceError::Store(error)) if is_stale(&error) => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    let row = self.store.elevation(id).await?;
                    return row.ok_or(ServiceError::NotFound("elevation"));
                }
            }
        }
        Err(ServiceError::Busy)
    }

    /// One move with its event.
    pub(crate) async fn move_elevation(
        &self,
        elevation: Elevation,
        step: Move,
        call: &Call,
        reason: Option<&Reason>,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        self.move_as(elevation, step, Some(call), reason, &[], now)
            .await
    }

    /// A move that no caller asked for.
    pub(crate) async fn run_out(
        &self,
        elevation: Elevation,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        self.move_as(elevation, Move::RunOut, None, None, &[], now)
            .await
    }

    /// The end of an elevation that nobody uses, with what that is known by.
    pub(crate) async fn fall_idle(
        &self,
        elevation: Elevation,
        facts: &[(&'static str, Value)],
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        self.move_as(elevation, Move::FallIdle, None, None, facts, now)
            .await
    }

    async fn move_as(
        &self,
        elevation: Elevation,
        step: Move,
        call: Option<&Call>,
        reason: Option<&Reason>,
        facts: &[(&'static str, Value)],
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let from_version = elevation.version;
        let before = elevation.state.clone();
        let after = elevation.moved(step, now)?;
        let denied = denies(&before, &after.state);
        let (id, subject) = (after.id, after.request.subject.clone());
        let (kind, outcome) = told(&after.state);
        let event = call.map_or_else(
            || Event::new(kind, now, SERVER),
            |call| call.event(kind, now),
        );
        let event = event
            .with(Key::Elevation, after.id.to_string())
            .with(Key::Outcome, outcome)
            .with(Key::Scope, after.request.scope.as_str())
            .with(Key::Subject, after.request.subject.to_string());
        let event = match after.used() {
            Some(used) => with_use(event, used),
            None => event,
        };
        let facts = facts.iter();
        let event = facts.fold(event, |event, (name, fact)| event.and(name, fact.clone()));
        let event = match reason {
            Some(reason) => event.and("reason", reason.commitment.to_string()),
            None => event,
        };
        let reason = reason.map(Reason::copied);
        let change = ElevationChange {
            from_version,
            after,
            event,
            reason,
        };
        self.store.change_elevation(change).await?;
        self.elevation_moved(id, &subject);
        if let Some(how) = denied {
            self.deny_minted_from(id, how, now).await;
        }
        Ok(())
    }
}

/// How an event tells the state that a move led to.
const fn told(state: &State) -> (EventKind, &'static str) {
    match state {
        // A move never leads to these two; were it to, the event would still be true.
        State::Active { .. } | State::Approved { .. } => (EventKind::ElevationApproved, "approved"),
        State::Cancelled { .. } => (EventKind::ElevationCancelled, "cancelled"),
        State::Denied { .. } => (EventKind::ElevationDenied, "denied"),
        State::Ended { how, .. } => (EventKind::ElevationEnded, End::as_str(*how)),
        State::Lapsed { .. } => (EventKind::ElevationLapsed, "lapsed"),
        State::Pending { .. } => (EventKind::ElevationPending, "pending"),
    }
}

const REVOKE_AT_ONCE: u32 = 256;
/// How often ending many goes over what moved under every attempt.
const REVOKE_ROUNDS_MAX: usize = 8;

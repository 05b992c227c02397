//! Opening an elevation, and reading what became of it.
//!
//! Promises: policy is asked at once, with everything it may know; its answer opens the
//! elevation as approved, as pending with the people to ask, or as denied with the reason, and
//! all three are recorded with the whole question. A dry run records nothing and opens nothing.
//! Refuses: elevated callers (guardrail), more than [`OPEN_PER_SUBJECT_MAX`] open elevations of
//! one subject.

use crate::attestation::{Caller, Entry};
use crate::audit::{Event, EventKind, Key, Value};
use crate::elevation::{Elevation, Instances, Request, Requester, State, Ticket};
use crate::id::{ElevationId, EventNumber, Holder};
use crate::identity::Subject;
use crate::policy::{
    Act, Ask, Denial, FactVersion, OperateVerb, Outlook, Permit, Verdict, decide, suppose,
};
use crate::scope::Scope;
use crate::service::ask::{instance_of, principal, retrier, waits_for};
use crate::service::issue::elevate_act;
use crate::service::obtain::{is_agent_of, is_let_in, may_name_holder};
use crate::service::{Call, DECIDE_ATTEMPTS_MAX, Refusal, Service, ServiceError, is_stale};
use crate::store::{ElevationFilter, ElevationRow, NewElevation, Reason, RetryKey, Standing};
use crate::time::{Seconds, Timestamp};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct ElevateRequest {
    /// For whom; the caller himself when absent.
    pub subject: Option<Subject>,
    /// For what.
    pub scope: Scope,
    /// For how long; as long as the scope allows when absent.
    pub duration: Option<Seconds>,
    /// The scheduled start.
    pub not_before: Option<Timestamp>,
    /// Which running holders; the caller's own when absent.
    pub instances: Option<Instances>,
    /// Why, for people.
    pub reason: Option<String>,
    /// The ticket it belongs to.
    pub ticket: Option<Ticket>,
    /// The elevation that this one goes on from.
    pub extends: Option<ElevationId>,
    /// Asked by a proxy at the moment of use.
    pub on_demand: bool,
    /// Asked as an emergency.
    pub break_glass: bool,
    /// Which running holder asks, at an agent that the subject's entry names.
    pub holder: Option<Holder>,
    /// Makes a repeated request find the first one's elevation.
    pub idempotency_key: Option<String>,
}

impl Service {
    /// Opens an elevation.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] when policy denies it, which is recorded as an elevation of its
    /// own; else why it could not be decided or recorded.
    pub async fn elevate(
        &self,
        call: &Call,
        asked: ElevateRequest,
    ) -> Result<ElevationRow, ServiceError> {
        let reason = asked
            .reason
            .as_deref()
            .map(|text| self.reason(text))
            .transpose()?;
        for _ in 0..DECIDE_ATTEMPTS_MAX {
            match self.open_once(call, &asked, reason.as_ref()).await {
                Err(ServiceError::Store(error)) if is_stale(&error) => {}
                other => return other,
            }
        }
        Err(ServiceError::Busy)
    }

    async fn open_once(
        &self,
        call: &Call,
        asked: &ElevateRequest,
        reason: Option<&Reason>,
    ) -> Result<ElevationRow, ServiceError> {
        let now = self.clock.sure()?;
        let policy = self.in_force()?;
        let request = self.request(call, asked, reason, now)?;
        let id = ElevationId::random(&self.entropy);
        let draft = Elevation::approved(id, request.clone());
        let ask = Ask {
            principal: principal(&call.caller),
            act: Act::Elevate(elevate_act(&draft)),
            source: call.source,
        };
        let subject = Some(request.subject.clone());
        let Standing { facts, entry, .. } = self.store.standing(subject, None).await?;
        let entry = entry.as_deref();
        let deputy = self.deputy_of(call, asked, &request.subject, entry).await?;
        // A scheduled request is asked for its start.
        let moment = request.not_before.unwrap_or(now);
        let verdict = decide(&policy.bundle, ask, facts, moment, Seconds::default());
        let refusal = match &verdict {
            Verdict::Denial(denial) if denial.waits_for().is_none() => Some(Refusal::of(denial)),
            Verdict::Denial(_) | Verdict::Permit(_) => None,
        };
        if let Some(refusal) = &refusal {
            self.spare_ledger(&call.caller, refusal.code)?;
        }
        let (elevation, event, guards) = match verdict {
            Verdict::Permit(permit) => {
                let event = permitted(call, &draft, &permit, now);
                let guards = permit.fact_versions().into_iter().chain(deputy);
                (draft, event, guards.collect())
            }
            Verdict::Denial(denial) => {
                let (elevation, guards) = match denial.waits_for() {
                    Some(_) => {
                        let pending = Elevation::pending(id, request, waits_for(&denial));
                        let guards = denial.fact_versions().into_iter().chain(deputy);
                        (pending, guards.collect())
                    }
                    // It opens nothing, so nothing must still hold. While minting is stopped the
                    // store would refuse the guard itself.
                    None => (Elevation::denied(id, request), Vec::new()),
                };
                let event = denied(call, &elevation, &denial, now);
                (elevation, event, guards)
            }
        };
        let new = NewElevation {
            elevation,
            event: with_holder(event, asked),
            guards,
            reason: reason.map(Reason::copied),
            retry: retry_key(call, asked),
            open_max: OPEN_PER_SUBJECT_MAX,
        };
        let opened = self.store.open_elevation(new).await?;
        let elevation = &opened.row.elevation;
        self.elevation_moved(elevation.id, &elevation.request.subject);
        match refusal {
            Some(refusal) if matches!(opened.row.elevation.state, State::Denied { .. }) => {
                let elevation = Some(opened.row.elevation.id);
                Err(ServiceError::Refused(Box::new(Refusal {
                    elevation,
                    ..refusal
                })))
            }
            Some(_) | None => Ok(opened.row),
        }
    }

    /// The version of a deputy's own entry; refuses whom no entry lets in, and who names a holder
    /// that is not his to name, recorded.
    async fn deputy_of(
        &self,
        call: &Call,
        asked: &ElevateRequest,
        subject: &Subject,
        entry: Option<&Entry>,
    ) -> Result<Option<FactVersion>, ServiceError> {
        let may_name = may_name_holder(&call.caller, asked.holder.as_ref(), entry);
        let known = if let Err(rule) = may_name {
            Err(rule)
        } else if entry.is_some_and(|entry| !is_let_in(&call.caller, entry)) {
            Err(ServiceError::NotAllowed(
                "the entry of this subject does not say `foreign`",
            ))
        } else {
            self.known(&call.caller, subject).await
        };
        match known {
            Ok(deputy) => Ok(deputy),
            Err(rule) => Err(self
                .refused_by_rule(call, Some(subject), "not_an_obtainer", rule)
                .await),
        }
    }

    /// What policy would say; nothing is recorded and nothing opened.
    ///
    /// # Errors
    /// When the request makes no sense or the facts cannot be read.
    pub async fn elevate_dry(
        &self,
        call: &Call,
        asked: &ElevateRequest,
    ) -> Result<Outlook, ServiceError> {
        let now = self.clock.sure()?;
        let policy = self.in_force()?;
        let reason = asked
            .reason
            .as_deref()
            .map(|text| self.reason(text))
            .transpose()?;
        let request = self.request(call, asked, reason.as_ref(), now)?;
        let draft = Elevation::approved(ElevationId::random(&self.entropy), request);
        let ask = Ask {
            principal: principal(&call.caller),
            act: Act::Elevate(elevate_act(&draft)),
            source: call.source,
        };
        let subject = Some(draft.request.subject.clone());
        let standing = self.store.standing(subject, None).await?;
        may_name_holder(
            &call.caller,
            asked.holder.as_ref(),
            standing.entry.as_deref(),
        )?;
        self.known(&call.caller, &draft.request.subject).await?;
        let moment = draft.request.not_before.unwrap_or(now);
        let horizon = draft.request.duration;
        Ok(suppose(
            &policy.bundle,
            &ask,
            standing.facts.parts(),
            moment,
            horizon,
        ))
    }

    /// One elevation, for who may see it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] also when the caller may not know of it.
    pub async fn elevation(
        &self,
        call: &Call,
        id: ElevationId,
    ) -> Result<ElevationRow, ServiceError> {
        let row = self
            .store
            .elevation(id)
            .await?
            .ok_or(ServiceError::NotFound("elevation"))?;
        let subject = &row.elevation.request.subject;
        let own = call.caller.subject() == Some(subject);
        // His agent asks in his name, and is told of every move anyway.
        if !own && !self.is_agent_for(call, subject).await? {
            let allowed = self.operate(call, OperateVerb::ReadState).await;
            allowed.map_err(|error| match error {
                ServiceError::Refused(_) => ServiceError::NotFound("elevation"),
                other => other,
            })?;
        }
        Ok(row)
    }

    async fn is_agent_for(&self, call: &Call, subject: &Subject) -> Result<bool, ServiceError> {
        let standing = self.store.standing(Some(subject.clone()), None).await?;
        let entry = standing.entry;
        if !entry.is_some_and(|entry| is_agent_of(&call.caller, &entry)) {
            return Ok(false);
        }
        match self.known(&call.caller, subject).await {
            Ok(_) => Ok(true),
            Err(ServiceError::NotAllowed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Elevations that match; a workload sees its own.
    ///
    /// # Errors
    /// When the caller may not see them.
    pub async fn elevations(
        &self,
        call: &Call,
        filter: ElevationFilter,
        after: Option<EventNumber>,
        limit: u32,
    ) -> Result<Vec<ElevationRow>, ServiceError> {
        if call.caller.subject().is_none() || call.caller.subject() != filter.subject.as_ref() {
            self.operate(call, OperateVerb::ReadState).await?;
        }
        let _turn = self.turn_to_search(call).await;
        Ok(self
            .store
            .elevations(filter, after, limit.min(PAGE_MAX))
            .await?)
    }

    fn request(
        &self,
        call: &Call,
        asked: &ElevateRequest,
        reason: Option<&Reason>,
        now: Timestamp,
    ) -> Result<Request, ServiceError> {
        let subject = match (&asked.subject, call.caller.subject()) {
            (Some(named), _) => named.clone(),
            (None, Some(own)) => own.clone(),
            (None, None) => return Err(ServiceError::Field("name the subject to elevate")),
        };
        let policy = self.in_force()?;
        let terms = policy.bundle.catalogue().terms(&asked.scope);
        let longest = terms.map_or(DURATION_UNKNOWN_SCOPE, |terms| terms.elevation_longest);
        let shortest = terms.map(|terms| terms.svid_life).unwrap_or_default();
        let instances = match (asked.instances, &call.caller) {
            (Some(instances), _) => instances,
            (None, Caller::Workload(workload)) => {
                Instances::One(instance_of(workload, asked.holder.as_ref()))
            }
            // Asked for a workload by somebody else, whose key says nothing of its instances.
            (None, Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..)) => Instances::All,
        };
        let request = Request {
            subject,
            scope: asked.scope.clone(),
            duration: asked.duration.unwrap_or(longest),
            not_before: asked.not_before,
            instances,
            reason: reason.map(|reason| *reason.commitment.bytes()),
            ticket: asked.ticket.clone(),
            asked_by: Requester(call.caller.to_string()),
            asked_at: now,
            extends: asked.extends,
            on_demand: asked.on_demand,
            break_glass: asked.break_glass,
        };
        request.check(crate::elevation::DURATION_MIN.min(shortest))?;
        Ok(request)
    }
}

fn permitted(call: &Call, elevation: &Elevation, permit: &Permit, now: Timestamp) -> Event {
    opening(EventKind::ElevationApproved, call, elevation, now)
        .with(Key::Outcome, "approved")
        .with(Key::Policy, permit.digest().to_string())
        .and("verdict", Value::record(permit.record()))
}

fn denied(call: &Call, elevation: &Elevation, denial: &Denial, now: Timestamp) -> Event {
    let (kind, outcome) = match denial.waits_for() {
        Some(_) => (EventKind::ElevationPending, "pending"),
        None => (EventKind::ElevationDenied, "denied"),
    };
    opening(kind, call, elevation, now)
        .with(Key::Outcome, outcome)
        .with(Key::Policy, denial.digest().to_string())
        .and("refusal", denial.reason().code())
        .and("verdict", Value::record(denial.record()))
}

/// What every opening says of the request.
fn opening(kind: EventKind, call: &Call, elevation: &Elevation, now: Timestamp) -> Event {
    let request = &elevation.request;
    let event = call
        .event(kind, now)
        .with(Key::Elevation, elevation.id.to_string())
        .with(Key::Scope, request.scope.as_str())
        .with(Key::Subject, request.subject.to_string())
        .and("duration_s", request.duration.count())
        .and("instances", request.instances.to_string());
    let texts = [
        ("extends", request.extends.map(|id| id.to_string())),
        ("not_before", request.not_before.map(Timestamp::rfc3339)),
        (
            "reason",
            request
                .reason
                .as_ref()
                .map(|bytes| crate::id::hex::text(bytes)),
        ),
        (
            "ticket",
            request
                .ticket
                .as_ref()
                .map(|ticket| ticket.as_str().to_owned()),
        ),
    ];
    let told = texts
        .into_iter()
        .filter_map(|(name, text)| text.map(|text| (name, text)));
    told.fold(event, |event, (name, text)| event.and(name, text))
}

fn with_holder(event: Event, asked: &ElevateRequest) -> Event {
    match &asked.holder {
        Some(holder) => event.and("holder", holder.as_str()),
        None => event,
    }
}

fn retry_key(call: &Call, asked: &ElevateRequest) -> Option<RetryKey> {
    let key = asked.idempotency_key.clone()?;
    let digest = crate::x509::Fingerprint::of(format!("{asked:?}").as_bytes());
    Some(RetryKey {
        caller: retrier(&call.caller),
        key,
        request: *digest.as_bytes(),
    })
}

/// The most open elevations of one subject.
pub const OPEN_PER_SUBJECT_MAX: u32 = 100;
/// The most rows of one page.
pub const PAGE_MAX: u32 = 1_000;
/// Asked for a scope that does not exist: policy says so, with this duration in its question.
const DURATION_UNKNOWN_SCOPE: Seconds = Seconds::new(900);

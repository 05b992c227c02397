//! Asking policy, and recording its no.
//!
//! Promises: every refusal is an event with the whole question, or counted in one where a caller is
//! refused too often (DESIGN promise 2); the text that a caller gets is policy's own.
//! Refuses: to mint. A permit of the admin plane is used up here.

use crate::attestation::{Caller, Claimant, Workload};
use crate::audit::{Commitment, EventKind, Key, Value};
use crate::elevation::{Request, WaitsFor};
use crate::id::{Holder, Instance};
use crate::identity::Subject;
use crate::policy::{Act, Ask, Denial, OperateVerb, Permit, Principal, RevokeAct, Verdict, decide};
use crate::service::{Call, Refusal, Service, ServiceError};
use crate::store::Reason;
use crate::time::Seconds;

impl Service {
    /// Whether policy lets the caller do an act of the admin plane.
    pub(crate) async fn operate(
        &self,
        call: &Call,
        verb: OperateVerb,
    ) -> Result<Permit, ServiceError> {
        self.permitted(call, Act::Operate(verb)).await
    }

    /// Whether policy lets the caller end elevations.
    pub(crate) async fn may_revoke(
        &self,
        call: &Call,
        act: RevokeAct,
    ) -> Result<Permit, ServiceError> {
        self.permitted(call, Act::Revoke(act)).await
    }

    /// Whether policy lets the caller read events.
    pub(crate) async fn may_read_audit(
        &self,
        call: &Call,
        of: Option<Subject>,
    ) -> Result<Permit, ServiceError> {
        self.permitted(call, Act::ReadAudit { of }).await
    }

    async fn permitted(&self, call: &Call, act: Act) -> Result<Permit, ServiceError> {
        let now = self.clock.now();
        let policy = match self.in_force() {
            Ok(policy) => policy,
            Err(error) => return Err(error),
        };
        let ask = Ask {
            principal: principal(&call.caller),
            act,
            source: call.source,
        };
        let standing = self
            .store
            .standing(ask.entry_subject().cloned(), None)
            .await?;
        match decide(&policy.bundle, ask, standing.facts, now, Seconds::default()) {
            Verdict::Permit(permit) => Ok(permit),
            Verdict::Denial(denial) => Err(self.refused(call, &denial).await),
        }
    }

    /// Records a refusal that is not about an elevation's opening.
    pub(crate) async fn refused(&self, call: &Call, denial: &Denial) -> ServiceError {
        let code = denial.reason().code();
        self.metrics.refused(code);
        if let Err(too_many) = self.spare_ledger(&call.caller, code) {
            return too_many;
        }
        let kind = match denial.ask().act {
            Act::Elevate(_) | Act::Issue { .. } => EventKind::SvidDenied,
            Act::Operate(_) | Act::ReadAudit { .. } | Act::Revoke(_) => EventKind::RequestDenied,
        };
        let event = call
            .event(kind, self.clock.now())
            .with(Key::Outcome, code)
            .with(Key::Policy, denial.digest().to_string())
            .and("verdict", Value::record(denial.record()));
        let event = match denial.ask().entry_subject() {
            Some(subject) => event.with(Key::Subject, subject.to_string()),
            None => event,
        };
        let event = match denial.ask().scope() {
            Some(scope) => event.with(Key::Scope, scope.as_str()),
            None => event,
        };
        match self.store.append(event).await {
            Ok(_) => ServiceError::Refused(Box::new(Refusal::of(denial))),
            Err(error) => error.into(),
        }
    }

    /// Records a refusal to mint that no policy spoke: a bad request, a spent token.
    pub(crate) async fn refused_by_rule(
        &self,
        call: &Call,
        subject: Option<&Subject>,
        code: &'static str,
        error: ServiceError,
    ) -> ServiceError {
        let kind = EventKind::SvidDenied;
        self.refused_as(kind, call, subject, code, error).await
    }

    /// Records that a caller is not told what is not public.
    pub(crate) async fn refused_look(
        &self,
        call: &Call,
        code: &'static str,
        error: ServiceError,
    ) -> ServiceError {
        let (kind, subject) = (EventKind::RequestDenied, call.caller.subject());
        self.refused_as(kind, call, subject, code, error).await
    }

    /// Records a refusal that no policy spoke, as an event of this kind.
    pub(crate) async fn refused_as(
        &self,
        kind: EventKind,
        call: &Call,
        subject: Option<&Subject>,
        code: &'static str,
        error: ServiceError,
    ) -> ServiceError {
        self.metrics.refused("rule");
        if let Err(too_many) = self.spare_ledger(&call.caller, code) {
            return too_many;
        }
        let event = call.event(kind, self.clock.now()).with(Key::Outcome, code);
        let event = match subject {
            Some(subject) => event.with(Key::Subject, subject.to_string()),
            None => event,
        };
        match self.store.append(event).await {
            Ok(_) => error,
            Err(unrecorded) => unrecorded.into(),
        }
    }

    /// Commits to a reason under a fresh salt.
    pub(crate) fn reason(&self, text: &str) -> Result<Reason, ServiceError> {
        Request::check_reason(text)?;
        let salt = self.entropy.bytes();
        Ok(Reason {
            commitment: Commitment::new(&salt, text),
            salt,
            text: text.to_owned(),
        })
    }
}

impl Refusal {
    pub(crate) fn of(denial: &Denial) -> Self {
        Self {
            code: denial.reason().code(),
            text: denial.text().to_owned(),
            policies: denial.policies().map(ToString::to_string).collect(),
            digest: denial.digest().to_string(),
            version: denial.facts().parts().policy.version,
            waits_for: waits_for(denial),
            elevation: None,
        }
    }
}

/// What would turn a denial, in the elevation's own words.
pub(crate) fn waits_for(denial: &Denial) -> Vec<WaitsFor> {
    let texts = |needs: &[crate::policy::Need]| needs.iter().map(ToString::to_string).collect();
    let ways = denial
        .waits_for()
        .into_iter()
        .flat_map(crate::policy::WaitsFor::ways);
    ways.map(|way| WaitsFor {
        route: texts(&way.route),
        needs: texts(&way.needs),
    })
    .collect()
}

/// The caller as policy knows him. A token stands for its subject.
pub(crate) fn principal(caller: &Caller) -> Principal {
    match caller {
        Caller::Operator(id) => Principal::Operator(*id),
        Caller::Claimant(Claimant { subject, .. }) | Caller::Token(_, subject) => {
            Principal::Workload {
                subject: subject.clone(),
                elevated: false,
            }
        }
        Caller::Workload(workload) => Principal::Workload {
            subject: workload.name.subject().clone(),
            elevated: workload.name.scope().is_some(),
        },
    }
}

/// Which running holder it is: the one that an agent names, or who holds the caller's own key.
/// Whether he may name one is his entry's to say: see `obtain`.
pub(crate) fn instance_of(workload: &Workload, holder: Option<&Holder>) -> Instance {
    match holder {
        Some(holder) => holder.instance(workload.name.subject()),
        None => workload.instance,
    }
}

/// Whose idempotency keys are whose: each running holder has its own, because two processes of one
/// subject choose theirs without knowing of each other.
pub(crate) fn retrier(caller: &Caller) -> String {
    match caller {
        Caller::Claimant(claimant) => format!("{caller}@{}", claimant.token),
        Caller::Operator(_) | Caller::Token(..) => caller.to_string(),
        Caller::Workload(workload) => format!("{caller}@{}", workload.instance),
    }
}

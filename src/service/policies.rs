//! Putting a policy bundle into force, and asking what it would say.
//!
//! Promises: a bundle is compiled and its own tests pass before it is stored with a rising
//! version and its author; a broken one is refused with words and the old one stays.
//! Refuses: to watch directories.

use std::sync::Arc;

use crate::attestation::Caller;
use crate::audit::{Event, EventKind, Key};
use crate::id::PolicyVersion;
use crate::policy::{
    Act, Ask, Bundle, BundleSource, ElevateAct, FactParts, Forecast, MintingFact, OperateVerb,
    Outlook, PolicyFact, Principal, TestOutcome, run_tests, suppose,
};
use crate::service::ask::principal;
use crate::service::{Call, InForce, SERVER, Service, ServiceError};
use crate::store::ActivatePolicy;
use crate::time::{Seconds, Timestamp};

impl Service {
    /// Puts a bundle into force.
    ///
    /// # Errors
    /// Its faults, or why it cannot be stored; the old one stays in force then.
    pub async fn activate_policy(
        &self,
        call: &Call,
        source: &BundleSource,
    ) -> Result<InForce, ServiceError> {
        // Before the first activation there is no policy to ask; an operator brings it.
        let first = self.in_force().is_err() && matches!(call.caller, Caller::Operator(_));
        if !first {
            self.operate(call, OperateVerb::ActivatePolicy).await?;
        }
        self.keeps_the_door(call, source)?;
        self.activate_as(&call.caller.to_string(), source).await
    }

    /// Whether who activates a bundle could activate another one under it. Without this one slip
    /// would lock every operator out for good.
    fn keeps_the_door(&self, call: &Call, source: &BundleSource) -> Result<(), ServiceError> {
        let bundle = Bundle::compile(source).map_err(ServiceError::Bundle)?;
        let ask = Ask {
            principal: principal(&call.caller),
            act: Act::Operate(OperateVerb::ActivatePolicy),
            source: call.source,
        };
        let version = PolicyVersion::FIRST;
        let parts = FactParts {
            policy: PolicyFact {
                version,
                digest: bundle.digest(),
            },
            minting: MintingFact {
                stopped: false,
                version: 1,
            },
            entry: None,
            elevation: None,
            signals: Vec::new(),
        };
        let outlook = suppose(&bundle, &ask, &parts, self.now(), Seconds::default());
        if outlook.forecast == Forecast::Permitted {
            return Ok(());
        }
        Err(ServiceError::Field(
            "under this bundle you could not activate another one: keep a policy that permits you \
             to `operate`, as `operators-run-protem` of the example does",
        ))
    }

    /// Puts the first bundle into force, at the first start.
    ///
    /// # Errors
    /// As [`Self::activate_policy`].
    pub async fn activate_first_policy(
        &self,
        source: &BundleSource,
    ) -> Result<InForce, ServiceError> {
        self.activate_as(SERVER, source).await
    }

    async fn activate_as(
        &self,
        author: &str,
        source: &BundleSource,
    ) -> Result<InForce, ServiceError> {
        let bundle = Bundle::compile(source).map_err(ServiceError::Bundle)?;
        let failed = |outcome: &TestOutcome| outcome.failure.is_some();
        if let Some(outcome) = run_tests(&bundle, source).into_iter().find(failed) {
            tracing::warn!(test = outcome.name, "a policy bundle fails its own test");
            return Err(ServiceError::Field(
                "the bundle fails its own tests; run `protem policy test` on it",
            ));
        }
        let digest = bundle.digest();
        let now = self.now();
        let event = Event::new(EventKind::PolicyActivated, now, author)
            .with(Key::Policy, digest.to_string())
            .and("built_in", crate::policy::built_in_digest().to_string());
        let policy = ActivatePolicy {
            content: source.to_bytes(),
            digest: *digest.bytes(),
            author: author.to_owned(),
            event,
        };
        let version = self.store.activate_policy(policy).await?;
        // Until here nothing is decided: the store names a policy that does not rule yet.
        self.take_up(InForce {
            version,
            bundle: Arc::new(bundle),
            author: author.to_owned(),
            activated_at: now,
        });
        // What was pending may be permitted now.
        self.judge_all_pending();
        self.in_force()
    }

    /// The policy in force, for who may read it.
    ///
    /// # Errors
    /// Why not.
    pub async fn policy(&self, call: &Call) -> Result<InForce, ServiceError> {
        self.operate(call, OperateVerb::ReadState).await?;
        self.in_force()
    }

    /// The files of the policy in force.
    ///
    /// # Errors
    /// Why not.
    pub async fn policy_source(&self, call: &Call) -> Result<BundleSource, ServiceError> {
        self.operate(call, OperateVerb::ReadState).await?;
        let active = self
            .store
            .active_policy()
            .await?
            .ok_or(ServiceError::NoPolicy)?;
        Ok(BundleSource::from_bytes(&active.content)?)
    }

    /// What policy would say if a subject asked for a scope, with the facts of now.
    ///
    /// # Errors
    /// Why not.
    pub async fn explain(
        &self,
        call: &Call,
        act: ElevateAct,
        at: Option<Timestamp>,
    ) -> Result<Outlook, ServiceError> {
        self.operate(call, OperateVerb::ExplainPolicy).await?;
        let policy = self.in_force()?;
        let standing = self.store.standing(Some(act.subject.clone()), None).await?;
        let horizon = act.asked;
        let ask = Ask {
            principal: Principal::Workload {
                subject: act.subject.clone(),
                elevated: false,
            },
            act: Act::Elevate(act),
            source: None,
        };
        let moment = at.unwrap_or_else(|| self.now());
        Ok(suppose(
            &policy.bundle,
            &ask,
            standing.facts.parts(),
            moment,
            horizon,
        ))
    }
}

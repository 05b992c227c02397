//! One issuance: a straight walk (DESIGN section 4).
//!
//! ```text
//! caller, request        the door made them of valid types
//!   -> facts             store::standing, with versions
//!   -> permit            policy::decide, with the facts that hold now
//!   -> plan              authority::plan_svid: the exact bytes, linted
//!   -> recorded          store::record: durable, and the facts' versions still hold
//!   -> svid              authority::finish: signed, read back, compared, durable
//! ```
//!
//! Promises: nothing is minted that policy did not permit at that moment, nothing is signed that
//! is not recorded, no certificate outlives its right; a request gives a public key and nothing
//! else. A repeated request with the same idempotency key gets the same certificate.
//! Refuses: elevated callers (assurance S15, S16), scopes without an open elevation, operators as
//! holders: who has a say over rights gets no certificate with them.

pub(crate) mod living;
mod standing;

use futures_util::StreamExt as _;

use crate::attestation::Caller;
use crate::elevation::{Elevation, Move, State};
use crate::failpoint::{Point, reach};
use crate::id::{ElevationId, Holder, Instance, TokenId};
use crate::identity::Subject;
use crate::pki::{MintTerms, Plan, PlanError, Svid};
use crate::policy::{Act, Ask, ElevateAct, Verdict, decide};
use crate::scope::Scope;
use crate::service::ask::{instance_of, principal, retrier};
use crate::service::{Call, DECIDE_ATTEMPTS_MAX, Service, ServiceError, is_stale};
use crate::store::{Record, RetryKey, Standing, StoreError, record};
use crate::time::{Seconds, Stopwatch, Timestamp};
use crate::x509::{IgnoredRequest, VerifiedCsr};

/// What is asked for.
#[derive(Debug)]
pub struct IssueRequest {
    /// PKCS#10, PEM or DER.
    pub csr: Vec<u8>,
    /// For whom; the caller himself when absent.
    pub subject: Option<Subject>,
    /// With which scope; none for the base SVID.
    pub scope: Option<Scope>,
    /// From which elevation; the open one for the scope when absent.
    pub elevation: Option<ElevationId>,
    /// The life wished for.
    pub life: Option<Seconds>,
    /// For which running holder, at an agent that the subject's entry names.
    pub holder: Option<Holder>,
    /// Makes a repeated request find the first one's certificate.
    pub idempotency_key: Option<String>,
}

/// What was minted.
#[derive(Debug)]
pub struct Issued {
    /// The certificate with its chain and events.
    pub svid: Svid,
    /// What else the request asked for, and did not get.
    pub ignored: Vec<IgnoredRequest>,
}

/// A request whose parts are all resolved.
struct Walk<'a> {
    call: &'a Call,
    subject: Subject,
    /// For which running holder: the one that an agent names, the caller's own key, or that of the
    /// request.
    instance: Instance,
    holder: Option<Holder>,
    elevation: Option<ElevationId>,
    /// The scope that was named; with an elevation, it must be that one's.
    scope: Option<Scope>,
    life: Option<Seconds>,
    retry: Option<RetryKey>,
}

impl Service {
    /// Mints one SVID.
    ///
    /// # Errors
    /// Why not; every refusal is recorded.
    pub async fn issue(&self, call: &Call, request: IssueRequest) -> Result<Issued, ServiceError> {
        let watch = Stopwatch::start();
        let subject = whom(call, request.subject.as_ref())?;
        let issued = self.issue_to(call, subject.clone(), request).await;
        self.metrics.issued(issued.is_ok(), watch.seconds());
        match issued {
            Err(error) => Err(match broken_rule(&error) {
                Some(rule) => {
                    self.refused_by_rule(call, Some(&subject), rule, error)
                        .await
                }
                None => error,
            }),
            Ok(issued) => Ok(issued),
        }
    }

    /// Mints many SVIDs, each as [`Self::issue`] does and in a place of its own: one that fails
    /// leaves the others as they are. A request that is already refused is answered as it is.
    /// Answers keep the order.
    pub async fn issue_many<E: From<ServiceError>>(
        &self,
        call: &Call,
        requests: Vec<Result<IssueRequest, E>>,
    ) -> Vec<Result<Issued, E>> {
        let walk = |request: Result<IssueRequest, E>| async move {
            match request {
                Ok(request) => {
                    let _place = self.admitted(call).await?;
                    self.issue(call, request).await.map_err(E::from)
                }
                Err(refused) => Err(refused),
            }
        };
        // Together they share the store's commits.
        futures_util::stream::iter(requests)
            .map(walk)
            .buffered(WALKS_AT_ONCE_MAX)
            .collect()
            .await
    }

    async fn issue_to(
        &self,
        call: &Call,
        subject: Subject,
        request: IssueRequest,
    ) -> Result<Issued, ServiceError> {
        let elevated = request.scope.is_some() || request.elevation.is_some();
        let csr = VerifiedCsr::parse(&request.csr, &self.authority.csr_rules(elevated))?;
        let instance = match &call.caller {
            Caller::Workload(workload) => instance_of(workload, request.holder.as_ref()),
            Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) => {
                Instance::from_bytes(*csr.fingerprint().as_bytes())
            }
        };
        let elevation = match (request.elevation, &request.scope) {
            (Some(id), _) => Some(id),
            (None, Some(scope)) => {
                self.may_ask_for(&call.caller, &subject, request.holder.as_ref())
                    .await?;
                Some(self.open_for(&subject, scope, instance).await?)
            }
            (None, None) => None,
        };
        let walk = Walk {
            retry: retry_key(call, &request, &csr),
            life: request.life,
            call,
            subject,
            instance,
            holder: request.holder,
            elevation,
            scope: request.scope,
        };
        for _ in 0..DECIDE_ATTEMPTS_MAX {
            match self.walk(&walk, &csr).await {
                Err(ServiceError::Store(error)) if is_stale(&error) => {}
                Ok(svid) => {
                    self.metrics.minted(elevated);
                    return Ok(Issued {
                        svid,
                        ignored: csr.ignored().to_vec(),
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Err(ServiceError::Busy)
    }

    /// The walk itself, once, on the facts of this moment.
    async fn walk(&self, walk: &Walk<'_>, csr: &VerifiedCsr) -> Result<Svid, ServiceError> {
        let now = self.clock.sure()?;
        let policy = self.in_force()?;
        let Standing {
            facts,
            entry,
            elevation,
        } = self.standing_of(walk).await?;
        let life = self.life(
            walk,
            &policy,
            entry.map(|entry| entry.terms.life),
            elevation.as_ref(),
            now,
        )?;
        let ask = Ask {
            principal: principal(&walk.call.caller),
            act: act(&walk.subject, elevation.as_ref()),
            source: walk.call.source,
        };
        let permit = match decide(&policy.bundle, ask, facts, now, life) {
            Verdict::Permit(permit) => permit,
            Verdict::Denial(denial) => return Err(self.refused(walk.call, &denial).await),
        };
        let deputy = self.known(&walk.call.caller, &walk.subject).await?;
        // A permit for a pending elevation is what it waited for: policy or the hour has changed.
        if let Some(pending) = elevation.as_ref().filter(|one| is_pending(one)) {
            self.move_elevation(pending.clone(), Move::Approve, walk.call, None, now)
                .await?;
            return Err(ServiceError::Store(StoreError::FactChanged(
                "the elevation",
            )));
        }
        let terms = MintTerms {
            caller: &walk.call.caller,
            instance: walk.instance,
            holder: walk.holder.as_ref(),
            elevation: elevation.as_ref(),
            deputy,
            spend: spent(&walk.call.caller),
            retry: walk.retry.clone(),
        };
        let plan = self
            .authority
            .plan_svid(permit, csr, terms, now, &self.entropy)?;
        reach(Point::WalkPlanned).map_err(StoreError::from)?;
        let svid = self.sign(walk, elevation.as_ref(), plan, life, now).await?;
        reach(Point::WalkConcluded).map_err(StoreError::from)?;
        if let Some(elevation) = &elevation {
            self.deny_if_late(elevation.id, &svid);
        }
        Ok(svid)
    }

    /// Records what was planned, and signs it.
    async fn sign(
        &self,
        walk: &Walk<'_>,
        elevation: Option<&Elevation>,
        plan: Plan,
        life: Seconds,
        now: Timestamp,
    ) -> Result<Svid, ServiceError> {
        let of = elevation.map(|elevation| (elevation.id, walk.instance));
        let last = now.plus(life);
        if let Some(of) = of {
            self.take_living(walk.call, of, last, now)?;
        }
        let recorded = record(self.store.as_ref(), plan).await;
        if let Some(of) = of
            && !matches!(recorded, Ok(Record::New(_)))
        {
            self.living.give_back(of, last);
        }
        match recorded? {
            Record::New(recorded) => {
                if let Some(elevation) = elevation {
                    self.minted_from(elevation, walk.instance);
                }
                reach(Point::WalkRecorded).map_err(StoreError::from)?;
                let finished = self.authority.finish(self.store.as_ref(), recorded, now);
                Ok(finished.await?)
            }
            Record::Repeated(intent) => {
                let again = self.authority.again(self.store.as_ref(), intent, now);
                Ok(again.await?)
            }
        }
    }

    /// Tells of an elevation that a mint activated or bound; a renewal moves nothing.
    fn minted_from(&self, elevation: &Elevation, instance: Instance) {
        let known = matches!(&elevation.state, State::Active { bound, .. }
            if bound.contains(&instance));
        if !known {
            self.elevation_moved(elevation.id, &elevation.request.subject);
        }
    }

    /// The seconds from now to the last one that the right, the scope, the profile and the
    /// issuer leave, all of them inclusive: less one each.
    fn life(
        &self,
        walk: &Walk<'_>,
        policy: &crate::service::InForce,
        entry_life: Option<Seconds>,
        elevation: Option<&Elevation>,
        now: Timestamp,
    ) -> Result<Seconds, ServiceError> {
        let Some(elevation) = elevation else {
            let longest = entry_life.unwrap_or(Seconds::new(u32::MAX));
            let wish = walk.life.map_or(longest, |wish| wish.min(longest));
            let life = self.authority.life_for(false, Some(wish), now).min(longest);
            return Ok(less_the_inclusive_second(life));
        };
        let ends_at = if is_pending(elevation) {
            now.plus(elevation.request.duration)
        } else {
            elevation.mintable(walk.instance, now)?
        };
        let scope = &elevation.request.scope;
        let svid_life = policy
            .bundle
            .catalogue()
            .terms(scope)
            .map(|terms| terms.svid_life);
        let longest = svid_life.unwrap_or_default();
        let wish = walk.life.map_or(longest, |wish| wish.min(longest));
        let life = self.authority.life_for(true, Some(wish), now).min(longest);
        Ok(less_the_inclusive_second(life.min(ends_at.since(now))))
    }
}

/// For whom a caller asks. Only an agent names somebody else; `obtains` judges him.
fn whom(call: &Call, named: Option<&Subject>) -> Result<Subject, ServiceError> {
    match (named, call.caller.subject()) {
        (Some(named), _) => Ok(named.clone()),
        (None, Some(own)) => Ok(own.clone()),
        (None, None) => Err(ServiceError::Field(
            "name the subject: an operator has no own SVID",
        )),
    }
}

/// The outcome under which a refusal is recorded that no policy spoke; none for what is recorded
/// where it is made, and for failures that say nothing of the request.
fn broken_rule(error: &ServiceError) -> Option<&'static str> {
    match error {
        ServiceError::Csr(error) => Some(error.code()),
        ServiceError::Move(_) | ServiceError::Store(StoreError::Elevation(..)) => {
            Some("elevation_state")
        }
        ServiceError::NoElevation | ServiceError::NotFound(_) => Some("no_elevation"),
        ServiceError::NotAllowed(_) => Some("not_an_obtainer"),
        ServiceError::Store(StoreError::TokenSpent) => Some("token_spent"),
        ServiceError::Store(StoreError::RetryMismatch) => Some("retry_mismatch"),
        ServiceError::Plan(PlanError::NoLife(_)) => Some("no_life"),
        ServiceError::Plan(_) => Some("not_planned"),
        ServiceError::Bundle(_)
        | ServiceError::Busy
        | ServiceError::ClockInDoubt(_)
        | ServiceError::Crowded { .. }
        | ServiceError::Entry(_)
        | ServiceError::Finish(_)
        | ServiceError::Field(_)
        | ServiceError::IssuerToken(_)
        | ServiceError::KeysAway
        | ServiceError::NoPolicy
        | ServiceError::Policy(_)
        | ServiceError::Refused(_)
        | ServiceError::Request(_)
        | ServiceError::Setup(_)
        | ServiceError::Store(_)
        | ServiceError::Token
        | ServiceError::TooMany { .. }
        | ServiceError::Unregistered => None,
    }
}

fn act(subject: &Subject, elevation: Option<&Elevation>) -> Act {
    match elevation {
        None => Act::Issue {
            subject: subject.clone(),
        },
        Some(elevation) => Act::Elevate(elevate_act(elevation)),
    }
}

/// The question that an elevation puts, the same at its opening and at every mint.
pub(crate) fn elevate_act(elevation: &Elevation) -> ElevateAct {
    let request = &elevation.request;
    ElevateAct {
        subject: request.subject.clone(),
        scope: request.scope.clone(),
        asked: request.duration,
        has_reason: request.reason.is_some(),
        // One grammar in both rooms, so nothing is lost here.
        ticket: request
            .ticket
            .as_ref()
            .and_then(|ticket| ticket.as_str().parse().ok()),
        scheduled: request.not_before.is_some(),
        on_demand: request.on_demand,
        break_glass: request.break_glass,
    }
}

const fn is_pending(elevation: &Elevation) -> bool {
    matches!(elevation.state, State::Pending { .. })
}

const fn spent(caller: &Caller) -> Option<TokenId> {
    match caller {
        Caller::Token(id, _) => Some(*id),
        Caller::Claimant(_) | Caller::Operator(_) | Caller::Workload(_) => None,
    }
}

fn retry_key(call: &Call, request: &IssueRequest, csr: &VerifiedCsr) -> Option<RetryKey> {
    let key = request.idempotency_key.clone()?;
    let asked = format!(
        "{:?} {:?} {:?} {:?} {:?} {}",
        request.subject,
        request.scope,
        request.elevation,
        request.life,
        request.holder,
        csr.fingerprint()
    );
    let digest = crate::x509::Fingerprint::of(asked.as_bytes());
    Some(RetryKey {
        caller: retrier(&call.caller),
        key,
        request: *digest.as_bytes(),
    })
}

/// A certificate is valid through its last second (RFC 5280 4.1.2.5).
fn less_the_inclusive_second(life: Seconds) -> Seconds {
    Seconds::new(life.count().saturating_sub(1))
}

/// How many walks of one call go on at once; the others wait for their turn.
const WALKS_AT_ONCE_MAX: usize = 64;

//! What a walk's refusal is as a problem.
//!
//! Promises: closed, without wildcard: a new way to be refused must be given its kind here.
//! Refuses: to tell a caller what broke inside; such errors are `internal` or `unavailable`.

use crate::api::problem::{Problem, chain};
use crate::elevation::WaitsFor;
use crate::pki::{FinishError, PlanError};
use crate::service::{Refusal, ServiceError};
use crate::store::StoreError;
use crate::time::Seconds;
use crate::wire::problem::ProblemKind;
use crate::wire::verdict::VerdictView;

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        use ProblemKind::{ClockInDoubt, Conflict, NotFound, Unavailable, Unprocessable};
        let of = |kind, code| Self::of(kind, code, &error);
        match &error {
            ServiceError::Bundle(faults) => {
                Self::new(Unprocessable, "policy_faults", faults.to_string())
                    .with_next("correct the files; `protem policy check` tells the same")
            }
            ServiceError::Busy => of(Conflict, "busy"),
            ServiceError::ClockInDoubt(_) => of(ClockInDoubt, "clock_in_doubt"),
            ServiceError::Crowded { wait } => of(Unavailable, "crowded").with_retry_after(*wait),
            ServiceError::Csr(csr) => of(Unprocessable, csr.code()),
            ServiceError::Entry(_) => of(Unprocessable, "entry"),
            ServiceError::Field(_) => of(Unprocessable, "field"),
            ServiceError::Finish(FinishError::NotIssued) => {
                of(Conflict, "idempotency_key").with_retry_after(Seconds::new(1))
            }
            ServiceError::Finish(FinishError::Over) => of(Conflict, "idempotency_key"),
            ServiceError::Finish(
                FinishError::Read(_) | FinishError::Sign(_) | FinishError::UnknownIssuer,
            )
            | ServiceError::Plan(
                PlanError::Build(_)
                | PlanError::Der(_)
                | PlanError::Evidence(_)
                | PlanError::Lint(_),
            )
            | ServiceError::Setup(_) => Self::internal(&error),
            ServiceError::Move(_) => of(Conflict, "elevation_state"),
            ServiceError::NoElevation => of(Conflict, "no_elevation"),
            ServiceError::NoPolicy => of(Unavailable, "no_policy"),
            ServiceError::NotFound(_) => of(NotFound, "not_found"),
            ServiceError::Plan(PlanError::NoLife(_)) => of(Conflict, "no_life"),
            ServiceError::Plan(PlanError::NothingToMint | PlanError::Text) => {
                of(Unprocessable, "plan")
            }
            ServiceError::Policy(_) => of(Unprocessable, "policy_files"),
            ServiceError::Refused(refusal) => refused(refusal),
            ServiceError::Request(_) => of(Unprocessable, "elevation_request"),
            ServiceError::Finish(FinishError::Store(store)) | ServiceError::Store(store) => {
                store_problem(store)
            }
            ServiceError::NotAllowed(_) => of(ProblemKind::Denied, "not_allowed"),
            ServiceError::IssuerToken(_) => of(ProblemKind::Unauthenticated, "issuer_token"),
            ServiceError::KeysAway => of(Unavailable, "keys_away"),
            ServiceError::Unregistered => of(ProblemKind::Forbidden, "unregistered"),
            ServiceError::Token => of(ProblemKind::Unauthenticated, "token"),
            ServiceError::TooMany { code, wait } => {
                of(ProblemKind::RateLimited, code).with_retry_after(*wait)
            }
        }
    }
}

fn store_problem(error: &StoreError) -> Problem {
    use ProblemKind::{Conflict, NotFound, Unprocessable};
    let of = |kind, code| Problem::of(kind, code, error);
    match error {
        StoreError::Concluded | StoreError::FactChanged(_) | StoreError::SerialTaken => {
            of(Conflict, "busy")
        }
        StoreError::Damaged { .. }
        | StoreError::InUse(_)
        | StoreError::IndexPlace(_)
        | StoreError::Place { .. }
        | StoreError::Schema { .. } => Problem::internal(error),
        StoreError::Elevation(..) => of(Conflict, "elevation_state"),
        StoreError::Event(_) => of(Unprocessable, "event"),
        StoreError::NotFound(_) => of(NotFound, "not_found"),
        StoreError::RetryMismatch => of(Conflict, "idempotency_key"),
        StoreError::TokenSpent => of(ProblemKind::Unauthenticated, "token"),
        StoreError::TooManyOpen(_) => of(Conflict, "too_many_open"),
        StoreError::Unavailable { .. } => Problem::unavailable("store", error),
    }
}

fn refused(refusal: &Refusal) -> Problem {
    let kind = match refusal.code {
        "minting_stopped" => ProblemKind::MintingStopped,
        _ => ProblemKind::Denied,
    };
    let waits = refusal.waits_for.iter().map(told);
    let waits: Vec<String> = waits.collect();
    let detail = if waits.is_empty() {
        refusal.text.clone()
    } else {
        format!("{}; it waits for {}", refusal.text, waits.join(" or "))
    };
    let decision = if waits.is_empty() { "deny" } else { "pending" };
    let verdict = VerdictView {
        decision: decision.to_owned(),
        policies: refusal.policies.clone(),
        digest: refusal.digest.clone(),
        version: refusal.version.value(),
        reason: Some(refusal.text.clone()),
    };
    let problem = Problem::new(kind, refusal.code, detail);
    let problem = match kind {
        ProblemKind::Denied => problem.with_next(match refusal.code {
            "entry_missing" => "`protem entry put --subject ID ...` registers it",
            "scope_unknown" => {
                "the scopes that there are stand in `scopes.toml` of the policy in force"
            }
            _ => {
                "`protem policy explain --subject ID --scope SCOPE` tells what would change it, \
                 such as a reason"
            }
        }),
        _ => problem,
    };
    problem.with_verdict(verdict, refusal.elevation)
}

fn told(way: &WaitsFor) -> String {
    let all = way.route.iter().chain(&way.needs);
    all.map(String::as_str).collect::<Vec<_>>().join(" and ")
}

/// Why a field of a request cannot be read, in the words of its type.
pub(crate) fn field(name: &str, error: &dyn std::error::Error) -> Problem {
    let detail = format!("`{name}`: {}", chain(error));
    Problem::new(ProblemKind::Unprocessable, "field", detail)
}

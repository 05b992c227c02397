//! What a registration entry lets a caller obtain.
//!
//! Promises: the entry alone decides by which ways an SVID is obtained for its subject; who came
//! by another way gets nothing, whatever policy says.
//! Refuses: holders of scopes and foreign identities as obtainers of base SVIDs.

use crate::attestation::{Caller, Entry, Obtainer};
use crate::id::Holder;
use crate::service::ServiceError;

/// Whether the entry lets the caller obtain the base SVID.
pub(crate) fn obtains(caller: &Caller, entry: &Entry) -> bool {
    let subject = &entry.terms.subject;
    match caller {
        Caller::Operator(_) => false,
        Caller::Claimant(claimant) => {
            let issuer = Obtainer::Issuer(claimant.issuer.to_string());
            &claimant.subject == subject && entry.terms.obtained_by.contains(&issuer)
        }
        Caller::Token(_, own) => {
            own == subject && entry.terms.obtained_by.contains(&Obtainer::Token)
        }
        // Who holds a scope obtains nothing with it, and a foreign base identity is renewed where
        // it comes from.
        Caller::Workload(workload)
            if workload.name.scope().is_some() || workload.foreign.is_some() =>
        {
            false
        }
        Caller::Workload(workload) => {
            let own = workload.name.subject();
            let agent = Obtainer::Agent(own.id().clone());
            own == subject && entry.renews_itself() || entry.terms.obtained_by.contains(&agent)
        }
    }
}

/// Whether the entry names the caller as an agent, and he came as that agent's base identity: he
/// alone says which running holder something is for.
pub(crate) fn is_agent_of(caller: &Caller, entry: &Entry) -> bool {
    match caller {
        Caller::Workload(workload)
            if workload.name.scope().is_none() && workload.foreign.is_none() =>
        {
            let agent = Obtainer::Agent(workload.name.subject().id().clone());
            entry.terms.obtained_by.contains(&agent)
        }
        Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) | Caller::Workload(_) => {
            false
        }
    }
}

/// Refuses who names a holder and is no agent of the subject; without an entry nobody is.
pub(crate) fn may_name_holder(
    caller: &Caller,
    holder: Option<&Holder>,
    entry: Option<&Entry>,
) -> Result<(), ServiceError> {
    match holder {
        Some(_) if !entry.is_some_and(|entry| is_agent_of(caller, entry)) => {
            Err(ServiceError::NotAllowed(
                "`holder` is for agents that the subject's entry names in `obtained_by`; leave it \
                 out",
            ))
        }
        Some(_) | None => Ok(()),
    }
}

/// Whether the caller's entry lets him in by the way he came: for a subject that is registered for
/// this trust domain alone, no foreign one vouches. An entry of somebody else says nothing of him.
pub(crate) fn is_let_in(caller: &Caller, entry: &Entry) -> bool {
    match caller {
        Caller::Workload(workload) if workload.foreign.is_some() => {
            workload.name.subject() != &entry.terms.subject
                || entry.terms.obtained_by.contains(&Obtainer::Foreign)
        }
        Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) | Caller::Workload(_) => true,
    }
}

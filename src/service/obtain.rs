//! What a registration entry lets a caller obtain.
//!
//! Promises: the entry alone decides by which ways an SVID is obtained for its subject; who came
//! by another way gets nothing, whatever policy says.
//! Refuses: holders of scopes and foreign identities as obtainers of base SVIDs.

use crate::attestation::{Caller, Entry, Obtainer};

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

//! What a registration entry lets a caller obtain.
//!
//! Promises: the entry alone decides by which ways an SVID is obtained for its subject; who came
//! by another way gets nothing, whatever policy says.
//! Refuses: holders of scopes as obtainers of base SVIDs, and foreign identities for anybody but
//! themselves and where the entry does not say `x509`.

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
        // Who holds a scope obtains nothing with it.
        Caller::Workload(workload) if workload.name.scope().is_some() => false,
        // A foreign base identity is renewed where it comes from, unless it is the proof by which
        // the subject begins to have one here.
        Caller::Workload(workload) if workload.foreign.is_some() => {
            workload.name.subject() == subject && entry.terms.obtained_by.contains(&Obtainer::X509)
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

/// Whether the caller's entry lets him act by the way he came: for a subject that is registered for
/// this trust domain alone, no foreign one vouches. `x509` lets him obtain his base SVID, and act
/// with that. An entry of somebody else says nothing of him.
pub(crate) fn is_let_in(caller: &Caller, entry: &Entry) -> bool {
    match caller {
        Caller::Workload(workload) if workload.foreign.is_some() => {
            workload.name.subject() != &entry.terms.subject
                || entry.terms.obtained_by.contains(&Obtainer::Foreign)
        }
        Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) | Caller::Workload(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::{EntryTerms, Workload};
    use crate::id::entropy::Entropy;
    use crate::id::{EntryId, Instance};
    use crate::scope::{Encoding, SvidName};
    use crate::time::{Seconds, Timestamp};

    fn entry(obtained_by: &[&str]) -> Entry {
        let obtained_by = obtained_by.iter().map(|text| text.parse().unwrap());
        Entry {
            id: EntryId::random(&Entropy::seeded(1)),
            version: 1,
            terms: EntryTerms {
                subject: WEB.parse().unwrap(),
                selectors: Vec::new(),
                obtained_by: obtained_by.collect(),
                owner: "shop".parse().unwrap(),
                groups: Vec::new(),
                life: Seconds::new(60),
                hint: None,
                federates_with: Vec::new(),
            },
        }
    }

    fn workload(subject: &str, scope: bool, foreign: bool) -> Caller {
        let subject = subject.parse().unwrap();
        let name = if scope {
            SvidName::Elevated {
                subject,
                scope: "db.read".parse().unwrap(),
                encoding: Encoding::Path,
            }
        } else {
            SvidName::Base(subject)
        };
        Caller::Workload(Workload {
            foreign: foreign.then(|| "spiffe://mesh.example/web".parse().unwrap()),
            name,
            instance: Instance::from_bytes([0; 32]),
            not_after: Timestamp::from_unix_s(9).unwrap(),
        })
    }

    #[test]
    fn only_the_ways_that_an_entry_names_lead_to_its_svid() {
        let (own, foreign) = (workload(WEB, false, false), workload(WEB, false, true));
        for (ways, renews, by_foreign, acts) in [
            (&["token"][..], true, false, false),
            (&["x509"], true, true, false),
            (&["foreign"], false, false, true),
            (&["https://ci.example"], false, false, false),
            (&["foreign", "x509"], true, true, true),
        ] {
            let entry = entry(ways);
            assert_eq!(obtains(&own, &entry), renews, "{ways:?}");
            assert_eq!(obtains(&foreign, &entry), by_foreign, "{ways:?}");
            assert_eq!(is_let_in(&foreign, &entry), acts, "{ways:?}");
            for is_foreign in [false, true] {
                let elevated = workload(WEB, true, is_foreign);
                assert!(!obtains(&elevated, &entry), "{ways:?}");
            }
        }
    }

    #[test]
    fn an_agent_comes_with_its_own_base_svid() {
        let entry = entry(&[AGENT, "x509"]);
        assert!(is_agent_of(&workload(AGENT, false, false), &entry));
        for (scope, foreign) in [(true, false), (false, true), (true, true)] {
            let caller = workload(AGENT, scope, foreign);
            assert!(!is_agent_of(&caller, &entry) && !obtains(&caller, &entry));
        }
        assert!(!is_agent_of(&workload(WEB, false, false), &entry));
        assert!(!obtains(
            &workload("spiffe://td.example/b", false, true),
            &entry
        ));
    }

    const WEB: &str = "spiffe://td.example/web";
    const AGENT: &str = "spiffe://td.example/agent";
}

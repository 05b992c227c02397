//! What a decision rests on, read at one moment.
//!
//! Promises: policy, kill switch, entry and elevation are of one moment, each with its version.
//! Refuses: to answer while no policy is active: nothing could be decided.

use std::sync::Arc;

use rusqlite::Connection;

use crate::attestation::{Entry, Obtainer};
use crate::elevation::{Elevation, Requester};
use crate::id::ElevationId;
use crate::identity::Subject;
use crate::policy::{
    Approvals, ElevationFact, EntryFact, FactParts, Facts, MintingFact, Principal,
};
use crate::store::sqlite::remembered::{Ground, Registered, Remembered};
use crate::store::sqlite::{elevations, entries, minting, policies};
use crate::store::{Standing, StoreError};

/// See [`crate::store::Store::standing`]: what is remembered is not read again.
pub(super) fn standing(
    connection: &Connection,
    remembered: &Remembered,
    subject: Option<&Subject>,
    elevation: Option<ElevationId>,
) -> Result<Standing, StoreError> {
    // Before the first read, with which the connection's moment begins.
    let age = remembered.age();
    let elevation = match elevation {
        Some(id) => elevations::current(connection, id)?,
        None => None,
    };
    let about = subject.or_else(|| elevation.as_ref().map(|it| &it.request.subject));
    if let Some((ground, registered)) = about.and_then(|subject| remembered.of(subject)) {
        return join(ground, Some(registered), elevation);
    }
    let policy = policies::fact(connection)?.ok_or(StoreError::NotFound("active policy"))?;
    let minting = minting::minting(connection)?;
    let ground = Ground {
        policy,
        minting: MintingFact {
            stopped: minting.stopped,
            version: minting.version,
        },
    };
    let entry = match about {
        Some(subject) => entries::of(connection, subject)?,
        None => None,
    };
    let registered = entry.map(|entry| Registered {
        fact: entry_fact(&entry).into(),
        entry: Arc::new(entry),
    });
    if let Some(registered) = &registered {
        remembered.keep(age, ground, registered);
    }
    join(ground, registered, elevation)
}

/// The same without reading, for a question without elevation; none where it is not remembered.
pub(super) fn from_memory(remembered: &Remembered, subject: &Subject) -> Option<Standing> {
    let (ground, registered) = remembered.of(subject)?;
    join(ground, Some(registered), None).ok()
}

fn join(
    ground: Ground,
    registered: Option<Registered>,
    elevation: Option<Elevation>,
) -> Result<Standing, StoreError> {
    let (entry, fact) = registered.map(|it| (it.entry, it.fact)).unzip();
    let facts = Facts::observed(FactParts {
        policy: ground.policy,
        minting: ground.minting,
        entry: fact,
        elevation: elevation.as_ref().map(elevation_fact).transpose()?,
        signals: Vec::new(),
    });
    Ok(Standing {
        facts,
        entry,
        elevation,
    })
}

fn entry_fact(entry: &Entry) -> EntryFact {
    let terms = &entry.terms;
    let deputy = |obtainer: &Obtainer| match obtainer {
        Obtainer::Agent(id) => Subject::try_from(id.clone()).ok(),
        Obtainer::Foreign | Obtainer::Issuer(_) | Obtainer::Token | Obtainer::X509 => None,
    };
    EntryFact {
        id: entry.id,
        version: entry.version,
        subject: terms.subject.clone(),
        selectors: terms.selectors.clone(),
        owner: terms.owner.clone(),
        groups: terms.groups.clone(),
        deputies: terms.obtained_by.iter().filter_map(deputy).collect(),
        life: terms.life,
    }
}

fn elevation_fact(elevation: &Elevation) -> Result<ElevationFact, StoreError> {
    let request = &elevation.request;
    let requester = principal(&request.asked_by, &request.subject);
    Ok(ElevationFact {
        id: elevation.id,
        version: elevation.version,
        subject: request.subject.clone(),
        scope: request.scope.clone(),
        // Votes are not stored yet: nobody approved.
        approvals: Approvals::new(),
        requester: requester.ok_or_else(|| StoreError::Damaged {
            table: "elevations",
            column: "asked_by",
            row: elevation.id.to_string(),
        })?,
    })
}

/// Who asked, from how the ledger names a caller. A token speaks for the subject that it was
/// made for, and only for that one.
fn principal(requester: &Requester, subject: &Subject) -> Option<Principal> {
    let (kind, name) = requester.0.split_once(':')?;
    match kind {
        "operator" => name.parse().ok().map(Principal::Operator),
        "token" => Some(Principal::Workload {
            subject: subject.clone(),
            elevated: false,
        }),
        "claimant" | "workload" => {
            let (name, elevated) = match name.split_once('#') {
                Some((name, _scope)) => (name, true),
                None => (name, false),
            };
            let subject = name.parse().ok()?;
            Some(Principal::Workload { subject, elevated })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::{Caller, Workload};
    use crate::id::Instance;
    use crate::scope::SvidName;
    use crate::time::Timestamp;

    #[test]
    fn every_caller_reads_back_as_a_principal() {
        let subject: Subject = "spiffe://td.example/web".parse().unwrap();
        let operator = "op-00000000000000000000000000000001".parse().unwrap();
        let token = "jt-00000000000000000000000000000001".parse().unwrap();
        let workload = |name| {
            Caller::Workload(Workload {
                foreign: None,
                name,
                instance: Instance::from_bytes([1; 32]),
                not_after: Timestamp::from_unix_s(9).unwrap(),
            })
        };
        let elevated = SvidName::Elevated {
            subject: subject.clone(),
            scope: "db.read".parse().unwrap(),
            encoding: crate::scope::Encoding::Path,
        };
        let as_workload = |elevated| Principal::Workload {
            subject: subject.clone(),
            elevated,
        };
        for (caller, expected) in [
            (Caller::Operator(operator), Principal::Operator(operator)),
            (Caller::Token(token, subject.clone()), as_workload(false)),
            (
                workload(SvidName::Base(subject.clone())),
                as_workload(false),
            ),
            (workload(elevated), as_workload(true)),
        ] {
            let asked_by = Requester(caller.to_string());
            assert_eq!(principal(&asked_by, &subject), Some(expected), "{caller}");
        }
        assert_eq!(principal(&Requester("stranger".into()), &subject), None);
    }
}

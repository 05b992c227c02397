//! Whether the facts that a permit was decided on still hold, asked inside the transaction that
//! records what it allows (DESIGN promise 1).
//!
//! Promises: a guard holds for exactly the version that it names.
//! Refuses: everything while minting is stopped, when the permit rested on minting at all.

use rusqlite::Connection;

use crate::policy::FactVersion;
use crate::store::StoreError;
use crate::store::sqlite::{elevations, entries, minting, policies};

/// Checks every guard.
pub(super) fn hold(connection: &Connection, guards: &[FactVersion]) -> Result<(), StoreError> {
    for guard in guards {
        let (holds, fact) = match *guard {
            FactVersion::Elevation(id, version) => {
                let now = elevations::version(connection, id)?;
                (now == Some(version), "the elevation")
            }
            FactVersion::Entry(id, version) => {
                let now = entries::version(connection, id)?;
                (now == Some(version), "the registration entry")
            }
            FactVersion::Minting(version) => {
                let now = minting::minting(connection)?;
                let holds = !now.stopped && now.version == version;
                (holds, "the kill switch")
            }
            FactVersion::Policy(version) => {
                let now = policies::version(connection)?;
                (now == Some(version), "the policy")
            }
        };
        if !holds {
            return Err(StoreError::FactChanged(fact));
        }
    }
    Ok(())
}

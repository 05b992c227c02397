//! Whether the facts that a permit was decided on still hold, asked inside the transaction that
//! records what it allows (DESIGN promise 1).
//!
//! Promises: a guard holds for exactly the version that it names.
//! Refuses: everything while minting is stopped, when the permit rested on minting at all.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use rusqlite::Connection;

use crate::policy::FactVersion;
use crate::store::StoreError;
use crate::store::sqlite::ledger::Turn;
use crate::store::sqlite::{elevations, entries, minting, policies};

/// What the writer knows of facts: it alone changes them, so what held once holds until then.
#[derive(Default)]
pub(super) struct Guarded {
    held: RefCell<HashSet<FactVersion>>,
    changed: Cell<bool>,
}

impl Guarded {
    /// An act changes a policy, the kill switch or an entry.
    pub(super) fn change(&self) {
        self.doubt();
        self.changed.set(true);
    }

    /// An act is taken back, and with it what it may have changed.
    pub(super) fn doubt(&self) {
        self.held.borrow_mut().clear();
    }

    /// Whether a fact has changed since this was asked last.
    pub(super) fn take_changed(&self) -> bool {
        self.changed.take()
    }

    fn holds(
        &self,
        guard: FactVersion,
        look: impl FnOnce() -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        if self.held.borrow().contains(&guard) {
            return Ok(true);
        }
        let holds = look()?;
        let mut held = self.held.borrow_mut();
        if holds && held.len() < HELD_MAX {
            held.insert(guard);
        }
        Ok(holds)
    }
}

/// Checks every guard.
pub(super) fn hold(turn: &Turn<'_>, guards: &[FactVersion]) -> Result<(), StoreError> {
    let connection = turn.connection();
    for guard in guards {
        let fact = match guard {
            FactVersion::Elevation(..) => "the elevation",
            FactVersion::Entry(..) => "the registration entry",
            FactVersion::Minting(_) => "the kill switch",
            FactVersion::Policy(_) => "the policy",
        };
        let holds = match guard {
            // Changes with the acts of its own caller; never remembered.
            FactVersion::Elevation(..) => is(connection, *guard)?,
            FactVersion::Entry(..) | FactVersion::Minting(_) | FactVersion::Policy(_) => {
                turn.guarded().holds(*guard, || is(connection, *guard))?
            }
        };
        if !holds {
            return Err(StoreError::FactChanged(fact));
        }
    }
    Ok(())
}

fn is(connection: &Connection, guard: FactVersion) -> Result<bool, StoreError> {
    Ok(match guard {
        FactVersion::Elevation(id, version) => {
            elevations::version(connection, id)? == Some(version)
        }
        FactVersion::Entry(id, version) => entries::version(connection, id)? == Some(version),
        FactVersion::Minting(version) => {
            let now = minting::minting(connection)?;
            !now.stopped && now.version == version
        }
        FactVersion::Policy(version) => policies::version(connection)? == Some(version),
    })
}

/// The most guards that are remembered; further ones are asked of the file each time.
const HELD_MAX: usize = 65_536;

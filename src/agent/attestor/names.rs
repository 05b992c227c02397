//! The names of users and groups, by the machine's own directory of them (NSS).
//!
//! The directory may be a file or a server far away, so it is asked on threads that may block, by
//! few at once, and only for what is not known yet.
//!
//! Promises: an answer is used for a short time only, also that there is no name. What a slow
//! directory answers too late for one caller is known to the next.
//! Refuses: to make a failure into "no name": then nothing is said at all.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User};

use crate::agent::attestor::AttestError;
use crate::agent::attestor::turns::Turns;

/// A number that may have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Number {
    Gid(u32),
    Uid(u32),
}

/// A name; none where the machine has none for the number.
pub(super) type Name = Option<Arc<str>>;

/// Names that were asked for lately.
#[derive(Debug)]
pub(super) struct Names {
    turns: Turns,
    /// The lock is never held across an await nor a look-up.
    known: Arc<Mutex<HashMap<Number, Known>>>,
}

#[derive(Clone, Debug)]
struct Known {
    name: Name,
    until_boot_ms: i64,
}

impl Names {
    pub(super) fn new() -> Self {
        Self {
            turns: Turns::new(AT_ONCE_MAX, OF_UID_MAX),
            known: Arc::default(),
        }
    }

    /// The names of these numbers, in their order, for a caller of this user.
    pub(super) async fn of(
        &self,
        numbers: Vec<Number>,
        uid: u32,
        boot_ms: i64,
    ) -> Result<Vec<Name>, AttestError> {
        if let Some(names) = self.known(&numbers, boot_ms) {
            return Ok(names);
        }
        let turn = self.turns.take(uid).await.ok_or(AttestError::Late)?;
        let known = Arc::clone(&self.known);
        let ask = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let each = numbers.into_iter();
            each.map(|number| name_of(&known, number, boot_ms))
                .collect::<io::Result<_>>()
        });
        let names = ask.await.map_err(|_| AttestError::Late)?;
        names.map_err(AttestError::Names)
    }

    fn known(&self, numbers: &[Number], boot_ms: i64) -> Option<Vec<Name>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let each = numbers.iter();
        each.map(|number| Some(known.get(number)?.at(boot_ms)?.clone()))
            .collect()
    }
}

impl Known {
    fn at(&self, boot_ms: i64) -> Option<&Name> {
        (boot_ms < self.until_boot_ms).then_some(&self.name)
    }
}

fn name_of(
    known: &Mutex<HashMap<Number, Known>>,
    number: Number,
    boot_ms: i64,
) -> io::Result<Name> {
    let table = || known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = table().get(&number).and_then(|known| known.at(boot_ms)) {
        return Ok(name.clone());
    }
    let name = ask(number)?;
    let until_boot_ms = boot_ms.saturating_add(KNOWN_FOR_MS);
    let mut table = table();
    if table.len() >= KNOWN_MAX {
        table.retain(|_, known| known.at(boot_ms).is_some());
    }
    if table.len() >= KNOWN_MAX {
        table.clear();
    }
    let row = Known {
        name: name.clone(),
        until_boot_ms,
    };
    table.insert(number, row);
    Ok(name)
}

fn ask(number: Number) -> io::Result<Name> {
    let found = match number {
        Number::Gid(gid) => Group::from_gid(Gid::from_raw(gid)).map(|of| of.map(|of| of.name)),
        Number::Uid(uid) => User::from_uid(Uid::from_raw(uid)).map(|of| of.map(|of| of.name)),
    };
    match found {
        Ok(name) => Ok(name.map(Arc::from)),
        // How directories say that they know of nobody (getpwuid(3), "Errors").
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(fault) => Err(fault.into()),
    }
}

const AT_ONCE_MAX: usize = 8;
const OF_UID_MAX: usize = 2;
const KNOWN_MAX: usize = 4_096;
const KNOWN_FOR_MS: i64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_and_that_there_is_none_are_known_for_a_while() {
        let names = Names::new();
        let numbers = vec![Number::Uid(0), Number::Gid(0), Number::Uid(3_999_999_999)];
        let found = names.of(numbers.clone(), 1, 0).await.unwrap();
        assert_eq!(found[0].as_deref(), Some("root"));
        assert_eq!(found[1].as_deref(), Some("root"));
        assert_eq!(found[2], None);
        assert_eq!(names.known(&numbers, KNOWN_FOR_MS - 1), Some(found));
        assert_eq!(names.known(&numbers, KNOWN_FOR_MS), None);
    }

    #[tokio::test]
    async fn the_table_of_names_does_not_grow() {
        let names = Names::new();
        for first in 0..5 {
            let from = 3_000_000_000 + first * 1_000;
            let numbers = (from..from + 1_000).map(Number::Gid).collect();
            names.of(numbers, 1, 0).await.unwrap();
        }
        assert!(names.known.lock().unwrap().len() <= KNOWN_MAX);
    }
}

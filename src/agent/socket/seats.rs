//! Seats: how many connections there may be, in all and of one user.
//!
//! Promises: a seat is given back when its connection is dropped; some are kept for root, so that
//! an operator gets in when everybody else has filled the rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// How many may sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatLimits {
    /// Connections of everybody together.
    pub(crate) all_max: usize,
    /// Connections of one user; root has no such bound.
    pub(crate) of_uid_max: usize,
    /// Out of all, those that only root gets.
    pub(crate) for_root: usize,
}

/// The seats of one socket.
#[derive(Debug)]
pub(super) struct Seats {
    limits: SeatLimits,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_uid: HashMap<u32, usize>,
}

/// One seat.
#[derive(Debug)]
pub(super) struct Seat {
    uid: u32,
    seats: Arc<Seats>,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    All,
    OfUid,
}

impl Default for SeatLimits {
    fn default() -> Self {
        Self {
            all_max: CONNECTIONS_MAX,
            of_uid_max: CONNECTIONS_OF_UID_MAX,
            for_root: CONNECTIONS_FOR_ROOT,
        }
    }
}

/// Asks the system for all the files that this process may have. Each connection takes two: its
/// socket, and its process.
pub(super) fn may_open_files() {
    let files = Resource::RLIMIT_NOFILE;
    if let Ok((now, most)) = getrlimit(files)
        && now < most
        && let Err(error) = setrlimit(files, most, most)
    {
        tracing::warn!(%error, now, most, "the limit of open files stays as it is");
    }
}

impl Seats {
    pub(super) fn new(limits: SeatLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            taken: Mutex::default(),
        })
    }

    /// A seat for this user.
    pub(super) fn take(self: &Arc<Self>, uid: u32) -> Result<Seat, Full> {
        let limits = self.limits;
        let mut taken = self.taken();
        let root = uid == ROOT;
        let kept = if root { 0 } else { limits.for_root };
        if taken.all >= limits.all_max.saturating_sub(kept) {
            return Err(Full::All);
        }
        let of_uid = taken.of_uid.get(&uid).copied().unwrap_or_default();
        if !root && of_uid >= limits.of_uid_max {
            return Err(Full::OfUid);
        }
        taken.of_uid.insert(uid, of_uid.saturating_add(1));
        taken.all = taken.all.saturating_add(1);
        drop(taken);
        Ok(Seat {
            uid,
            seats: Arc::clone(self),
        })
    }

    /// How many sit now.
    pub(super) fn sitting(&self) -> usize {
        self.taken().all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all = taken.all.saturating_sub(1);
        let left = taken
            .of_uid
            .get(&self.uid)
            .map_or(0, |of| of.saturating_sub(1));
        if left == 0 {
            taken.of_uid.remove(&self.uid);
        } else {
            taken.of_uid.insert(self.uid, left);
        }
    }
}

const ROOT: u32 = 0;
const CONNECTIONS_MAX: usize = 16_384;
const CONNECTIONS_OF_UID_MAX: usize = 1_024;
const CONNECTIONS_FOR_ROOT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: SeatLimits = SeatLimits {
        all_max: 5,
        of_uid_max: 2,
        for_root: 1,
    };

    #[test]
    fn one_user_never_takes_the_seats_of_another() {
        let seats = Seats::new(FEW);
        let first = seats.take(7).unwrap();
        let _second = seats.take(7).unwrap();
        assert_eq!(seats.take(7).unwrap_err(), Full::OfUid);
        let _other = seats.take(8).unwrap();
        drop(first);
        seats.take(7).unwrap();
    }

    #[test]
    fn root_gets_in_when_all_others_fill_the_rest() {
        let seats = Seats::new(FEW);
        let others: Vec<_> = [1, 1, 2, 2].map(|uid| seats.take(uid).unwrap()).into();
        assert_eq!(seats.take(3).unwrap_err(), Full::All);
        let root = seats.take(0).unwrap();
        assert_eq!(seats.take(0).unwrap_err(), Full::All);
        drop((others, root));
        assert_eq!(seats.sitting(), 0);
        assert!(seats.taken().of_uid.is_empty());
    }
}

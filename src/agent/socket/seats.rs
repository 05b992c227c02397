//! Seats: how many connections there may be, in all and of one user.
//!
//! Promises: a seat is given back when its holder is dropped; some are kept for root of the host,
//! so that an operator gets in when everybody else has filled the rest. No other user has more than
//! a quarter. All seats together leave descriptors for everything else that the process does.
//! Refuses: to take root of a container for root of the host: it is root by its number too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many may sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SeatLimits {
    /// Connections of everybody together.
    pub(crate) all_max: usize,
    /// Connections of one user; root of the host may have all.
    pub(crate) of_uid_max: usize,
    /// Out of all, those that only root of the host gets.
    pub(crate) for_root: usize,
}

/// The seats of one socket.
#[derive(Debug)]
pub(crate) struct Seats {
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
pub(crate) struct Seat {
    /// None of root of the host.
    uid: Option<u32>,
    seats: Arc<Seats>,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Full {
    /// Of everybody together.
    All,
    /// Of this user.
    OfUid,
}

impl SeatLimits {
    /// What fits into so many open files, with as much for each of the sockets there may be.
    pub(crate) fn within(self, files: usize) -> Self {
        let left = files.saturating_sub(FILES_KEPT) / (SOCKETS * FILES_OF_SEAT);
        let all_max = self.all_max.min(left).max(SEATS_LEAST);
        Self {
            all_max,
            of_uid_max: self.of_uid_max.min(all_max / 4),
            for_root: self.for_root.min(all_max / 4),
        }
    }
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

impl Seats {
    /// Seats that are all free.
    pub(crate) fn new(limits: SeatLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            taken: Mutex::default(),
        })
    }

    /// A seat for this user, who may be root of the host.
    pub(super) fn take(self: &Arc<Self>, uid: u32, root_of_host: bool) -> Result<Seat, Full> {
        let limits = self.limits;
        let mut taken = self.taken();
        let kept = if root_of_host { 0 } else { limits.for_root };
        if taken.all >= limits.all_max.saturating_sub(kept) {
            return Err(Full::All);
        }
        let uid = (!root_of_host).then_some(uid);
        if let Some(uid) = uid {
            let of_uid = taken.of_uid.entry(uid).or_default();
            if *of_uid >= limits.of_uid_max {
                return Err(Full::OfUid);
            }
            *of_uid = of_uid.saturating_add(1);
        }
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
        let Some(uid) = self.uid else { return };
        let left = taken.of_uid.get(&uid).map_or(0, |of| of.saturating_sub(1));
        if left == 0 {
            taken.of_uid.remove(&uid);
        } else {
            taken.of_uid.insert(uid, left);
        }
    }
}

const CONNECTIONS_MAX: usize = 16_384;
const CONNECTIONS_OF_UID_MAX: usize = 1_024;
const CONNECTIONS_FOR_ROOT: usize = 64;
/// The workload socket, and the one of Envoy.
const SOCKETS: usize = 2;
/// A connection, and the process behind it.
const FILES_OF_SEAT: usize = 2;
/// For the server, the state, the programs that are read.
const FILES_KEPT: usize = 512;
/// However few files there are.
const SEATS_LEAST: usize = 16;

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
        let first = seats.take(7, false).unwrap();
        let _second = seats.take(7, false).unwrap();
        assert_eq!(seats.take(7, false).unwrap_err(), Full::OfUid);
        let _other = seats.take(8, false).unwrap();
        drop(first);
        seats.take(7, false).unwrap();
    }

    #[test]
    fn root_of_a_container_is_as_everybody_and_root_of_the_host_is_not() {
        let seats = Seats::new(SeatLimits { all_max: 9, ..FEW });
        let _contained: Vec<_> = (0..2).map(|_| seats.take(0, false).unwrap()).collect();
        assert_eq!(seats.take(0, false).unwrap_err(), Full::OfUid);
        let _root: Vec<_> = (0..7).map(|_| seats.take(0, true).unwrap()).collect();
        assert_eq!(seats.take(0, true).unwrap_err(), Full::All);
    }

    #[test]
    fn seats_leave_files_for_the_rest() {
        for files in [0, 512, 1_024, 4_096, 65_536, usize::MAX] {
            let limits = SeatLimits::default().within(files);
            let taken = limits.all_max * SOCKETS * FILES_OF_SEAT;
            let few = limits.all_max == SEATS_LEAST;
            assert!(few || taken + FILES_KEPT <= files, "{files}: {limits:?}");
            assert!(limits.for_root < limits.all_max && 0 < limits.of_uid_max);
            assert!(limits.of_uid_max <= limits.all_max / 4);
        }
        assert_eq!(SeatLimits::default().within(1 << 20), SeatLimits::default());
    }

    #[test]
    fn root_gets_in_when_all_others_fill_the_rest() {
        let seats = Seats::new(FEW);
        let others: Vec<_> = [1, 1, 2, 2]
            .map(|uid| seats.take(uid, false).unwrap())
            .into();
        assert_eq!(seats.take(3, false).unwrap_err(), Full::All);
        let root = seats.take(0, true).unwrap();
        assert_eq!(seats.take(0, true).unwrap_err(), Full::All);
        drop((others, root));
        assert_eq!(seats.sitting(), 0);
        assert!(seats.taken().of_uid.is_empty());
    }
}

//! How much one process, one user, and all together may have open at once.
//!
//! Promises: a seat is free again as soon as its holder is dropped, however that comes about; what
//! is remembered is as large as what is open. Nobody but root of the host has more than a quarter
//! of a pool, and some seats are kept for that root.
//! Refuses: to wait. Who finds no seat is told so at once. To take root of a container for root of
//! the host.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::agent::caller::Caller;
use crate::id::Holder;

/// Seats of one kind.
pub(crate) struct Seats {
    max: SeatsMax,
    /// Held for a few instructions, never across an await.
    taken: Mutex<Taken>,
}

/// How many may sit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeatsMax {
    /// Everybody together.
    pub(crate) all: usize,
    /// One user; root of the host may have all.
    pub(crate) of_uid: usize,
    /// One process, whoever's.
    pub(crate) of_process: usize,
    /// Out of all, those that only root of the host gets.
    pub(crate) for_root: usize,
}

#[derive(Default)]
struct Taken {
    all: usize,
    of_uid: HashMap<u32, usize>,
    of_process: HashMap<Holder, usize>,
}

/// One seat; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Seat {
    /// None of root of the host.
    uid: Option<u32>,
    process: Holder,
    seats: Arc<Seats>,
}

impl SeatsMax {
    /// So many in all and of one process; a quarter for one user, some for root.
    pub(crate) const fn of(all: usize, of_process: usize) -> Self {
        Self {
            all,
            of_uid: all.div_ceil(OF_UID_PART),
            of_process,
            for_root: all.div_ceil(FOR_ROOT_PART),
        }
    }
}

impl Seats {
    /// Seats that are all free.
    pub(crate) fn new(max: SeatsMax) -> Arc<Self> {
        Arc::new(Self {
            max,
            taken: Mutex::default(),
        })
    }

    /// A seat for a caller; none when there is none left for him.
    pub(crate) fn take<P: Caller>(self: &Arc<Self>, caller: &P) -> Option<Seat> {
        let uid = (!caller.is_root_of_host()).then(|| caller.uid());
        self.take_of(uid, caller.holder())
    }

    fn take_of(self: &Arc<Self>, uid: Option<u32>, process: Holder) -> Option<Seat> {
        let mut taken = self.taken();
        let kept = uid.map_or(0, |_| self.max.for_root);
        let of_uid = uid.and_then(|uid| taken.of_uid.get(&uid)).copied();
        let of_process = taken.of_process.get(&process).copied();
        if self.max.all.saturating_sub(kept) <= taken.all
            || self.max.of_uid <= of_uid.unwrap_or_default()
            || self.max.of_process <= of_process.unwrap_or_default()
        {
            return None;
        }
        taken.all = taken.all.saturating_add(1);
        count_up(&mut taken.of_process, process.clone());
        if let Some(uid) = uid {
            count_up(&mut taken.of_uid, uid);
        }
        drop(taken);
        Some(Seat {
            uid,
            process,
            seats: Arc::clone(self),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all = taken.all.saturating_sub(1);
        count_down(&mut taken.of_process, self.process.clone());
        if let Some(uid) = self.uid {
            count_down(&mut taken.of_uid, uid);
        }
    }
}

fn count_up<K: Eq + Hash>(counts: &mut HashMap<K, usize>, of: K) {
    let count = counts.entry(of).or_default();
    *count = count.saturating_add(1);
}

fn count_down<K: Eq + Hash>(counts: &mut HashMap<K, usize>, of: K) {
    if let Entry::Occupied(mut count) = counts.entry(of) {
        *count.get_mut() = count.get().saturating_sub(1);
        if *count.get() == 0 {
            count.remove();
        }
    }
}

impl std::fmt::Debug for Seats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Seats").field(&self.max).finish()
    }
}

/// One user gets a quarter: it takes four who mean harm together.
const OF_UID_PART: usize = 4;
const FOR_ROOT_PART: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32) -> Holder {
        Holder::process(pid, 1)
    }

    #[test]
    fn each_has_his_share_and_gives_it_back() {
        let seats = Seats::new(SeatsMax {
            all: 5,
            of_uid: 3,
            of_process: 2,
            for_root: 1,
        });
        let take = |uid, pid| seats.take_of(Some(uid), process(pid));
        let first = take(7, 1).unwrap();
        let second = take(7, 1).unwrap();
        assert!(take(7, 1).is_none(), "the share of the process is taken");
        let third = take(7, 2).unwrap();
        assert!(take(7, 3).is_none(), "the share of the user is taken");
        let other = take(8, 4).unwrap();
        assert!(take(8, 4).is_none(), "the last is root's");
        assert!(take(0, 5).is_none(), "of the host, not of a container");
        let root = seats.take_of(None, process(5)).unwrap();
        assert!(seats.take_of(None, process(5)).is_none(), "all are taken");
        drop((first, root));
        let again = take(7, 3).unwrap();
        drop((second, third, other, again));
        let taken = seats.taken();
        assert!(taken.of_process.is_empty() && taken.of_uid.is_empty() && taken.all == 0);
    }

    #[test]
    fn nobody_has_more_than_a_quarter_but_root_of_the_host() {
        let seats = Seats::new(SeatsMax::of(160, 1));
        let count = |uid: Option<u32>| {
            let taken = (0..1_000).map_while(|pid| seats.take_of(uid, process(pid)));
            taken.collect::<Vec<_>>().len()
        };
        assert_eq!((count(Some(7)), count(Some(0)), count(None)), (40, 40, 160));
        let many = |uid: u32| {
            let of = |pid| seats.take_of(Some(uid), process(uid * 1_000 + pid));
            (0..1_000).map_while(of).collect::<Vec<_>>()
        };
        let others: Vec<_> = (1..=4).flat_map(many).collect();
        assert_eq!(others.len(), 150);
        assert_eq!(count(None), 10, "what is kept");
    }
}

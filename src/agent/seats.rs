//! How much one process, and all together, may have open at once.
//!
//! Promises: a seat is free again as soon as its holder is dropped, however that comes about; what
//! is remembered is as large as what is open.
//! Refuses: to wait. Who finds no seat is told so at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::id::Holder;

/// Seats of one kind.
pub(crate) struct Seats {
    each_max: usize,
    all_max: usize,
    /// Held for a few instructions, never across an await.
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    each: HashMap<Holder, usize>,
}

/// One seat; dropped, it is free.
pub(crate) struct Seat {
    of: Holder,
    seats: Arc<Seats>,
}

impl Seats {
    /// So many for each process, and so many in all.
    pub(crate) fn new(each_max: usize, all_max: usize) -> Arc<Self> {
        Arc::new(Self {
            each_max,
            all_max,
            taken: Mutex::default(),
        })
    }

    /// A seat for a process; none when there is none left for it.
    pub(crate) fn take(self: &Arc<Self>, of: Holder) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.all_max <= taken.all {
            return None;
        }
        let count = taken.each.get(&of).copied().unwrap_or_default();
        if self.each_max <= count {
            return None;
        }
        taken.all = taken.all.saturating_add(1);
        taken.each.insert(of.clone(), count.saturating_add(1));
        let seats = self.clone();
        Some(Seat { of, seats })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let taken = self.seats.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        taken.all = taken.all.saturating_sub(1);
        match taken.each.get_mut(&self.of) {
            Some(count @ 2..) => *count = count.saturating_sub(1),
            Some(_) | None => {
                taken.each.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_his_share_and_gives_it_back() {
        let seats = Seats::new(2, 3);
        let (a, b) = (Holder::process(1, 1), Holder::process(2, 1));
        let first = seats.take(a.clone()).unwrap();
        let second = seats.take(a.clone()).unwrap();
        assert!(seats.take(a.clone()).is_none(), "his share is taken");
        let other = seats.take(b.clone()).unwrap();
        assert!(seats.take(b.clone()).is_none(), "all are taken");
        drop(first);
        let again = seats.take(b).unwrap();
        assert!(seats.take(a).is_none());
        drop((second, other, again));
        let taken = seats.taken.lock().unwrap();
        assert!(taken.each.is_empty() && taken.all == 0);
    }
}

//! How many connections are open, and from where.
//!
//! Promises: a connection counts from accept until its task ends, however it ends. Beyond the
//! limits there is a small reserve: who comes there is told so in words, and an operator is served
//! ([`Lane`]).
//! Refuses: more connections than listener, neighbour and reserve may hold.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::listener::limits::Limits;
use crate::attestation::Neighbour;

/// Counts the connections of one listener.
#[derive(Debug)]
pub(crate) struct Gate {
    served: Bounds,
    reserve: Bounds,
    // Taken for a few instructions by the accepting task and by each connection's end.
    open: Mutex<Lanes>,
}

/// One open connection; counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    neighbour: Neighbour,
    lane: Lane,
}

/// How a connection is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Beyond the limits: an operator is served, everybody else hears when to come back.
    Reserve,
    /// Within the limits.
    Served,
}

#[derive(Debug)]
struct Bounds {
    total: usize,
    per_neighbour: usize,
}

#[derive(Debug, Default)]
struct Lanes {
    served: Open,
    reserve: Open,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_neighbour: HashMap<Neighbour, usize>,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            served: Bounds {
                total: limits.connections,
                per_neighbour: limits.connections_per_neighbour,
            },
            reserve: Bounds {
                total: limits.reserve,
                per_neighbour: limits.reserve_per_neighbour,
            },
            open: Mutex::default(),
        }
    }

    /// A pass for a connection from `address`; none when even the reserve is full.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let neighbour = Neighbour::of(address);
        let mut lanes = self.open();
        let lane = if lanes.served.enter(neighbour, &self.served) {
            Lane::Served
        } else if lanes.reserve.enter(neighbour, &self.reserve) {
            Lane::Reserve
        } else {
            return None;
        };
        drop(lanes);
        Some(Pass {
            gate: Arc::clone(self),
            neighbour,
            lane,
        })
    }

    fn open(&self) -> MutexGuard<'_, Lanes> {
        // A poisoned lock still counts right: nothing between its changes can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn enter(&mut self, neighbour: Neighbour, bounds: &Bounds) -> bool {
        let of_neighbour = self.by_neighbour.get(&neighbour).copied().unwrap_or(0);
        if bounds.total <= self.total || bounds.per_neighbour <= of_neighbour {
            return false;
        }
        self.total += 1;
        self.by_neighbour.insert(neighbour, of_neighbour + 1);
        true
    }

    fn leave(&mut self, neighbour: Neighbour) {
        self.total = self.total.saturating_sub(1);
        match self.by_neighbour.get_mut(&neighbour) {
            Some(count) if 1 < *count => *count -= 1,
            Some(_) | None => {
                self.by_neighbour.remove(&neighbour);
            }
        }
    }
}

impl Pass {
    /// How the connection is served.
    pub(crate) const fn lane(&self) -> Lane {
        self.lane
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut lanes = self.gate.open();
        match self.lane {
            Lane::Reserve => lanes.reserve.leave(self.neighbour),
            Lane::Served => lanes.served.leave(self.neighbour),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(total: usize, per_neighbour: usize) -> Arc<Gate> {
        Arc::new(Gate::new(&Limits {
            connections: total,
            connections_per_neighbour: per_neighbour,
            reserve: 2,
            reserve_per_neighbour: 1,
            ..Limits::standard()
        }))
    }

    fn lane(pass: Option<&Pass>) -> Option<Lane> {
        pass.map(Pass::lane)
    }

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_neighbour_cannot_take_the_place_of_others() {
        let gate = gate(3, 2);
        let first = gate.enter(at("192.0.2.1"));
        let second = gate.enter(at("::ffff:192.0.2.1"));
        assert_eq!(lane(second.as_ref()), Some(Lane::Served));
        let third = gate.enter(at("192.0.2.1"));
        assert_eq!(lane(third.as_ref()), Some(Lane::Reserve));
        assert!(gate.enter(at("192.0.2.1")).is_none(), "his reserve is full");
        let other = gate.enter(at("192.0.2.2"));
        assert_eq!(lane(other.as_ref()), Some(Lane::Served));
        let late = gate.enter(at("192.0.2.3"));
        assert_eq!(
            lane(late.as_ref()),
            Some(Lane::Reserve),
            "the house is full"
        );
        assert!(gate.enter(at("192.0.2.4")).is_none(), "and its reserve too");
        drop(first);
        let again = gate.enter(at("192.0.2.1"));
        assert_eq!(lane(again.as_ref()), Some(Lane::Served));
        drop((second, third, other, late, again));
        let lanes = gate.open();
        assert!(lanes.served.by_neighbour.is_empty() && lanes.reserve.by_neighbour.is_empty());
        assert_eq!((lanes.served.total, lanes.reserve.total), (0, 0));
    }
}

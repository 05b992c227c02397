//! How many connections are open, and from where.
//!
//! Promises: a connection counts from accept until its task ends, however it ends.
//! Refuses: more connections than the listener or one neighbour may hold.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::api::listener::limits::Limits;

/// Counts the connections of one listener.
#[derive(Debug)]
pub(crate) struct Gate {
    total_max: usize,
    per_neighbour_max: usize,
    // Taken for a few instructions by the accepting task and by each connection's end.
    open: Mutex<Open>,
}

/// One open connection; counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    gate: Arc<Gate>,
    neighbour: IpAddr,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_neighbour: HashMap<IpAddr, usize>,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            total_max: limits.connections,
            per_neighbour_max: limits.connections_per_neighbour,
            open: Mutex::default(),
        }
    }

    /// A pass for a connection from `address`; none when the house or the neighbour is full.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Pass> {
        let neighbour = neighbour(address);
        let mut open = self.open();
        let of_neighbour = open.by_neighbour.get(&neighbour).copied().unwrap_or(0);
        if self.total_max <= open.total || self.per_neighbour_max <= of_neighbour {
            return None;
        }
        open.total += 1;
        open.by_neighbour.insert(neighbour, of_neighbour + 1);
        Some(Pass {
            gate: Arc::clone(self),
            neighbour,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // A poisoned lock still counts right: nothing between its changes can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut open = self.gate.open();
        open.total = open.total.saturating_sub(1);
        match open.by_neighbour.get_mut(&self.neighbour) {
            Some(count) if 1 < *count => *count -= 1,
            Some(_) | None => {
                open.by_neighbour.remove(&self.neighbour);
            }
        }
    }
}

/// Whom an address counts for: an IPv6 host owns its whole /64 and could use a new one each time.
fn neighbour(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK_64)),
    }
}

const NETWORK_64: u128 = u128::MAX << 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(total: usize, per_neighbour: usize) -> Arc<Gate> {
        Arc::new(Gate::new(&Limits {
            connections: total,
            connections_per_neighbour: per_neighbour,
            ..Limits::standard()
        }))
    }

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_neighbour_cannot_take_the_place_of_others() {
        let gate = gate(3, 2);
        let first = gate.enter(at("192.0.2.1")).unwrap();
        let _second = gate.enter(at("::ffff:192.0.2.1")).unwrap();
        assert!(gate.enter(at("192.0.2.1")).is_none());
        let _other = gate.enter(at("192.0.2.2")).unwrap();
        assert!(gate.enter(at("192.0.2.3")).is_none(), "the house is full");
        drop(first);
        assert!(gate.enter(at("192.0.2.1")).is_some());
    }

    #[test]
    fn a_network_of_ipv6_is_one_neighbour() {
        let gate = gate(9, 1);
        let pass = gate.enter(at("2001:db8::1")).unwrap();
        assert!(gate.enter(at("2001:db8::ffff")).is_none());
        assert!(gate.enter(at("2001:db8:0:1::1")).is_some());
        drop(pass);
        assert!(gate.open().by_neighbour.is_empty());
    }
}

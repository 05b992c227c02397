//! Whom a network address counts for, where only the address is known.
//!
//! Promises: an IPv6 host counts as its whole /64, because it owns all of it and could come from a
//! new address each time; an IPv4 address inside IPv6 counts as itself.
//! Refuses: to prove anything: a neighbour is counted and limited, never let in.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// One IPv4 address or one IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Neighbour(IpAddr);

impl Neighbour {
    /// The neighbour that an address belongs to.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(IpAddr::V4(address)),
            IpAddr::V6(address) => {
                let network = Ipv6Addr::from_bits(address.to_bits() & NETWORK_64);
                Self(IpAddr::V6(network))
            }
        }
    }
}

/// As the ledger names him: the address, or the network with its length.
impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(network) => write!(f, "{network}/64"),
        }
    }
}

const NETWORK_64: u128 = u128::MAX << 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_neighbour() {
        let of = |address: &str| Neighbour::of(address.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_eq!(of("192.0.2.1").to_string(), "192.0.2.1");
        assert_eq!(of("2001:db8::1").to_string(), "2001:db8::/64");
    }
}

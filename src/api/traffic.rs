//! What the doors count: connections, handshakes, requests and problems.
//!
//! Promises: [`crate::metric`]; counting never waits.
//! Refuses: to tell callers apart.

use crate::metric::table::{
    CONNECTIONS_OPEN, CONNECTIONS_REFUSED, HANDSHAKES_FAILED, PROBLEMS, REQUESTS,
};
use crate::metric::{Counter, Gauge, Many, Sheet};
use crate::wire::problem::ProblemKind;

/// The instruments of all doors of one server; a clone counts into the same.
#[derive(Clone, Debug)]
pub struct Traffic {
    open: Many<Gauge>,
    refused: Many<Counter>,
    handshakes: Many<Counter>,
    requests: Many<Counter>,
    problems: Many<Counter>,
}

/// One open connection; counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Open {
    traffic: Traffic,
    door: &'static str,
}

/// Why a handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandshakeFault {
    /// The certificate is no SVID.
    NoSvid,
    /// It took too long.
    Slow,
    /// TLS says no, or the peer went away.
    Tls,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            open: CONNECTIONS_OPEN.gauges(),
            refused: CONNECTIONS_REFUSED.counters(),
            handshakes: HANDSHAKES_FAILED.counters(),
            requests: REQUESTS.counters(),
            problems: PROBLEMS.counters(),
        }
    }
}

impl Traffic {
    /// Puts all of it on a sheet.
    pub fn show_metrics(&self, sheet: &mut Sheet) {
        self.open.on(sheet);
        self.refused.on(sheet);
        self.handshakes.on(sheet);
        self.requests.on(sheet);
        self.problems.on(sheet);
    }

    pub(crate) fn connection(&self, door: &'static str) -> Open {
        self.open.shift(door, 1);
        Open {
            traffic: self.clone(),
            door,
        }
    }

    pub(crate) fn refused(&self, door: &'static str) {
        self.refused.add(door);
    }

    pub(crate) fn handshake_failed(&self, why: HandshakeFault) {
        self.handshakes.add(match why {
            HandshakeFault::NoSvid => "no_svid",
            HandshakeFault::Slow => "slow",
            HandshakeFault::Tls => "tls",
        });
    }

    pub(crate) fn answered(&self, status: u16, problem: Option<ProblemKind>) {
        self.requests.add(match status {
            ..300 => "2xx",
            300..400 => "3xx",
            400..500 => "4xx",
            500.. => "5xx",
        });
        if let Some(kind) = problem {
            self.problems.add(kind.word());
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.traffic.open.shift(self.door, -1);
    }
}

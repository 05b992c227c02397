//! The life of one connection in front of the filter `end`.
//!
//! Promises: nothing passes after notAfter in either direction, whether or not the agenda's thread
//! had its turn; a connection is cut once, by its own worker.
//! Refuses: to close while Envoy writes: who writes there (an HTTP codec in the middle of a frame)
//! does not expect it. The bytes are held back, and the worker cuts as soon as it is free.
//!
//! Envoy may come back in while it is told to close, so that state lies in cells and no borrow
//! lasts over such a call.

use std::cell::Cell;
use std::time::Duration;

use crate::abi::{Counters, Downstream, Level, Scheduler, log};
use crate::agenda::{Agenda, Cut, Key};
use crate::clock;
use crate::peer::{self, Certificate};
use crate::settings::Unreadable;

/// All connections of this process.
pub(crate) static AGENDA: Agenda<Scheduler> = Agenda::new();

/// What becomes of data, or of a connection that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// The next filter has it.
    Pass,
    /// Nobody has it.
    Stop,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Gate {
    unreadable: Unreadable,
    counters: Counters,
    state: Cell<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing is known before the TLS handshake is done.
    Handshake,
    /// It is in the agenda.
    Live(Certificate, Key),
    /// Let through without a certificate, as configured.
    Passed,
    /// Nothing passes any more.
    Cut,
}

impl Gate {
    /// A connection that nothing is known of.
    pub(crate) const fn new(unreadable: Unreadable, counters: Counters) -> Self {
        Self {
            unreadable,
            counters,
            state: Cell::new(State::Handshake),
        }
    }

    /// The connection was accepted.
    pub(crate) fn accepted(&self, downstream: &Downstream) -> Flow {
        if downstream.is_tls() {
            Flow::Pass
        } else {
            self.unknown(downstream, "there is no TLS")
        }
    }

    /// The TLS handshake is done: Envoy knows the peer.
    ///
    /// Closing here is safe, and needed: a greeting of the service behind may already wait for the
    /// handshake, and would go out next.
    pub(crate) fn shook_hands(&self, downstream: &Downstream) -> Flow {
        if self.state.get() != State::Handshake {
            return self.flow();
        }
        let Some(told) = downstream.filter_state(peer::KEY) else {
            let why = "no filter state `protem.peer`: `set_filter_state` must stand before";
            return self.unknown(downstream, why);
        };
        let Some(certificate) = Certificate::parse(&told) else {
            return self.unknown(
                downstream,
                "there is no client certificate that can be read",
            );
        };
        let entered = if is_ended(&certificate) {
            Err(Cut::Ended)
        } else {
            AGENDA.enter(certificate, downstream.scheduler())
        };
        match entered {
            Ok(key) => {
                self.state.set(State::Live(certificate, key));
                Flow::Pass
            }
            Err(cut) => {
                self.cut(downstream, cut, &words(&certificate, cut));
                Flow::Stop
            }
        }
    }

    /// The peer sent something.
    pub(crate) fn reads(&self, downstream: &Downstream) -> Flow {
        if self.state.get() == State::Handshake && self.shook_hands(downstream) == Flow::Stop {
            return Flow::Stop;
        }
        self.flow()
    }

    /// Something goes to the peer. Before the handshake is done Envoy itself holds it back.
    pub(crate) fn writes(&self) -> Flow {
        self.flow()
    }

    /// The agenda woke this connection.
    pub(crate) fn is_due(&self, downstream: &Downstream, cut: Cut) {
        if let State::Live(certificate, _) = self.state.get() {
            self.cut(downstream, cut, &words(&certificate, cut));
        }
    }

    /// The connection is closed, whoever did it.
    pub(crate) fn closed(&self) {
        if let State::Live(_, key) = self.state.replace(State::Cut) {
            AGENDA.leave(key);
        }
    }

    /// Something here went wrong in a way that nobody foresaw.
    pub(crate) fn failed(&self, downstream: &Downstream) {
        self.cut(downstream, Cut::Unreadable, "the module failed");
    }

    /// The same, while Envoy writes: its worker cuts when it is free.
    pub(crate) fn failed_to_write(&self) -> Flow {
        if let State::Live(_, key) = self.state.get() {
            AGENDA.wake(key, Cut::Unreadable);
        }
        Flow::Stop
    }

    fn flow(&self) -> Flow {
        match self.state.get() {
            State::Live(certificate, key) if is_ended(&certificate) => {
                AGENDA.wake(key, Cut::Ended);
                Flow::Stop
            }
            State::Cut => Flow::Stop,
            State::Handshake | State::Live(..) | State::Passed => Flow::Pass,
        }
    }

    fn unknown(&self, downstream: &Downstream, why: &str) -> Flow {
        match self.unreadable {
            Unreadable::Close => {
                self.cut(downstream, Cut::Unreadable, why);
                Flow::Stop
            }
            Unreadable::Pass => {
                self.state.set(State::Passed);
                Flow::Pass
            }
        }
    }

    fn cut(&self, downstream: &Downstream, cut: Cut, why: &str) {
        let before = self.state.replace(State::Cut);
        if before == State::Cut {
            return;
        }
        if let State::Live(_, key) = before {
            AGENDA.leave(key);
        }
        downstream.count(&self.counters, cut);
        let connection = downstream.id();
        log(
            Level::Info,
            &format!("protem: connection {connection} is cut: {why}"),
        );
        downstream.close(details(cut));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.closed();
    }
}

fn is_ended(certificate: &Certificate) -> bool {
    Duration::from_secs(certificate.end_s) <= clock::now()
}

fn words(certificate: &Certificate, cut: Cut) -> String {
    let Certificate { end_s, digest } = certificate;
    match cut {
        Cut::Denied => format!("certificate {digest} is denied"),
        Cut::Ended => format!("certificate {digest} ended at {end_s}"),
        Cut::Unreadable => format!("certificate {digest} cannot be read"),
    }
}

/// What an access log shows as `%CONNECTION_TERMINATION_DETAILS%`.
const fn details(cut: Cut) -> &'static str {
    match cut {
        Cut::Denied => "protem_certificate_denied",
        Cut::Ended => "protem_certificate_ended",
        Cut::Unreadable => "protem_certificate_unreadable",
    }
}

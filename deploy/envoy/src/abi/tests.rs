//! Connections through the hooks, as Envoy calls them.

use std::ffi::c_void;
use std::time::Duration;

use super::fake::Connection;
use super::*;
use crate::clock;

/// A configuration of `end`, and a connection through it.
struct House {
    config: *const c_void,
    connection: Box<Connection>,
}

impl House {
    fn new(config: &str, tls: bool, peer: Option<String>) -> Self {
        let config = configured("end", config);
        assert!(!config.is_null());
        let connection = Box::new(Connection::new(tls, peer));
        // SAFETY: the pointers are Envoy's as far as the module can tell.
        let filter = unsafe { on_new(config, connection.envoy()) };
        connection.filter.set(filter);
        Self { config, connection }
    }

    fn accept(&self) -> u32 {
        // SAFETY: as above.
        unsafe { on_new_connection(self.connection.envoy(), self.connection.filter.get()) }
    }

    fn event(&self, event: u32) {
        // SAFETY: as above.
        unsafe { on_event(self.connection.envoy(), self.connection.filter.get(), event) }
    }

    fn read(&self) -> u32 {
        // SAFETY: as above.
        unsafe {
            on_read(
                self.connection.envoy(),
                self.connection.filter.get(),
                1,
                false,
            )
        }
    }

    fn write(&self) -> u32 {
        // SAFETY: as above.
        unsafe {
            on_write(
                self.connection.envoy(),
                self.connection.filter.get(),
                1,
                false,
            )
        }
    }

    /// What woke the connection, once it did. Its worker has not had its turn yet.
    fn woken(&self) -> u64 {
        self.connection.woken.recv_timeout(PATIENCE).unwrap()
    }

    /// The worker's turn.
    fn scheduled(&self, event: u64) {
        // SAFETY: as above.
        unsafe { on_scheduled(self.connection.envoy(), self.connection.filter.get(), event) };
    }

    fn closed(&self) -> Vec<String> {
        self.connection.closed.borrow().clone()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // SAFETY: handed back once each.
        unsafe {
            on_destroy(self.connection.filter.get().cast_mut());
            on_config_destroy(self.config.cast_mut());
        }
    }
}

fn configured(filter: &str, config: &str) -> *const c_void {
    let (filter, config) = (Bytes::of(filter.as_bytes()), Bytes::of(config.as_bytes()));
    // SAFETY: as above.
    unsafe { on_config_new(std::ptr::null_mut(), filter, config) }
}

fn peer(left_s: i64, digit: char) -> String {
    let now_s = i64::try_from(clock::now().as_secs()).unwrap();
    format!("{} {}", now_s + left_s, digit.to_string().repeat(64))
}

#[test]
fn a_connection_lives_until_its_end_and_is_cut_once() {
    let house = House::new("", true, Some(peer(1, '1')));
    assert_eq!(house.accept(), STATUS_CONTINUE);
    assert_eq!(
        house.write(),
        STATUS_CONTINUE,
        "a greeting waits for the handshake"
    );
    house.event(CONNECTION_CONNECTED);
    assert_eq!(
        (house.read(), house.write()),
        (STATUS_CONTINUE, STATUS_CONTINUE)
    );
    assert_eq!(house.woken(), EVENT_ENDED);
    assert_eq!((house.read(), house.write()), (STATUS_STOP, STATUS_STOP));
    assert_eq!(
        house.closed(),
        [""; 0],
        "held back, not closed in the middle of a write"
    );
    house.scheduled(EVENT_ENDED);
    assert_eq!(house.closed(), ["protem_certificate_ended"]);
    assert_eq!((house.read(), house.write()), (STATUS_STOP, STATUS_STOP));
    assert_eq!(house.closed().len(), 1);
    assert_eq!(*house.connection.counted.borrow(), ["cut_ended".len()]);
}

#[test]
fn what_is_not_known_is_closed_before_a_byte_passes() {
    for (tls, peer) in [
        (false, None),
        (true, None),
        (true, Some("- -".to_owned())),
        (true, Some(peer(0, '2'))),
        (true, Some(peer(-100, '2'))),
    ] {
        let house = House::new("", tls, peer);
        if house.accept() == STATUS_CONTINUE {
            house.event(CONNECTION_CONNECTED);
        }
        assert_eq!((house.read(), house.write()), (STATUS_STOP, STATUS_STOP));
        assert_eq!(house.closed().len(), 1);
    }
    // Data before the event: the peer is looked at then.
    let house = House::new("unreadable=close", true, None);
    assert_eq!(
        (house.accept(), house.read()),
        (STATUS_CONTINUE, STATUS_STOP)
    );
    assert_eq!(house.closed(), ["protem_certificate_unreadable"]);
}

#[test]
fn what_is_not_known_passes_where_it_is_meant_to_but_what_ended_does_not() {
    for tls in [false, true] {
        let house = House::new("unreadable=pass", tls, None);
        assert_eq!(house.accept(), STATUS_CONTINUE);
        house.event(CONNECTION_CONNECTED);
        assert_eq!(
            (house.read(), house.write()),
            (STATUS_CONTINUE, STATUS_CONTINUE)
        );
        assert_eq!(house.closed(), [""; 0]);
    }
    let house = House::new("unreadable=pass", true, Some(peer(0, '2')));
    house.event(CONNECTION_CONNECTED);
    assert_eq!(house.closed(), ["protem_certificate_ended"]);
}

#[test]
fn a_list_cuts_a_live_connection_and_garbage_changes_no_list() {
    let bad = House::new("", true, Some(peer(100, 'b')));
    let good = House::new("", true, Some(peer(100, 'a')));
    for house in [&bad, &good] {
        house.accept();
        house.event(CONNECTION_CONNECTED);
    }
    let list = configured("deny_list", &"B".repeat(64));
    assert_eq!(bad.woken(), EVENT_DENIED);
    bad.scheduled(EVENT_DENIED);
    assert_eq!(bad.closed(), ["protem_certificate_denied"]);
    assert!(configured("deny_list", "garbage").is_null());
    assert!(configured("nothing", "").is_null());
    let again = House::new("", true, Some(peer(100, 'b')));
    again.event(CONNECTION_CONNECTED);
    assert_eq!(again.closed(), ["protem_certificate_denied"]);
    assert!(good.connection.woken.try_recv().is_err());
    // As a filter of a chain it does nothing.
    let connection = Connection::new(true, None);
    // SAFETY: as above.
    unsafe {
        let filter = on_new(list, connection.envoy());
        assert_eq!(
            on_new_connection(connection.envoy(), filter),
            STATUS_CONTINUE
        );
        assert_eq!(
            on_read(connection.envoy(), filter, 1, true),
            STATUS_CONTINUE
        );
        on_event(connection.envoy(), filter, CONNECTION_REMOTE_CLOSE);
        on_destroy(filter.cast_mut());
        on_config_destroy(list.cast_mut());
    }
}

#[test]
fn who_is_gone_is_not_woken() {
    let gone = House::new("", true, Some(peer(1, '3')));
    gone.event(CONNECTION_CONNECTED);
    gone.event(CONNECTION_REMOTE_CLOSE);
    let next = House::new("", true, Some(peer(1, '3')));
    next.event(CONNECTION_CONNECTED);
    assert_eq!(next.woken(), EVENT_ENDED);
    assert!(gone.connection.woken.try_recv().is_err());
    assert_eq!(gone.closed(), [""; 0]);
}

#[test]
fn what_panics_is_closed_and_goes_no_further() {
    let house = House::new("", true, Some(peer(100, '4')));
    let (envoy, filter) = (house.connection.envoy(), house.connection.filter.get());
    // SAFETY: as above.
    let status = unsafe { for_gate("read", envoy, filter, |_, _| panic!("on purpose")) };
    assert_eq!(status, STATUS_STOP);
    assert_eq!(house.closed(), ["protem_certificate_unreadable"]);
}

const PATIENCE: Duration = Duration::from_secs(30);

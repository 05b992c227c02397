//! Envoy's side of the interface, as far as unit tests need it.
//!
//! Promises: the functions that Envoy has, by their names, on a connection that remembers what was
//! done to it. Closing calls back into the module, as Envoy does.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::{Bytes, CONNECTION_LOCAL_CLOSE, on_event};

/// A connection, and what it has seen.
pub(super) struct Connection {
    pub(super) tls: bool,
    pub(super) peer: Option<String>,
    pub(super) filter: Cell<*const c_void>,
    pub(super) closed: RefCell<Vec<String>>,
    pub(super) counted: RefCell<Vec<usize>>,
    pub(super) woken: Receiver<u64>,
    wake: Sender<u64>,
}

impl Connection {
    pub(super) fn new(tls: bool, peer: Option<String>) -> Self {
        let (wake, woken) = channel();
        Self {
            tls,
            peer,
            filter: Cell::new(std::ptr::null()),
            closed: RefCell::default(),
            counted: RefCell::default(),
            woken,
            wake,
        }
    }

    pub(super) fn envoy(&self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// # Safety
    ///
    /// The pointer is one of [`Connection::envoy`], and the connection lives.
    unsafe fn of<'a>(envoy: *mut c_void) -> &'a Self {
        // SAFETY: as the caller says.
        unsafe { &*envoy.cast::<Self>() }
    }
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_log(_: u32, message: Bytes) {
    // SAFETY: the module's own bytes, which stand for the call.
    println!("{}", String::from_utf8_lossy(unsafe { message.read() }));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_network_filter_config_define_counter(
    _: *mut c_void,
    name: Bytes,
    id: *mut usize,
) -> u32 {
    // SAFETY: the module's own bytes and number, which stand for the call.
    unsafe { *id = name.read().len() };
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_network_filter_increment_counter(
    envoy: *mut c_void,
    id: usize,
    _: u64,
) -> u32 {
    // SAFETY: tests hand in their connections only.
    unsafe { Connection::of(envoy) }
        .counted
        .borrow_mut()
        .push(id);
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_network_filter_is_ssl(
    envoy: *mut c_void,
) -> bool {
    // SAFETY: as above.
    unsafe { Connection::of(envoy) }.tls
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_network_filter_get_connection_id(
    _: *mut c_void,
) -> u64 {
    7
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_network_get_filter_state_bytes(
    envoy: *mut c_void,
    key: Bytes,
    value: *mut Bytes,
) -> bool {
    // SAFETY: as above.
    let (connection, key) = unsafe { (Connection::of(envoy), key.read()) };
    match &connection.peer {
        Some(peer) if key == b"protem.peer" => {
            // SAFETY: the module's own place.
            unsafe { *value = Bytes::of(peer.as_bytes()) };
            true
        }
        _ => false,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_network_filter_close_with_details(
    envoy: *mut c_void,
    how: u32,
    details: Bytes,
) {
    assert_eq!(how, 3, "what is pending is dropped");
    // SAFETY: as above.
    let (connection, details) = unsafe { (Connection::of(envoy), details.read()) };
    let details = String::from_utf8(details.to_vec()).unwrap();
    connection.closed.borrow_mut().push(details);
    // SAFETY: the filter of this connection, which is destroyed by the test alone.
    unsafe { on_event(envoy, connection.filter.get(), CONNECTION_LOCAL_CLOSE) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_network_filter_scheduler_new(
    envoy: *mut c_void,
) -> *mut c_void {
    // SAFETY: as above.
    let wake = unsafe { Connection::of(envoy) }.wake.clone();
    Box::into_raw(Box::new(wake)).cast()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_network_filter_scheduler_commit(
    scheduler: *mut c_void,
    event: u64,
) {
    // SAFETY: made above, and not deleted yet.
    let wake = unsafe { &*scheduler.cast::<Sender<u64>>() };
    // Who has left does not listen.
    let _ = wake.send(event);
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_callback_network_filter_scheduler_delete(
    scheduler: *mut c_void,
) {
    // SAFETY: made above, and deleted once.
    drop(unsafe { Box::from_raw(scheduler.cast::<Sender<u64>>()) });
}

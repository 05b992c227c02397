//! Envoy's interface for modules, as Envoy 1.40 has it: what it calls here, what it can be asked.
//!
//! The only file with `unsafe`. It declares the few functions that are needed by hand, because no
//! registry has Envoy's own Rust kit for this version; names, arguments and numbers are those of
//! `source/extensions/dynamic_modules/abi/abi.h`, and `tests/it/envoy_module` holds each of them
//! against a real Envoy.
//!
//! Promises: each hook catches what panics, and then stops the data or closes the connection; a
//! pointer of Envoy's is used only while the hook that it came with runs, but for that of a
//! scheduler, which is made to be kept.
//! Refuses: to decide anything: hooks convert, call [`crate::filter`], convert.
//!
//! Three facts about Envoy stand behind every `SAFETY` below:
//!
//! 1. A pointer that Envoy hands to a hook is valid until the hook returns, and so is what it
//!    points to. All hooks of one connection run on one worker, never two at a time; they may nest:
//!    closing calls [`on_event`] before it returns. So a filter is only ever borrowed as shared.
//! 2. What [`on_config_new`] and [`on_new`] return is handed back unchanged to the hooks of that
//!    configuration or connection, and last and once to its destroy hook. Configurations are only
//!    read, from any thread.
//! 3. A scheduler may be used from every thread until it is deleted, also after its connection is
//!    gone: it then does nothing.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null};

use crate::agenda::{Cut, Wake};
use crate::filter::{AGENDA, Flow, Gate};
use crate::settings::{Settings, Unreadable};

/// What Envoy compares with its own, and warns where it differs.
const ABI_VERSION: &std::ffi::CStr = c"v0.2.0";

/// Bytes of either side; `ptr` may be null where `length` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
struct Bytes {
    ptr: *const c_char,
    length: usize,
}

unsafe extern "C" {
    fn envoy_dynamic_module_callback_log(level: u32, message: Bytes);
    fn envoy_dynamic_module_callback_network_filter_config_define_counter(
        config: *mut c_void,
        name: Bytes,
        id: *mut usize,
    ) -> u32;
    fn envoy_dynamic_module_callback_network_filter_increment_counter(
        filter: *mut c_void,
        id: usize,
        value: u64,
    ) -> u32;
    fn envoy_dynamic_module_callback_network_filter_is_ssl(filter: *mut c_void) -> bool;
    fn envoy_dynamic_module_callback_network_filter_get_connection_id(filter: *mut c_void) -> u64;
    fn envoy_dynamic_module_callback_network_get_filter_state_bytes(
        filter: *mut c_void,
        key: Bytes,
        value: *mut Bytes,
    ) -> bool;
    fn envoy_dynamic_module_callback_network_filter_close_with_details(
        filter: *mut c_void,
        how: u32,
        details: Bytes,
    );
    fn envoy_dynamic_module_callback_network_filter_scheduler_new(
        filter: *mut c_void,
    ) -> *mut c_void;
    fn envoy_dynamic_module_callback_network_filter_scheduler_commit(
        scheduler: *mut c_void,
        event: u64,
    );
    fn envoy_dynamic_module_callback_network_filter_scheduler_delete(scheduler: *mut c_void);
}

// Numbers of Envoy's enumerations.
const CONNECTION_REMOTE_CLOSE: u32 = 0;
const CONNECTION_LOCAL_CLOSE: u32 = 1;
const CONNECTION_CONNECTED: u32 = 2;
// Not `NoFlush` (1): that still writes what is pending, as far as the socket takes it (measured).
const CLOSE_ABORT: u32 = 3;
const METRIC_SUCCESS: u32 = 0;
const STATUS_CONTINUE: u32 = 0;
const STATUS_STOP: u32 = 1;

/// How loud a line of Envoy's log is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    /// Everyday.
    Info,
    /// Somebody must do something.
    Error,
}

/// Writes a line to Envoy's log, under `dynamic_modules`.
pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Info => 2,
        Level::Error => 4,
    };
    // SAFETY: Envoy copies the bytes before it returns, from whatever thread.
    unsafe { envoy_dynamic_module_callback_log(level, Bytes::of(message.as_bytes())) }
}

/// The connection that a hook was called for; never outlives the hook.
#[derive(Debug)]
pub(crate) struct Downstream(*mut c_void);

impl Downstream {
    /// As `%CONNECTION_ID%` in access logs.
    pub(crate) fn id(&self) -> u64 {
        // SAFETY: fact 1.
        unsafe { envoy_dynamic_module_callback_network_filter_get_connection_id(self.0) }
    }

    /// Whether the connection is, or is about to become, a TLS connection.
    pub(crate) fn is_tls(&self) -> bool {
        // SAFETY: fact 1.
        unsafe { envoy_dynamic_module_callback_network_filter_is_ssl(self.0) }
    }

    /// What an earlier filter wrote under a key; nothing where it is empty.
    pub(crate) fn filter_state(&self, key: &str) -> Option<Vec<u8>> {
        let mut value = Bytes::of(&[]);
        // SAFETY: fact 1; `value` lives through the call, which only writes it.
        let found = unsafe {
            envoy_dynamic_module_callback_network_get_filter_state_bytes(
                self.0,
                Bytes::of(key.as_bytes()),
                &raw mut value,
            )
        };
        // SAFETY: Envoy's own bytes, which stand until the filter state changes; they are copied.
        let text = unsafe { value.read() };
        (found && !text.is_empty()).then(|| text.to_vec())
    }

    /// Closes the connection and drops what is pending. Envoy calls [`on_event`] before this
    /// returns.
    pub(crate) fn close(&self, details: &'static str) {
        let details = Bytes::of(details.as_bytes());
        // SAFETY: fact 1; Envoy copies the details.
        unsafe {
            envoy_dynamic_module_callback_network_filter_close_with_details(
                self.0,
                CLOSE_ABORT,
                details,
            );
        }
    }

    /// Counts a cut, if its counter could be defined.
    pub(crate) fn count(&self, counters: &Counters, cut: Cut) {
        let id = match cut {
            Cut::Denied => counters.denied,
            Cut::Ended => counters.ended,
            Cut::Unreadable => counters.unreadable,
        };
        if let Some(id) = id {
            // SAFETY: fact 1; the number came from this filter's configuration.
            unsafe {
                envoy_dynamic_module_callback_network_filter_increment_counter(self.0, id, 1);
            }
        }
    }

    /// A way back to this connection.
    pub(crate) fn scheduler(&self) -> Scheduler {
        // SAFETY: fact 1.
        let made = unsafe { envoy_dynamic_module_callback_network_filter_scheduler_new(self.0) };
        Scheduler(NonNull::new(made))
    }
}

/// Wakes a connection on its own worker; see fact 3.
#[derive(Debug)]
pub(crate) struct Scheduler(Option<NonNull<c_void>>);

// SAFETY: fact 3: it is made to be used from other threads than the one that made it.
unsafe impl Send for Scheduler {}

impl Wake for Scheduler {
    fn wake(&self, cut: Cut) {
        let event = match cut {
            Cut::Denied => EVENT_DENIED,
            Cut::Ended => EVENT_ENDED,
            Cut::Unreadable => EVENT_UNREADABLE,
        };
        if let Some(scheduler) = self.0 {
            // SAFETY: fact 3; it is deleted only when this is dropped.
            unsafe {
                envoy_dynamic_module_callback_network_filter_scheduler_commit(
                    scheduler.as_ptr(),
                    event,
                );
            }
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        if let Some(scheduler) = self.0.take() {
            // SAFETY: fact 3; nobody else has this pointer.
            unsafe {
                envoy_dynamic_module_callback_network_filter_scheduler_delete(scheduler.as_ptr());
            }
        }
    }
}

const EVENT_ENDED: u64 = 1;
const EVENT_DENIED: u64 = 2;
const EVENT_UNREADABLE: u64 = 3;

/// One counter for each reason, as Envoy numbers them; nothing where Envoy defines none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    denied: Option<usize>,
    ended: Option<usize>,
    unreadable: Option<usize>,
}

impl Counters {
    fn define(config: *mut c_void) -> Self {
        let define = |name: &str| {
            let mut id = 0;
            // SAFETY: only called by `on_config_new` with the pointer it was handed (fact 1), while
            // Envoy allows definitions; `id` lives through the call, which only writes it.
            let result = unsafe {
                envoy_dynamic_module_callback_network_filter_config_define_counter(
                    config,
                    Bytes::of(name.as_bytes()),
                    &raw mut id,
                )
            };
            (result == METRIC_SUCCESS).then_some(id)
        };
        Self {
            denied: define("cut_denied"),
            ended: define("cut_ended"),
            unreadable: define("cut_unreadable"),
        }
    }
}

/// What a filter's configuration became.
enum Config {
    DenyList,
    End(Unreadable, Counters),
}

/// What stands in a connection's chain.
enum Filter {
    /// The list was brought when it was configured.
    DenyList,
    End(Gate),
}

impl Bytes {
    const fn of(bytes: &[u8]) -> Self {
        Self {
            ptr: bytes.as_ptr().cast(),
            length: bytes.len(),
        }
    }

    /// # Safety
    ///
    /// They must stand for as long as what is returned.
    unsafe fn read<'a>(self) -> &'a [u8] {
        if self.ptr.is_null() || self.length == 0 {
            return &[];
        }
        // SAFETY: not null, and the caller vouches for the rest.
        unsafe { std::slice::from_raw_parts(self.ptr.cast(), self.length) }
    }
}

/// Runs a hook; what panics is told and becomes `fallback`.
fn caught<T>(hook: &str, fallback: T, run: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        // Also this could panic, with no memory left.
        let _ = catch_unwind(|| log(Level::Error, &format!("protem: {hook} panicked")));
        fallback
    })
}

/// Runs a hook of a connection; where it panics the connection is closed.
///
/// # Safety
///
/// `filter` must be what [`on_new`] returned, and `envoy` what came with it to the hook.
unsafe fn for_gate(
    hook: &str,
    envoy: *mut c_void,
    filter: *const c_void,
    run: impl FnOnce(&Gate, &Downstream) -> Flow,
) -> u32 {
    // SAFETY: facts 1 and 2: it was a `Box<Filter>`, and nobody borrows it as unique.
    let gate = match unsafe { filter.cast::<Filter>().as_ref() } {
        Some(Filter::End(gate)) => gate,
        Some(Filter::DenyList) => return STATUS_CONTINUE,
        None => return STATUS_STOP,
    };
    let downstream = Downstream(envoy);
    let flow = caught(hook, None, || Some(run(gate, &downstream)));
    match flow {
        Some(Flow::Pass) => STATUS_CONTINUE,
        Some(Flow::Stop) => STATUS_STOP,
        None => {
            caught(hook, (), || gate.failed(&downstream));
            STATUS_STOP
        }
    }
}

#[unsafe(export_name = "envoy_dynamic_module_on_program_init")]
extern "C" fn on_program_init() -> *const c_char {
    ABI_VERSION.as_ptr()
}

/// # Safety
///
/// Called by Envoy with what its interface says.
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_config_new")]
unsafe extern "C" fn on_config_new(
    envoy: *mut c_void,
    name: Bytes,
    config: Bytes,
) -> *const c_void {
    caught("config_new", null(), || {
        // SAFETY: fact 1.
        let (name, config) = unsafe { (name.read(), config.read()) };
        match Settings::parse(name, config).and_then(|settings| configure(envoy, settings)) {
            Ok(config) => Box::into_raw(Box::new(config)).cast_const().cast(),
            Err(words) => {
                log(Level::Error, &format!("protem: refused: {words}"));
                null()
            }
        }
    })
}

fn configure(envoy: *mut c_void, settings: Settings) -> Result<Config, String> {
    let no_thread = |error| format!("no thread for the clock: {error}");
    AGENDA.start().map_err(no_thread)?;
    Ok(match settings {
        Settings::DenyList(denied) => {
            log(
                Level::Info,
                &format!("protem: {} certificates are denied", denied.len()),
            );
            AGENDA.deny(denied);
            Config::DenyList
        }
        Settings::End(unreadable) => Config::End(unreadable, Counters::define(envoy)),
    })
}

/// # Safety
///
/// As [`on_config_new`].
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_config_destroy")]
unsafe extern "C" fn on_config_destroy(config: *mut c_void) {
    caught("config_destroy", (), || {
        // SAFETY: fact 2: a `Box<Config>` of `on_config_new`, handed back for the last time.
        drop(unsafe { Box::from_raw(config.cast::<Config>()) });
    });
}

/// # Safety
///
/// As [`on_config_new`].
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_new")]
unsafe extern "C" fn on_new(config: *const c_void, _: *mut c_void) -> *const c_void {
    // Without a filter Envoy closes the connection.
    caught("new", null(), || {
        // SAFETY: fact 2.
        let filter = match unsafe { config.cast::<Config>().as_ref() } {
            Some(Config::DenyList) => Filter::DenyList,
            Some(Config::End(unreadable, counters)) => {
                Filter::End(Gate::new(*unreadable, *counters))
            }
            None => return null(),
        };
        Box::into_raw(Box::new(filter)).cast_const().cast()
    })
}

/// # Safety
///
/// As [`on_config_new`].
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_new_connection")]
unsafe extern "C" fn on_new_connection(envoy: *mut c_void, filter: *const c_void) -> u32 {
    // SAFETY: facts 1 and 2.
    unsafe { for_gate("new_connection", envoy, filter, Gate::accepted) }
}

/// # Safety
///
/// As [`on_config_new`].
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_read")]
unsafe extern "C" fn on_read(envoy: *mut c_void, filter: *const c_void, _: usize, _: bool) -> u32 {
    // SAFETY: facts 1 and 2.
    unsafe { for_gate("read", envoy, filter, Gate::reads) }
}

/// # Safety
///
/// As [`on_config_new`].
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_write")]
unsafe extern "C" fn on_write(envoy: *mut c_void, filter: *const c_void, _: usize, _: bool) -> u32 {
    // What panics here is caught here: nothing may be closed while Envoy writes.
    let run = |gate: &Gate, _: &Downstream| {
        caught("write", None, || Some(gate.writes())).unwrap_or_else(|| gate.failed_to_write())
    };
    // SAFETY: facts 1 and 2.
    unsafe { for_gate("write", envoy, filter, run) }
}

/// # Safety
///
/// As [`on_config_new`].
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_event")]
unsafe extern "C" fn on_event(envoy: *mut c_void, filter: *const c_void, event: u32) {
    let run = |gate: &Gate, downstream: &Downstream| match event {
        CONNECTION_CONNECTED => gate.shook_hands(downstream),
        CONNECTION_REMOTE_CLOSE | CONNECTION_LOCAL_CLOSE => {
            gate.closed();
            Flow::Stop
        }
        _ => Flow::Pass,
    };
    // SAFETY: facts 1 and 2.
    unsafe { for_gate("event", envoy, filter, run) };
}

/// # Safety
///
/// As [`on_config_new`].
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_scheduled")]
unsafe extern "C" fn on_scheduled(envoy: *mut c_void, filter: *const c_void, event: u64) {
    let cut = match event {
        EVENT_DENIED => Cut::Denied,
        EVENT_ENDED => Cut::Ended,
        _ => Cut::Unreadable,
    };
    let run = |gate: &Gate, downstream: &Downstream| {
        gate.is_due(downstream, cut);
        Flow::Stop
    };
    // SAFETY: facts 1 and 2.
    unsafe { for_gate("scheduled", envoy, filter, run) };
}

/// # Safety
///
/// As [`on_config_new`].
#[unsafe(export_name = "envoy_dynamic_module_on_network_filter_destroy")]
unsafe extern "C" fn on_destroy(filter: *mut c_void) {
    caught("destroy", (), || {
        // SAFETY: fact 2: a `Box<Filter>` of `on_new`, handed back for the last time.
        drop(unsafe { Box::from_raw(filter.cast::<Filter>()) });
    });
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;

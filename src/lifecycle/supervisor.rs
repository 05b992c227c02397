//! The service manager that started this process, where there is one: systemd, or what speaks its
//! datagrams (`sd_notify(3)`).
//!
//! Promises: this is the one place that knows the variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and
//! `WATCHDOG_PID`. They come from the manager and not from an operator, so they are no settings
//! and not in the configuration. Without a manager every word goes nowhere.
//! Refuses: to let a manager that does not listen stop the server.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

/// The way to the service manager.
#[derive(Debug)]
pub struct Supervisor {
    watchdog: Option<Duration>,
    ready: AtomicBool,
}

impl Supervisor {
    /// The manager of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            ready: AtomicBool::new(false),
        }
    }

    /// After how long without a sign of life the manager starts the server anew.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says that the server does its work, and what it says of itself.
    pub fn ready(&self, status: &str) {
        if self.ready.swap(true, Ordering::Relaxed) {
            tell(&[NotifyState::Status(status)]);
        } else {
            tell(&[NotifyState::Ready, NotifyState::Status(status)]);
        }
    }

    /// Says why the server does not do its work now.
    pub fn unready(&self, status: &str) {
        tell(&[NotifyState::Status(status)]);
    }

    /// Asks for `more` time to become ready: what is missing is a person's word.
    pub fn wait_for_person(&self, more: Duration) {
        if !self.ready.load(Ordering::Relaxed) {
            let usec = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
            tell(&[NotifyState::ExtendTimeoutUsec(usec)]);
        }
    }

    /// A sign of life.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// Says that the server is ending.
    pub fn stopping(&self) {
        tell(&[
            NotifyState::Stopping,
            NotifyState::Status("stopping: requests under way are answered"),
        ]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}

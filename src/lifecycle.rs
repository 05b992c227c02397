//! Start and stop: who is running, and how all are told to end.
//!
//! Promises: every task is on one tracker and holds one token; SIGTERM and SIGINT end the server
//! gracefully, a second one at once; a background task is a reconciler whose next round is the
//! retry. Signals are received from the first moment of a start: process 1 of a container has no
//! default action that would end it.
//! Refuses: tasks that nobody awaits.

mod supervisor;

use std::future::Future;
use std::io;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use crate::lifecycle::supervisor::Supervisor;

/// The running tasks of one process.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Where tasks live.
    pub tracker: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

/// SIGTERM and SIGINT, heard from the moment at which this was made.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

/// How a server came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All that was under way was carried to its end.
    Drained,
    /// A second signal, or the end of the grace, cut off what was under way.
    Cut,
}

impl StopSignals {
    /// Listens; call it before anything else is begun.
    ///
    /// # Errors
    /// When the operating system gives no signals.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Lifecycle {
    /// Runs `round` again and again, `pause` apart, until the stop.
    pub fn repeat<F, R>(&self, pause: Duration, mut round: F)
    where
        F: FnMut() -> R + Send + 'static,
        R: Future<Output = ()> + Send,
    {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(pause) => round().await,
                    () = stop.cancelled() => return,
                }
            }
        });
    }

    /// Waits for a signal or for the stop.
    pub async fn until_stop(&self, signals: &mut StopSignals) {
        tokio::select! {
            () = signals.next() => self.stop.cancel(),
            () = self.stop.cancelled() => {}
        }
    }

    /// Waits for all tasks after the stop, does the `last` thing and lets go of `rest`, but not
    /// longer than `grace`, nor past a further signal: the rest, a store, may wait for a disk, and
    /// is then left as it is.
    pub async fn drain<R: Send + 'static>(
        &self,
        signals: &mut StopSignals,
        grace: Duration,
        last: impl Future<Output = ()>,
        rest: R,
    ) -> Ending {
        self.tracker.close();
        let mut rest = Some(rest);
        let all = async {
            self.tracker.wait().await;
            last.await;
            let rest = rest.take();
            // A drop that panics has let go as well.
            let _ = tokio::task::spawn_blocking(move || drop(rest)).await;
        };
        tokio::select! {
            () = all => return Ending::Drained,
            () = tokio::time::sleep(grace) => tracing::warn!("some tasks did not end in time"),
            () = signals.next() => tracing::warn!("told to stop at once"),
        }
        std::mem::forget(rest);
        Ending::Cut
    }
}

/// How many files the process may open, after asking the system for all that it may have.
pub fn open_files() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let granted = match setrlimit(Resource::Nofile, all) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    granted.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

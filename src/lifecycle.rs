//! Start and stop: who is running, and how all are told to end.
//!
//! Promises: every task is on one tracker and holds one token; SIGTERM and SIGINT end the server
//! gracefully, a second one at once; a background task is a reconciler whose next round is the
//! retry.
//! Refuses: tasks that nobody awaits.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The running tasks of one process.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Where tasks live.
    pub tracker: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

impl Lifecycle {
    /// Listens for SIGTERM and SIGINT; call it before anybody is told that the server is there.
    ///
    /// # Errors
    /// When the operating system gives no signals.
    pub fn listen_for_signals(&self) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = stop.cancelled() => {}
            }
            stop.cancel();
        });
        Ok(())
    }

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

    /// Waits for the stop, and then for all tasks, but not longer than `grace`, nor past a second
    /// signal.
    ///
    /// # Errors
    /// When the operating system gives no signals.
    pub async fn finish(&self, grace: Duration) -> io::Result<()> {
        self.stop.cancelled().await;
        // These see only what comes from now on.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        self.tracker.close();
        tokio::select! {
            () = self.tracker.wait() => {}
            () = tokio::time::sleep(grace) => tracing::warn!("some tasks did not end in time"),
            _ = terminate.recv() => tracing::warn!("told to stop at once"),
            _ = interrupt.recv() => tracing::warn!("told to stop at once"),
        }
        Ok(())
    }
}

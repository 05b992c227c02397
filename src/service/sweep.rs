//! Ending what has run out, and finishing what was left.
//!
//! Promises: a reconciler: no input, idempotent, the next round is the retry. Clocks bind even
//! where no sweep has come by yet: a mint looks at the clock itself.
//! Refuses: to move an elevation that moved meanwhile; the next round looks again.

use crate::pki::Started;
use crate::service::{Service, ServiceError, is_stale};
use crate::time::Seconds;

impl Service {
    /// Finishes intents whose outcome could not be recorded when it was there, as on a full disk.
    /// Answers how many.
    ///
    /// # Errors
    /// When the clock is in doubt, or the store still cannot record.
    pub async fn finish_leftovers(&self) -> Result<u32, ServiceError> {
        let now = self.clock.sure()?;
        let before = now.minus(LEFT_AFTER);
        let store = self.store.as_ref();
        let left = self
            .authority
            .finish_leftovers(store, Some(before), now)
            .await?;
        if left != Started::default() {
            tracing::warn!(
                finished = left.finished,
                told = left.told,
                "intents were left over"
            );
            // What was just signed may be of an elevation that ended meanwhile.
            self.owe_denials_again();
        }
        Ok(left.finished.saturating_add(left.told))
    }

    /// Moves every elevation whose clock ran out, ends those that nobody uses, and settles what is
    /// denied. Answers how many
    /// moved.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn sweep(&self) -> Result<u32, ServiceError> {
        self.go_on_judging();
        let mut moved = 0_u32;
        loop {
            let now = self.clock.sure()?;
            let due = self.store.due_elevations(now, SWEEP_AT_ONCE).await?;
            if due.is_empty() {
                self.settle_denials(now).await?;
                let idle = self.end_idle(now).await?;
                return Ok(moved.saturating_add(idle));
            }
            for elevation in due {
                match self.run_out(elevation, now).await {
                    Ok(()) => moved = moved.saturating_add(1),
                    Err(ServiceError::Store(error)) if is_stale(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

const SWEEP_AT_ONCE: u32 = 256;
/// An intent of this age is left over: no walk takes so long between two commits.
const LEFT_AFTER: Seconds = Seconds::new(10);

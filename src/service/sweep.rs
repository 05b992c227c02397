//! Ending what has run out.
//!
//! Promises: a reconciler: no input, idempotent, the next round is the retry. Clocks bind even
//! where no sweep has come by yet: a mint looks at the clock itself.
//! Refuses: to move an elevation that moved meanwhile; the next round looks again.

use crate::service::{Service, ServiceError, is_stale};

impl Service {
    /// Moves every elevation whose clock ran out. Answers how many moved.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn sweep(&self) -> Result<u32, ServiceError> {
        let mut moved = 0_u32;
        loop {
            let now = self.clock.sure()?;
            let due = self.store.due_elevations(now, SWEEP_AT_ONCE).await?;
            if due.is_empty() {
                return Ok(moved);
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

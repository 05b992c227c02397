//! Room on the disk that is kept for outcomes, refusals and what operators do.
//!
//! Promises: new intents and new elevations are refused while less than the reserve is free, so
//! what was recorded before can still be concluded, told and revoked (assurance A20).
//! Refuses: nothing while the disk cannot say how much is free: the next commit will tell.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::statvfs;

use crate::store::StoreError;
use crate::store::sqlite::fault::cannot;

/// Whether there is room; looked at in rounds, asked for each new intent.
#[derive(Debug)]
pub(super) struct Reserve {
    folder: PathBuf,
    /// Written by [`Reserve::look`] alone.
    short: AtomicBool,
}

impl Reserve {
    /// The reserve of the disk on which a store lies.
    pub(super) fn beside(store: &Path) -> Self {
        Self {
            folder: store.parent().unwrap_or(store).to_owned(),
            short: AtomicBool::new(false),
        }
    }

    /// Looks how much is free, and says whether it is enough.
    pub(super) fn look(&self) -> Result<(), StoreError> {
        let free = statvfs(&self.folder).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let short = free.is_ok_and(|free| free < RESERVE_BYTES);
        self.short.store(short, Ordering::Relaxed);
        self.check()
    }

    /// Whether there was room at the last look.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.short.load(Ordering::Relaxed) {
            Err(cannot("record anything new")(
                "less than 32 MiB are free on its disk; free some",
            ))
        } else {
            Ok(())
        }
    }
}

/// What is kept free, in bytes: the outcomes of all that is under way, and of a day of refusals.
const RESERVE_BYTES: u64 = 32 << 20;

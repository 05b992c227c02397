//! Room on the disk that is kept for outcomes and what operators do.
//!
//! Promises: new intents, new elevations, looks into the ledger and refusals are not recorded while
//! less than the reserve is free, so what was recorded before can still be concluded, told and
//! revoked (assurance A20), however much is asked.
//! Refuses: nothing while the disk cannot say how much is free: the next commit will tell.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::statvfs;

use crate::audit::EventKind;
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

    /// Whether an event of this kind may be recorded, if need be from the reserve.
    pub(super) fn allows(&self, kind: EventKind) -> Result<(), StoreError> {
        match kind {
            // Callers cause as many of these as they like, and nothing hangs on them.
            EventKind::AuditQueried
            | EventKind::ElevationDenied
            | EventKind::ElevationUsed
            | EventKind::RequestDenied
            | EventKind::SvidDenied
            | EventKind::SvidIntent => self.check(),
            // What the authority needs for itself is little, and without it nobody can operate it.
            EventKind::AuthorityFailed
            | EventKind::AuthorityIntent
            | EventKind::AuthorityIssued
            | EventKind::ClockAccepted
            | EventKind::ElevationApproved
            | EventKind::ElevationCancelled
            | EventKind::ElevationEnded
            | EventKind::ElevationLapsed
            | EventKind::ElevationPending
            | EventKind::EntryPut
            | EventKind::EntryRemoved
            | EventKind::MintingReleased
            | EventKind::MintingStopped
            | EventKind::OperatorCreated
            | EventKind::OverflowCounted
            | EventKind::PolicyActivated
            | EventKind::ServerStarted
            | EventKind::SvidFailed
            | EventKind::SvidIssued
            | EventKind::TokenCreated
            | EventKind::TokenRemoved => Ok(()),
        }
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

/// What is kept free, in bytes: the outcomes of all that is under way, and what operators do.
const RESERVE_BYTES: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Event;
    use crate::store::Store as _;
    use crate::store::sqlite::Sqlite;
    use crate::time::Timestamp;

    #[tokio::test]
    async fn a_short_disk_records_no_queries_and_refusals_but_what_must_be() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("store.db")).unwrap();
        let at = Timestamp::from_unix_ms(1_000_000_000_000).unwrap();
        let append = |kind| store.append(Event::new(kind, at, "operator:x"));
        let flooded = [
            EventKind::AuditQueried,
            EventKind::RequestDenied,
            EventKind::SvidDenied,
        ];
        for kind in flooded {
            append(kind).await.unwrap();
        }
        store.reserve.short.store(true, Ordering::Relaxed);
        for kind in flooded {
            let refused = append(kind).await;
            assert!(
                matches!(refused, Err(StoreError::Unavailable { .. })),
                "{kind}: {refused:?}"
            );
        }
        append(EventKind::OverflowCounted).await.unwrap();
        let stop = Event::new(EventKind::MintingStopped, at, "operator:x");
        assert!(store.set_minting(true, stop, None).await.unwrap().stopped);
    }
}

//! The ledger's newest event, remembered outside the store.
//!
//! Promises: a store that is older than what this server has already answered from (an older copy
//! put in its place, assurance D14), or that went another way, is told at the start, and nothing is
//! minted from it until an operator says so (`protem minting release`, recorded with its reason).
//! Refuses: to prove anything to others: the file lies beside the store, and who restores both
//! together is not seen.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::audit::{Event, EventKind, SealedEvent};
use crate::id::EventNumber;
use crate::server::start::{StartError, write_private};
use crate::store::Store;
use crate::time::Timestamp;
use crate::x509::Fingerprint;

/// Compares the store with what was remembered of it; stops minting where it is older.
///
/// # Errors
/// When the file cannot be read, or the stop cannot be recorded.
pub(crate) async fn compare(
    store: &dyn Store,
    data: &Path,
    now: Timestamp,
) -> Result<(), StartError> {
    let path = file(data);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StartError::File(path, "read", error)),
    };
    let (number, _) = text.split_once(' ').unwrap_or_default();
    let held = match number.parse().ok().and_then(EventNumber::new) {
        Some(number) => store.event(number).await?,
        None => None,
    };
    if held.is_some_and(|event| line(&event) == text) {
        return Ok(());
    }
    let why = format!(
        "the store is not the one that this server last wrote: it has no such event {number} as \
         `{}` names; was an older copy put in its place?",
        path.display()
    );
    tracing::error!(why, "minting is stopped");
    let event = Event::new(EventKind::MintingStopped, now, "server").and("why", why);
    store.set_minting(true, event, None).await?;
    Ok(())
}

/// Remembers the newest event.
///
/// # Errors
/// When the store cannot be read, or the file cannot be written.
pub(crate) async fn remember(store: &dyn Store, data: &Path) -> Result<(), StartError> {
    let newest = match store.head().await? {
        Some(head) => store.event(head.number).await?,
        None => None,
    };
    match newest {
        Some(event) => write_private(&file(data), &line(&event)),
        None => Ok(()),
    }
}

fn line(event: &SealedEvent) -> String {
    let digest = Fingerprint::of(event.bytes().as_bytes());
    format!("{} {digest}\n", event.number())
}

fn file(data: &Path) -> PathBuf {
    data.join(HEAD_FILE)
}

/// The number and the SHA-256 of the newest event.
const HEAD_FILE: &str = "ledger.head";

//! Whether protem mints, as the wire shows it.
//!
//! Promises: since when it stands still, and why the clock is in doubt.
//! Refuses: nothing of its own.

pub(crate) mod read;
pub(crate) mod release;

use crate::store::Minting;
use crate::time::Timestamp;
use crate::wire::minting::{ClockView, MintingView};

pub(crate) fn view(minting: Minting, doubt: Option<String>) -> MintingView {
    MintingView {
        stopped: minting.stopped,
        since: minting
            .since
            .filter(|_| minting.stopped)
            .map(Timestamp::rfc3339),
        clock: ClockView {
            in_doubt: doubt.is_some(),
            why: doubt,
        },
    }
}

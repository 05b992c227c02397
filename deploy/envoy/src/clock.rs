//! The wall clock, which is what notAfter is compared with.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time since 1970. Before that no certificate had begun, and none has ended.
#[expect(
    clippy::disallowed_methods,
    reason = "the one reader of the clock in this module"
)]
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

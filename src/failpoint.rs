//! Named points between the steps of a walk, where tests stop it.
//!
//! Promises: every point has its name here and nowhere else, so a test can prove that each is hit;
//! what users run has no points at all: without the feature `fail/failpoints`, which only tests
//! turn on, [`reach`] does nothing and the environment is not read.
//! Refuses: to change what a walk does; a point fails it or ends the process, as a broken machine
//! would.

/// Between which two steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// In a copy or a new store: its pages are written, it has no name yet.
    Drafted,
    /// In a renewal: the issuer's key is on disk, nothing is recorded of it.
    RotationKeyWritten,
    /// In a renewal: the issuer's certificate is recorded, and not on disk.
    RotationRecorded,
    /// In a renewal: all is on disk, and the older issuer still signs.
    RotationWritten,
    /// In the writing thread: the acts are done, their commit is not.
    StoreActed,
    /// In the writing thread: the commit is durable, nobody has heard.
    StoreCommitted,
    /// In the act that records an intent: its token is spent.
    TokenSpent,
    /// In an issuance: the signature is durable, the caller has not heard.
    WalkConcluded,
    /// In an issuance: planned, not recorded.
    WalkPlanned,
    /// In an issuance: recorded, not signed.
    WalkRecorded,
    /// In an issuance: signed, and the signature is not recorded.
    WalkSigned,
}

/// A point at which a test stopped what was under way.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("stopped at the point `{}`", .0.name())]
pub struct Stopped(pub Point);

impl Point {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Drafted,
        Self::RotationKeyWritten,
        Self::RotationRecorded,
        Self::RotationWritten,
        Self::StoreActed,
        Self::StoreCommitted,
        Self::TokenSpent,
        Self::WalkConcluded,
        Self::WalkPlanned,
        Self::WalkRecorded,
        Self::WalkSigned,
    ];

    /// The name by which `FAILPOINTS` knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drafted => "store.drafted",
            Self::RotationKeyWritten => "rotation.key_written",
            Self::RotationRecorded => "rotation.recorded",
            Self::RotationWritten => "rotation.written",
            Self::StoreActed => "store.acted",
            Self::StoreCommitted => "store.committed",
            Self::TokenSpent => "token.spent",
            Self::WalkConcluded => "walk.concluded",
            Self::WalkPlanned => "walk.planned",
            Self::WalkRecorded => "walk.recorded",
            Self::WalkSigned => "walk.signed",
        }
    }
}

/// Goes on, unless a test says otherwise: `return` fails here, `return(abort)` ends the process
/// without a destructor.
///
/// # Errors
/// [`Stopped`], in tests only.
#[expect(
    clippy::disallowed_methods,
    reason = "as `kill -9` at this very point; only tests come here"
)]
pub fn reach(point: Point) -> Result<(), Stopped> {
    // Also keeps the argument in use where the points are compiled away.
    debug_assert!(!point.name().is_empty(), "a point has a name");
    fail::fail_point!(point.name(), |word: Option<String>| {
        if word.as_deref() == Some("abort") {
            std::process::abort();
        }
        Err(Stopped(point))
    });
    Ok(())
}

/// Takes the points that `FAILPOINTS` names into use while the answer lives; none in what users
/// run. Measurements link the points into an optimised program, so that is asked as well.
pub fn armed() -> Option<impl Drop> {
    let in_tests = fail::has_failpoints() && cfg!(debug_assertions);
    in_tests.then(fail::FailScenario::setup)
}

//! The registration entry: what is known of a workload before it calls.
//!
//! Promises: an entry that exists is within its bounds and names a legal subject. Its version
//! rises with each change, so that a permit can name the version it was decided on.
//! Refuses: subjects with reserved parts (the [`Subject`] type does), unbounded lists, lives
//! above 24 hours.

use std::fmt;
use std::str::FromStr;

use crate::id::EntryId;
use crate::identity::{Group, Selector, SpiffeId, SpiffeIdError, Subject};
use crate::time::Seconds;

/// A registered workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: EntryId,
    /// Rises by one with each change.
    pub version: u64,
    /// What was registered.
    pub terms: EntryTerms,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryTerms {
    /// The workload's SPIFFE ID; one entry for each.
    pub subject: Subject,
    /// What an agent must attest before it may obtain the SVID.
    pub selectors: Vec<Selector>,
    /// Who may obtain the SVID, besides the workload itself with a current one.
    pub obtained_by: Vec<Obtainer>,
    /// The group that answers for the workload.
    pub owner: Group,
    /// The groups that policy sees the workload in.
    pub groups: Vec<Group>,
    /// The life of its base SVID; the profile may shorten it.
    pub life: Seconds,
    /// What the Workload API tells a workload that has several SVIDs.
    pub hint: Option<String>,
}

/// Who may obtain an SVID for the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obtainer {
    /// The agent with this SPIFFE ID.
    Agent(SpiffeId),
    /// Whoever holds a join token made for the subject.
    Token,
}

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryTermsError {
    /// The hint is too long or not printable ASCII.
    #[error("hint must be 1 to {HINT_BYTES_MAX} bytes of printable ASCII")]
    Hint,
    /// A life outside one minute to a day.
    #[error("life `{0}` lies outside `1m` to `1d`")]
    Life(Seconds),
    /// Nobody could ever obtain the SVID.
    #[error("obtained_by is empty: name `token` or the SPIFFE ID of an agent")]
    NobodyObtains,
    /// Together the obtainers are longer than an event could carry beside the rest.
    #[error(
        "`obtained_by` has {0} bytes in all, more than {ENTRY_OBTAINERS_BYTES_MAX}; name fewer \
         agents, or shorter ones"
    )]
    ObtainersTooLong(usize),
    /// A list is longer than its bound.
    #[error("`{list}` has {count} items, more than {max}")]
    TooMany {
        /// Which list.
        list: &'static str,
        /// How many it has.
        count: usize,
        /// How many it may have.
        max: usize,
    },
}

impl EntryTerms {
    /// The same terms, within their bounds.
    ///
    /// # Errors
    /// The bound that is passed.
    pub fn checked(self) -> Result<Self, EntryTermsError> {
        let lists = [
            ("selectors", self.selectors.len(), ENTRY_SELECTORS_MAX),
            ("obtained_by", self.obtained_by.len(), ENTRY_OBTAINERS_MAX),
            ("groups", self.groups.len(), ENTRY_GROUPS_MAX),
        ];
        if let Some((list, count, max)) = lists.into_iter().find(|(_, count, max)| count > max) {
            return Err(EntryTermsError::TooMany { list, count, max });
        }
        if self.obtained_by.is_empty() {
            return Err(EntryTermsError::NobodyObtains);
        }
        let lengths = self.obtained_by.iter().map(|one| one.to_string().len());
        let bytes = lengths.sum();
        if ENTRY_OBTAINERS_BYTES_MAX < bytes {
            return Err(EntryTermsError::ObtainersTooLong(bytes));
        }
        if self.life < ENTRY_LIFE_MIN || ENTRY_LIFE_MAX < self.life {
            return Err(EntryTermsError::Life(self.life));
        }
        let legal = |hint: &String| {
            (1..=HINT_BYTES_MAX).contains(&hint.len())
                && hint
                    .bytes()
                    .all(|byte| byte == b' ' || byte.is_ascii_graphic())
        };
        if self.hint.as_ref().is_some_and(|hint| !legal(hint)) {
            return Err(EntryTermsError::Hint);
        }
        Ok(self)
    }
}

impl FromStr for Obtainer {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        if text == TOKEN {
            Ok(Self::Token)
        } else {
            text.parse().map(Self::Agent)
        }
    }
}

impl fmt::Display for Obtainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(id) => fmt::Display::fmt(id, f),
            Self::Token => f.write_str(TOKEN),
        }
    }
}

/// The most selectors of one entry.
pub const ENTRY_SELECTORS_MAX: usize = 32;
/// The most obtainers of one entry.
pub const ENTRY_OBTAINERS_MAX: usize = 32;
/// The most bytes of all obtainers of one entry: with everything else that an entry may say, its
/// event stays below half of what an event may have.
pub const ENTRY_OBTAINERS_BYTES_MAX: usize = 12 * 1_024;
/// The most groups of one entry.
pub const ENTRY_GROUPS_MAX: usize = 64;
/// The longest hint, in bytes.
pub const HINT_BYTES_MAX: usize = 64;
const ENTRY_LIFE_MIN: Seconds = Seconds::new(60);
/// DESIGN section 6: the longest base life is a day.
const ENTRY_LIFE_MAX: Seconds = Seconds::new(86_400);
const TOKEN: &str = "token";

//! The registration entry: what is known of a workload before it calls.
//!
//! Promises: an entry that exists is within its bounds and names a legal subject. Its version
//! rises with each change, so that a permit can name the version it was decided on.
//! Refuses: subjects with reserved parts (the [`Subject`] type does), unbounded lists, lives
//! above 24 hours.

use std::fmt;
use std::str::FromStr;

use crate::id::EntryId;
use crate::identity::{Group, Selector, SpiffeId, SpiffeIdError, Subject, TrustDomain};
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
    /// The trust domains whose bundles the workload is given beside its own.
    pub federates_with: Vec<TrustDomain>,
}

/// Who may obtain an SVID for the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obtainer {
    /// The agent with this SPIFFE ID.
    Agent(SpiffeId),
    /// Nobody here: a foreign trust domain gives the workload its base identity.
    Foreign,
    /// Whoever holds a token of this issuer (`iss`) whose claims make the subject.
    Issuer(String),
    /// Whoever holds a join token made for the subject.
    Token,
    /// Whoever holds an X.509-SVID of another authority that names the subject: of a configured
    /// foreign trust domain, or of the own one under `own_bundle`.
    X509,
}

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntryTermsError {
    /// The own trust domain is named among the others.
    #[error("`federates_with` names the own trust domain, whose bundle every workload is given")]
    FederatesWithItself,
    /// The hint is too long or not printable ASCII.
    #[error("hint must be 1 to {HINT_BYTES_MAX} bytes of printable ASCII")]
    Hint,
    /// A life outside one minute to a day.
    #[error("life `{0}` lies outside `1m` to `1d`")]
    Life(Seconds),
    /// Nobody could ever obtain the SVID.
    #[error(
        "obtained_by is empty: name `token`, `x509`, the URL of a token issuer, the SPIFFE ID of \
         an agent, or `foreign`"
    )]
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
            (
                "federates_with",
                self.federates_with.len(),
                ENTRY_FEDERATES_WITH_MAX,
            ),
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
        let own = self.subject.trust_domain();
        if self.federates_with.contains(own) {
            return Err(EntryTermsError::FederatesWithItself);
        }
        if self.hint.as_ref().is_some_and(|hint| !legal(hint)) {
            return Err(EntryTermsError::Hint);
        }
        Ok(self)
    }
}

impl Entry {
    /// Whether a current SVID obtains the next one. Not where tokens of issuers alone give them: a
    /// CI job that is over must not live on in its certificate.
    #[must_use]
    pub fn renews_itself(&self) -> bool {
        let obtainers = &self.terms.obtained_by;
        obtainers.iter().any(|one| match one {
            Obtainer::Agent(_) | Obtainer::Token | Obtainer::X509 => true,
            Obtainer::Foreign | Obtainer::Issuer(_) => false,
        })
    }
}

impl FromStr for Obtainer {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, SpiffeIdError> {
        match text {
            TOKEN => Ok(Self::Token),
            FOREIGN => Ok(Self::Foreign),
            X509 => Ok(Self::X509),
            url if url.starts_with("https://")
                && url.len() <= ISSUER_BYTES_MAX
                && url.bytes().all(|byte| byte.is_ascii_graphic()) =>
            {
                Ok(Self::Issuer(url.to_owned()))
            }
            id => id.parse().map(Self::Agent),
        }
    }
}

impl fmt::Display for Obtainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(id) => fmt::Display::fmt(id, f),
            Self::Foreign => f.write_str(FOREIGN),
            Self::Issuer(url) => f.write_str(url),
            Self::Token => f.write_str(TOKEN),
            Self::X509 => f.write_str(X509),
        }
    }
}

/// The most entries that name one agent: more than processes fit on a host.
pub const AGENT_ENTRIES_MAX: usize = 65_536;
/// The most selectors of one entry.
pub const ENTRY_SELECTORS_MAX: usize = 32;
/// The most obtainers of one entry.
pub const ENTRY_OBTAINERS_MAX: usize = 32;
/// The most bytes of all obtainers of one entry: with everything else that an entry may say, its
/// event stays below half of what an event may have.
pub const ENTRY_OBTAINERS_BYTES_MAX: usize = 12 * 1_024;
/// The most groups of one entry.
pub const ENTRY_GROUPS_MAX: usize = 64;
/// The most trust domains whose bundles go with one entry.
const ENTRY_FEDERATES_WITH_MAX: usize = 16;
/// The longest hint, in bytes.
pub const HINT_BYTES_MAX: usize = 64;
const ENTRY_LIFE_MIN: Seconds = Seconds::new(60);
/// DESIGN section 6: the longest base life is a day.
const ENTRY_LIFE_MAX: Seconds = Seconds::new(86_400);
const ISSUER_BYTES_MAX: usize = 1_024;
const FOREIGN: &str = "foreign";
const TOKEN: &str = "token";
const X509: &str = "x509";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_obtainer_prints_as_it_is_read() {
        for text in [
            "token",
            "foreign",
            "x509",
            "https://ci.example/a",
            "spiffe://td/agent",
        ] {
            assert_eq!(text.parse::<Obtainer>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "Token",
            "X509",
            "http://ci.example",
            "https://ci.example\ntoken",
        ] {
            assert!(text.parse::<Obtainer>().is_err(), "{text}");
        }
    }
}

//! The question: who asks for what. Everything in it comes from the request.
//!
//! Promises: closed; no free text, so that a verdict can be derived again after personal text
//! was erased. Whether a reason was given is a fact, the reason is not.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use crate::id::OperatorId;
use crate::identity::Subject;
use crate::scope::Scope;
use crate::time::Seconds;

/// One question to policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who asks, as the door verified it.
    pub principal: Principal,
    /// What for.
    pub act: Act,
    /// The address the caller spoke from, where there is one.
    pub source: Option<IpAddr>,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// An operator with its credential.
    Operator(OperatorId),
    /// A workload: by its SVID, or by a join token for its subject.
    Workload {
        /// The subject that its SVID or token names.
        subject: Subject,
        /// Whether it came with an elevated SVID.
        elevated: bool,
    },
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A scope for a subject: at the request, at a vote, at a mint.
    Elevate(ElevateAct),
    /// A base SVID for a subject.
    Issue {
        /// The subject it would name.
        subject: Subject,
    },
    /// An act of the admin plane.
    Operate(OperateVerb),
    /// Reading events: those about one subject, or all.
    ReadAudit {
        /// The subject that all events asked for are about.
        of: Option<Subject>,
    },
    /// Ending elevations.
    Revoke(RevokeAct),
}

/// What is asked about an elevation.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the request by itself"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElevateAct {
    /// Who would hold the scope.
    pub subject: Subject,
    /// The scope.
    pub scope: Scope,
    /// For how long.
    pub asked: Seconds,
    /// Whether a reason was given.
    pub has_reason: bool,
    /// The ticket, where one was named.
    pub ticket: Option<Ticket>,
    /// Whether it is for a later start; then policy is asked for that start.
    pub scheduled: bool,
    /// Whether Envoy's on-demand selector asked.
    pub on_demand: bool,
    /// Whether it is an emergency, which opens a review.
    pub break_glass: bool,
}

/// Which elevations shall end; an absent field means any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeAct {
    /// Only those of this subject.
    pub subject: Option<Subject>,
    /// Only those for this scope.
    pub scope: Option<Scope>,
}

/// The acts of the admin plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperateVerb {
    /// Saying that the server's clock is right after all.
    AcceptClock,
    /// Putting a policy bundle into force.
    ActivatePolicy,
    /// Taking or restoring a backup.
    Backup,
    /// Writing or removing registration entries.
    ChangeEntries,
    /// Asking what policy would say.
    ExplainPolicy,
    /// Making or removing join tokens.
    MakeTokens,
    /// Reading entries, tokens, elevations and policy.
    ReadState,
    /// Letting minting go on after the kill switch.
    ReleaseMinting,
    /// Making new issuers.
    RotateIssuers,
}

/// The kinds of act, as Cedar's schema names the actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// [`Act::Elevate`].
    Elevate,
    /// [`Act::Issue`].
    Issue,
    /// [`Act::Operate`].
    Operate,
    /// [`Act::ReadAudit`].
    ReadAudit,
    /// [`Act::Revoke`].
    Revoke,
}

/// A ticket's name: letters, digits and `# - . / _`, at most 64 bytes; no free text fits in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(Arc<str>);

/// The text is no ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no ticket: use letters, digits and `# - . / _`, at most 64 bytes")]
pub struct TicketError(String);

impl Act {
    /// Its kind.
    #[must_use]
    pub const fn action(&self) -> Action {
        match self {
            Self::Elevate(_) => Action::Elevate,
            Self::Issue { .. } => Action::Issue,
            Self::Operate(_) => Action::Operate,
            Self::ReadAudit { .. } => Action::ReadAudit,
            Self::Revoke(_) => Action::Revoke,
        }
    }
}

impl Ask {
    /// The subject whose registration entry the question rests on: who would hold the SVID, else
    /// the workload that asks.
    #[must_use]
    pub const fn entry_subject(&self) -> Option<&Subject> {
        match (&self.act, &self.principal) {
            (Act::Elevate(ElevateAct { subject, .. }) | Act::Issue { subject }, _)
            | (
                Act::Operate(_) | Act::ReadAudit { .. } | Act::Revoke(_),
                Principal::Workload { subject, .. },
            ) => Some(subject),
            (Act::Operate(_) | Act::ReadAudit { .. } | Act::Revoke(_), Principal::Operator(_)) => {
                None
            }
        }
    }

    /// The scope that the question is about, where it is about one.
    #[must_use]
    pub const fn scope(&self) -> Option<&Scope> {
        match &self.act {
            Act::Elevate(act) => Some(&act.scope),
            Act::Revoke(act) => act.scope.as_ref(),
            Act::Issue { .. } | Act::Operate(_) | Act::ReadAudit { .. } => None,
        }
    }

    /// Whether a permit would lead to a certificate.
    pub(crate) const fn mints(&self) -> bool {
        matches!(self.act, Act::Elevate(_) | Act::Issue { .. })
    }
}

impl Action {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Elevate,
        Self::Issue,
        Self::Operate,
        Self::ReadAudit,
        Self::Revoke,
    ];

    /// Its name in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elevate => "elevate",
            Self::Issue => "issue",
            Self::Operate => "operate",
            Self::ReadAudit => "read_audit",
            Self::Revoke => "revoke",
        }
    }
}

impl OperateVerb {
    /// Every verb.
    pub const ALL: [Self; 9] = [
        Self::AcceptClock,
        Self::ActivatePolicy,
        Self::Backup,
        Self::ChangeEntries,
        Self::ExplainPolicy,
        Self::MakeTokens,
        Self::ReadState,
        Self::ReleaseMinting,
        Self::RotateIssuers,
    ];

    /// Its name in policies: `Verb::"accept_clock"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AcceptClock => "accept_clock",
            Self::ActivatePolicy => "activate_policy",
            Self::Backup => "backup",
            Self::ChangeEntries => "change_entries",
            Self::ExplainPolicy => "explain_policy",
            Self::MakeTokens => "make_tokens",
            Self::ReadState => "read_state",
            Self::ReleaseMinting => "release_minting",
            Self::RotateIssuers => "rotate_issuers",
        }
    }
}

impl Ticket {
    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"#-./_".contains(&b);
        if (1..=TICKET_BYTES_MAX).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.into()))
        } else {
            let shown = text.chars().take(TICKET_BYTES_MAX);
            Err(TicketError(shown.flat_map(char::escape_default).collect()))
        }
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(id) => write!(f, "{id}"),
            Self::Workload { subject, .. } => write!(f, "{subject}"),
        }
    }
}

/// The longest ticket, in bytes.
pub const TICKET_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_has_no_room_for_free_text() {
        assert_eq!(
            "OPS-12/a#3".parse::<Ticket>().unwrap().as_str(),
            "OPS-12/a#3"
        );
        for text in ["", "a b", "a\n", "ä", &"a".repeat(65)] {
            assert!(text.parse::<Ticket>().is_err(), "{text}");
        }
    }
}

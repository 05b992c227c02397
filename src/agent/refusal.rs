//! Why a local caller gets nothing, as a gRPC status.
//!
//! Promises: the one place that chooses codes for the sockets of the Workload API and of
//! [`crate::proto::agent`]; the codes are those of the SPIFFE Workload Endpoint, section 6, so that
//! a client knows whether to come back. Every text says what to do.
//! Refuses: inner causes. Why an attestation failed is in the agent's log, not in the answer.

use std::collections::BTreeSet;
use std::fmt;

use tonic::{Code, Status};

use crate::client::ClientError;
use crate::identity::{Selector, SpiffeIdError};
use crate::scope::ScopeError;
use crate::wire::problem::ProblemKind;

/// Why a local caller gets nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// More calls at once than one process, or all together, may have.
    #[error("too many calls of this kind at once: wait for one to end, then ask again")]
    Busy,
    /// The agent stops.
    #[error("the agent is ending: come back when it runs again")]
    Ending,
    /// The header that a server-side request forgery cannot set (SPIFFE Workload Endpoint 3).
    #[error(
        "security header missing from request: send the metadata `workload.spiffe.io: true`, \
         exactly once"
    )]
    Header,
    /// The profile is not offered.
    #[error(
        "the JWT-SVID profile is not offered here: this agent gives X.509-SVIDs \
         (`FetchX509SVID`, `FetchX509Bundles`)"
    )]
    JwtProfile,
    /// The default SVID of the caller is not there.
    #[error("the default SVID is not minted yet: come back in a moment")]
    Minting,
    /// No registration entry fits. The first three words are what clients look for.
    #[error(
        "no identity issued: no registration entry that names this agent has selectors that fit \
         the calling process; it shows {0}"
    )]
    NoIdentity(Shows),
    /// Who calls could not be told.
    #[error("workload attestation failed: the agent's log says why")]
    NotAttested,
    /// Not told yet what there is.
    #[error(
        "the agent has not heard from its server yet: come back in a moment; \
         `protem agent status` says what it waits for"
    )]
    NotTold,
    /// An elevation of somebody else, or none.
    #[error("no elevation `{0}` of an identity of this process")]
    NoElevation(String),
    /// A subject that is not the caller's.
    #[error("`{subject}` is no identity of this process: name one of {yours}, or none")]
    NotYours {
        /// The one that was asked for.
        subject: String,
        /// All of the caller's.
        yours: String,
    },
    /// Elevations of one subject asked for, or looked at, too fast.
    #[error("too many elevations asked for: ask again in {0} s")]
    Pace(u32),
    /// No scope.
    #[error("`scope` is refused: {0}")]
    Scope(ScopeError),
    /// What the server said.
    #[error("{}", short(.0))]
    Server(Box<ClientError>),
    /// The status asked for too fast.
    #[error("the status was asked for too often: ask again in {0} s")]
    StatusPace(u32),
    /// More streams than one process may have.
    #[error("too many streams of this process: close some, then ask again")]
    Streams,
    /// No subject.
    #[error("`subject` is refused: {0}")]
    Subject(SpiffeIdError),
}

/// What a caller shows, for himself: he may know it, and whoever registers him must.
#[derive(Debug, Default)]
pub(crate) struct Shows(String);

impl Shows {
    /// Of these selectors the first few.
    pub(crate) fn of(selectors: &BTreeSet<Selector>) -> Self {
        let shown = selectors.iter().take(SHOWN_MAX).map(Selector::as_str);
        let more = (SHOWN_MAX < selectors.len()).then_some("...");
        Self(shown.chain(more).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Shows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "nothing"
        } else {
            &self.0
        })
    }
}

impl Refusal {
    /// One word for logs and metrics: without what the caller shows or says.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Ending => "ending",
            Self::Header => "header",
            Self::JwtProfile => "jwt_profile",
            Self::Minting => "minting",
            Self::NoElevation(_) => "no_elevation",
            Self::NoIdentity(_) => "no_identity",
            Self::NotAttested => "not_attested",
            Self::NotTold => "not_told",
            Self::NotYours { .. } => "not_yours",
            Self::Pace(_) | Self::StatusPace(_) => "pace",
            Self::Scope(_) => "scope",
            Self::Server(_) => "server",
            Self::Streams => "streams",
            Self::Subject(_) => "subject",
        }
    }

    const fn code(&self) -> Code {
        match self {
            Self::Header | Self::Scope(_) | Self::Subject(_) => Code::InvalidArgument,
            Self::JwtProfile => Code::Unimplemented,
            Self::NoElevation(_) => Code::NotFound,
            Self::NoIdentity(_) | Self::NotYours { .. } => Code::PermissionDenied,
            Self::Pace(_) | Self::StatusPace(_) => Code::ResourceExhausted,
            Self::Busy
            | Self::Ending
            | Self::Minting
            | Self::NotAttested
            | Self::NotTold
            | Self::Streams => Code::Unavailable,
            Self::Server(_) => Code::Unknown,
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Server(error) => code_of(error),
            _ => refusal.code(),
        };
        Self::new(code, refusal.to_string())
    }
}

/// A failure at the server, as the local caller should take it: what concerns the agent and not him
/// is unavailable to him.
fn code_of(error: &ClientError) -> Code {
    match error.problem() {
        Some(ProblemKind::Denied | ProblemKind::Forbidden) => Code::PermissionDenied,
        Some(ProblemKind::Malformed | ProblemKind::TooLarge | ProblemKind::Unprocessable) => {
            Code::InvalidArgument
        }
        Some(ProblemKind::Conflict) => Code::FailedPrecondition,
        Some(ProblemKind::NotFound) => Code::NotFound,
        Some(ProblemKind::RateLimited) => Code::ResourceExhausted,
        Some(
            ProblemKind::ClockInDoubt
            | ProblemKind::HeadTooLarge
            | ProblemKind::Internal
            | ProblemKind::LengthRequired
            | ProblemKind::MethodNotAllowed
            | ProblemKind::MintingStopped
            | ProblemKind::NotAcceptable
            | ProblemKind::Timeout
            | ProblemKind::Unauthenticated
            | ProblemKind::Unavailable
            | ProblemKind::UnsupportedMediaType,
        )
        | None => Code::Unavailable,
    }
}

/// The server's words, not longer than what every client takes in a trailer.
fn short(error: &ClientError) -> String {
    let mut text = error.to_string();
    if TEXT_BYTES_MAX < text.len() {
        let end = (0..=TEXT_BYTES_MAX)
            .rev()
            .find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or_default());
    }
    text
}

/// Percent-encoded it may grow threefold; gRPC clients take 8 KiB of metadata.
const TEXT_BYTES_MAX: usize = 2 * 1024;
/// With the longest selectors not longer than that.
const SHOWN_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::problem::ProblemView;

    fn problem(kind: ProblemKind, detail: &str) -> Refusal {
        Refusal::Server(Box::new(ClientError::Problem(Box::new(ProblemView {
            kind: kind.to_string(),
            title: String::new(),
            status: 400,
            detail: detail.to_owned(),
            code: "word".to_owned(),
            next: None,
            retry_after_s: None,
            instance: None,
            elevation: None,
            verdict: None,
        }))))
    }

    #[test]
    fn a_caller_without_an_entry_is_told_what_he_shows() {
        let shows = ["unix:gid:7", "unix:uid:7"].map(|one| one.parse().unwrap());
        let status = Status::from(Refusal::NoIdentity(Shows::of(&shows.into())));
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(
            status.message(),
            "no identity issued: no registration entry that names this agent has selectors that \
             fit the calling process; it shows unix:gid:7 unix:uid:7"
        );
        assert_eq!(Shows::default().to_string(), "nothing");
    }

    #[test]
    fn codes_and_texts_are_as_written_down() {
        let table = [
            (
                Refusal::Header,
                "InvalidArgument: security header missing from request: send the metadata \
                 `workload.spiffe.io: true`, exactly once",
            ),
            (
                Refusal::JwtProfile,
                "Unimplemented: the JWT-SVID profile is not offered here: this agent gives \
                 X.509-SVIDs (`FetchX509SVID`, `FetchX509Bundles`)",
            ),
            (
                Refusal::NotTold,
                "Unavailable: the agent has not heard from its server yet: come back in a moment; \
                 `protem agent status` says what it waits for",
            ),
            (
                Refusal::Minting,
                "Unavailable: the default SVID is not minted yet: come back in a moment",
            ),
            (
                Refusal::NotAttested,
                "Unavailable: workload attestation failed: the agent's log says why",
            ),
            (
                Refusal::Ending,
                "Unavailable: the agent is ending: come back when it runs again",
            ),
            (
                Refusal::Streams,
                "Unavailable: too many streams of this process: close some, then ask again",
            ),
            (
                Refusal::Busy,
                "Unavailable: too many calls of this kind at once: wait for one to end, then ask \
                 again",
            ),
        ];
        for (refusal, told) in table {
            says(refusal, told);
        }
    }

    #[test]
    fn so_are_those_of_elevations_and_the_status() {
        let table = [
            (
                Refusal::Pace(7),
                "ResourceExhausted: too many elevations asked for: ask again in 7 s",
            ),
            (
                Refusal::Scope(ScopeError::Empty),
                "InvalidArgument: `scope` is refused: scope is empty",
            ),
            (
                Refusal::NotYours {
                    subject: "spiffe://td/b".to_owned(),
                    yours: "spiffe://td/a".to_owned(),
                },
                "PermissionDenied: `spiffe://td/b` is no identity of this process: name one of \
                 spiffe://td/a, or none",
            ),
            (
                Refusal::NoElevation("el-1".to_owned()),
                "NotFound: no elevation `el-1` of an identity of this process",
            ),
            (
                problem(ProblemKind::Denied, "not on weekends"),
                "PermissionDenied: not on weekends (word)",
            ),
            (
                Refusal::StatusPace(1),
                "ResourceExhausted: the status was asked for too often: ask again in 1 s",
            ),
        ];
        for (refusal, told) in table {
            says(refusal, told);
        }
    }

    #[track_caller]
    fn says(refusal: Refusal, told: &str) {
        let status = Status::from(refusal);
        assert_eq!(format!("{:?}: {}", status.code(), status.message()), told);
    }

    #[test]
    fn a_problem_of_the_server_keeps_its_meaning() {
        for (kind, code) in [
            (ProblemKind::Forbidden, Code::PermissionDenied),
            (ProblemKind::Unprocessable, Code::InvalidArgument),
            (ProblemKind::Conflict, Code::FailedPrecondition),
            (ProblemKind::RateLimited, Code::ResourceExhausted),
            (ProblemKind::MintingStopped, Code::Unavailable),
            (ProblemKind::Unauthenticated, Code::Unavailable),
        ] {
            assert_eq!(Status::from(problem(kind, "x")).code(), code, "{kind}");
        }
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let status = Status::from(problem(ProblemKind::Denied, &"ä".repeat(4_000)));
        assert_eq!(status.message(), "ä".repeat(TEXT_BYTES_MAX / 2));
    }
}

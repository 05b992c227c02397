//! Why a call gave no answer, in words for the person who made it.
//!
//! Promises: a problem document keeps what the server wrote: its detail, its code and what to do
//! next. Whether a repetition is safe is decided here, in one place.
//! Refuses: nothing; texts of the server are data, cleaned where they are shown.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::client::{MintedError, SecretFileError, SvidFolderError};
use crate::wire::problem::{ProblemKind, ProblemView};
use crate::x509::CertificateError;

/// Why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection ended before the answer did.
    #[error("the connection to {server} broke before the answer was whole")]
    Broken {
        /// Whom it was made to.
        server: String,
        /// What the connection says.
        source: hyper::Error,
    },
    /// The file of roots is not to be read.
    #[error("cannot read the bundle `{}`", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// The roots are no certificates.
    #[error("the bundle {from} is no list of certificates")]
    BundleContent {
        /// A file, or the server.
        from: String,
        /// What is wrong.
        source: CertificateError,
    },
    /// Neither side could agree on TLS, or the server is not the one asked for.
    #[error(
        "no trusted connection to {server}: its certificate must stand under the bundle \
         and name that host"
    )]
    Handshake {
        /// Whom it was made to.
        server: String,
        /// What TLS says.
        source: io::Error,
    },
    /// The SVID in the answer is not the one asked for.
    #[error("the server answered with an SVID that is not usable")]
    Minted(#[from] MintedError),
    /// The server said no.
    #[error("{}", ProblemText(.0))]
    Problem(Box<ProblemView>),
    /// The file of a bearer secret.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// The folder of the caller's own SVID.
    #[error(transparent)]
    Svid(#[from] SvidFolderError),
    /// No answer in time.
    #[error("{server} did not answer within {} s", after.as_secs())]
    TimedOut {
        /// Whom it was made to.
        server: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// TLS cannot be set up with the given files.
    #[error("the bundle or the SVID cannot be used for TLS")]
    Tls(#[from] rustls::Error),
    /// More than is read.
    #[error("the answer of {server} is longer than {bytes_max} bytes")]
    TooLarge {
        /// Who answered.
        server: String,
        /// The bound.
        bytes_max: usize,
    },
    /// Nobody listens there.
    #[error("cannot reach {server}")]
    Unreachable {
        /// Whom it was made to.
        server: String,
        /// What the system says.
        source: io::Error,
    },
    /// A stream was not opened, or ended, and the server did not say why.
    #[error("no stream from {server}")]
    NoStream {
        /// Whom it was asked of.
        server: String,
        /// What gRPC says.
        source: Box<tonic::Status>,
    },
    /// No answer of protem.
    #[error("{server} answered with status {status} and something that protem does not write")]
    NotUnderstood {
        /// Who answered.
        server: String,
        /// The HTTP status.
        status: u16,
    },
    /// The receiver of a stream failed.
    #[error("cannot write what was received")]
    Sink(#[source] io::Error),
}

impl ClientError {
    /// The kind of the problem, where the server wrote one.
    #[must_use]
    pub fn problem(&self) -> Option<ProblemKind> {
        match self {
            Self::Problem(view) => view.kind.parse().ok(),
            Self::Broken { .. }
            | Self::Bundle { .. }
            | Self::BundleContent { .. }
            | Self::Handshake { .. }
            | Self::Minted(_)
            | Self::NoStream { .. }
            | Self::NotUnderstood { .. }
            | Self::Secret(_)
            | Self::Sink(_)
            | Self::Svid(_)
            | Self::TimedOut { .. }
            | Self::Tls(_)
            | Self::TooLarge { .. }
            | Self::Unreachable { .. } => None,
        }
    }

    /// Whether asking the same again gives the same: the server said no for good, or something on
    /// this side is wrong.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Broken { .. }
            | Self::Minted(_)
            | Self::NoStream { .. }
            | Self::NotUnderstood { .. }
            | Self::TimedOut { .. }
            | Self::TooLarge { .. }
            | Self::Unreachable { .. } => false,
            Self::Bundle { .. }
            | Self::BundleContent { .. }
            | Self::Handshake { .. }
            | Self::Secret(_)
            | Self::Sink(_)
            | Self::Svid(_)
            | Self::Tls(_) => true,
            Self::Problem(_) => self.problem().is_some_and(is_final),
        }
    }

    /// Whether the server was not reached, so that it cannot have acted.
    #[must_use]
    pub const fn is_before_sending(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// How long the server asks to wait before the same call, where it says so.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let Self::Problem(view) = self else {
            return None;
        };
        view.retry_after_s
            .map(|wait| Duration::from_secs(u64::from(wait)))
    }

    /// Whether the same call may fare better in a moment, where it is safe to repeat.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Unreachable { .. } => true,
            Self::Problem(_) => matches!(
                self.problem(),
                Some(ProblemKind::Internal | ProblemKind::Unavailable)
            ),
            Self::Bundle { .. }
            | Self::BundleContent { .. }
            | Self::Handshake { .. }
            | Self::Minted(_)
            | Self::NoStream { .. }
            | Self::NotUnderstood { .. }
            | Self::Secret(_)
            | Self::Sink(_)
            | Self::Svid(_)
            | Self::TimedOut { .. }
            | Self::Tls(_)
            | Self::TooLarge { .. } => false,
        }
    }
}

const fn is_final(kind: ProblemKind) -> bool {
    match kind {
        ProblemKind::ClockInDoubt
        | ProblemKind::Conflict
        | ProblemKind::Internal
        | ProblemKind::MintingStopped
        | ProblemKind::RateLimited
        | ProblemKind::Timeout
        | ProblemKind::Unavailable => false,
        ProblemKind::Denied
        | ProblemKind::Forbidden
        | ProblemKind::HeadTooLarge
        | ProblemKind::LengthRequired
        | ProblemKind::Malformed
        | ProblemKind::MethodNotAllowed
        | ProblemKind::NotAcceptable
        | ProblemKind::NotFound
        | ProblemKind::TooLarge
        | ProblemKind::Unauthenticated
        | ProblemKind::Unprocessable
        | ProblemKind::UnsupportedMediaType => true,
    }
}

/// A text of the server on one line, so that it cannot pass for lines of ours.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

struct ProblemText<'a>(&'a ProblemView);

impl fmt::Display for ProblemText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let view = self.0;
        write!(f, "{} ({})", OneLine(&view.detail), OneLine(&view.code))?;
        if let Some(verdict) = &view.verdict {
            let said_already = verdict.reason.as_ref() == Some(&view.detail);
            if let Some(reason) = verdict.reason.as_ref().filter(|_| !said_already) {
                write!(f, "\n  policy says: {}", OneLine(reason))?;
            }
            if !verdict.policies.is_empty() {
                write!(
                    f,
                    "\n  decided by: {}",
                    OneLine(&verdict.policies.join(", "))
                )?;
            }
        }
        if let Some(elevation) = &view.elevation {
            write!(f, "\n  recorded as: {}", OneLine(elevation))?;
        }
        if let Some(next) = &view.next {
            write!(f, "\n  next: {}", OneLine(next))?;
        }
        if let Some(instance) = &view.instance {
            write!(f, "\n  in the server's log: {}", OneLine(instance))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::verdict::VerdictView;

    fn problem(kind: ProblemKind) -> ClientError {
        ClientError::Problem(Box::new(ProblemView {
            kind: kind.to_string(),
            title: "Denied".to_owned(),
            status: 403,
            detail: "the scope is\nnot for you".to_owned(),
            code: "denied".to_owned(),
            next: Some("ask the owner `data`".to_owned()),
            retry_after_s: None,
            instance: None,
            elevation: Some("el-1".to_owned()),
            verdict: Some(VerdictView {
                decision: "deny".to_owned(),
                policies: vec!["elevate#3".to_owned()],
                digest: "d".to_owned(),
                version: 1,
                reason: Some("not on weekends".to_owned()),
            }),
        }))
    }

    #[test]
    fn a_problem_prints_detail_code_and_what_to_do() {
        assert_eq!(
            problem(ProblemKind::Denied).to_string(),
            "the scope is not for you (denied)\n  policy says: not on weekends\n  \
             decided by: elevate#3\n  recorded as: el-1\n  next: ask the owner `data`"
        );
    }

    #[test]
    fn no_kind_is_both_final_and_passing() {
        for kind in ProblemKind::ALL {
            let error = problem(kind);
            assert_eq!(error.problem(), Some(kind));
            assert!(!(error.is_final() && error.is_passing()), "{kind}");
        }
        assert!(problem(ProblemKind::Denied).is_final());
        assert!(problem(ProblemKind::Unavailable).is_passing());
    }
}

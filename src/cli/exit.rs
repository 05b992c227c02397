//! How a command ends: the exit codes, and the words of a failure.
//!
//! Promises: every failure has one code of a short, documented list; the words name the failure
//! first and its causes after it. With `--json` they are one JSON object on standard error.
//! Refuses: to call a refusal of the server a fault of the command.

use std::process::ExitCode;

use serde_json::json;

use crate::cli::screen::{Screen, ScreenClosed};
use crate::client::probe::ProbeError;
use crate::client::{AgentSocketError, ClientError, SvidFolderError};
use crate::wire::problem::ProblemKind;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Policy, the server's doors, or the state of the elevation, said no.
    Denied,
    /// As asked.
    Done,
    /// Anything that has no code of its own.
    Failed,
    /// Nobody answered.
    Unreachable,
    /// The command line, or the files that it names, are wrong.
    Usage,
    /// People have not decided yet, or the given time is over.
    Waiting,
}

/// The command line is wrong in a way that only the command can see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

impl Exit {
    /// What the process returns.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }

    const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::Waiting => 4,
            Self::Unreachable => 5,
        }
    }

    /// What a failure amounts to.
    fn of(error: &anyhow::Error) -> Self {
        if error.is::<UsageError>() {
            return Self::Usage;
        }
        if error.is::<SvidFolderError>() {
            return Self::Usage;
        }
        if let Some(error) = error.downcast_ref::<ProbeError>() {
            return Self::of_probe(error);
        }
        if let Some(error) = error.downcast_ref::<AgentSocketError>() {
            return Self::of_agent(error);
        }
        error
            .downcast_ref::<ClientError>()
            .map_or(Self::Failed, Self::of_client)
    }

    fn of_probe(error: &ProbeError) -> Self {
        match error {
            ProbeError::Silent(_) | ProbeError::Unreachable(..) => Self::Unreachable,
            ProbeError::NoLife | ProbeError::Tls(_) => Self::Usage,
        }
    }

    fn of_agent(error: &AgentSocketError) -> Self {
        if error.is_unreachable() {
            Self::Unreachable
        } else if error.is_no_identity() {
            Self::Denied
        } else if error.is_wrong() {
            Self::Usage
        } else {
            Self::Failed
        }
    }

    fn of_client(error: &ClientError) -> Self {
        match error {
            ClientError::Broken { .. }
            | ClientError::Handshake { .. }
            | ClientError::NoStream { .. }
            | ClientError::NotUnderstood { .. }
            | ClientError::TimedOut { .. }
            | ClientError::Unreachable { .. } => Self::Unreachable,
            ClientError::Problem(_) => match error.problem() {
                Some(
                    ProblemKind::Denied | ProblemKind::Forbidden | ProblemKind::Unauthenticated,
                ) => Self::Denied,
                Some(ProblemKind::Conflict) if holds_nothing(error) => Self::Denied,
                _ => Self::Failed,
            },
            ClientError::Bundle { .. }
            | ClientError::BundleContent { .. }
            | ClientError::Secret(_)
            | ClientError::Svid(_)
            | ClientError::Tls(_) => Self::Usage,
            ClientError::Minted(_) | ClientError::Sink(_) | ClientError::TooLarge { .. } => {
                Self::Failed
            }
        }
    }
}

/// Whether the elevation that would have allowed it is over, or was never opened.
fn holds_nothing(error: &ClientError) -> bool {
    let ClientError::Problem(view) = error else {
        return false;
    };
    matches!(view.code.as_str(), "elevation_state" | "no_elevation")
}

/// Tells a failure and gives its code.
pub(crate) fn report(error: &anyhow::Error, screen: &mut Screen) -> Exit {
    if error.is::<ScreenClosed>() {
        // Whoever read our output has read enough, as `| head` does.
        return Exit::Done;
    }
    let exit = Exit::of(error);
    if screen.is_json() {
        let problem = match error.downcast_ref::<ClientError>() {
            Some(ClientError::Problem(view)) => json!(view),
            _ => json!({ "detail": words(error) }),
        };
        screen.say_json(&json!({ "exit": exit.number(), "problem": problem }));
    } else {
        screen.say(&format!("protem: {}", words(error)));
    }
    exit
}

/// A failure with its causes, each once.
pub(crate) fn words(error: &anyhow::Error) -> String {
    let mut words: Vec<String> = Vec::new();
    for cause in error.chain().map(ToString::to_string) {
        if !words.iter().any(|said| said.contains(&cause)) {
            words.push(cause);
        }
    }
    words.join(": ")
}

/// The last part of `protem --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  as asked
  1  failed
  2  the command line, or a file that it names, is wrong
  3  denied by policy, not let in, or not elevated (any more)
  4  still waiting for people, or the given time is over
  5  the server cannot be reached, or does not prove itself

Where the server is comes from --server and --bundle, else from the files `server.url` and
`bundle.pem` of --dir. The caller proves itself with --svid, else --operator, else the file
`operator.token` of --dir, which is sent only to servers under the `bundle.pem` beside it.";

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn failures_have_their_documented_code() {
        let unreachable = ClientError::Unreachable {
            server: "https://localhost:1".to_owned(),
            source: io::Error::other("connection refused"),
        };
        let error = anyhow::Error::from(unreachable);
        assert_eq!(Exit::of(&error), Exit::Unreachable);
        assert_eq!(
            words(&error),
            "cannot reach https://localhost:1: connection refused"
        );
        let usage = anyhow::Error::from(UsageError("no".to_owned()));
        assert_eq!(Exit::of(&usage), Exit::Usage);
        assert_eq!(Exit::of(&anyhow::anyhow!("other")), Exit::Failed);
    }

    #[test]
    fn every_code_is_in_the_help() {
        for exit in [
            Exit::Denied,
            Exit::Done,
            Exit::Failed,
            Exit::Unreachable,
            Exit::Usage,
            Exit::Waiting,
        ] {
            assert!(
                HELP.contains(&format!("\n  {}  ", exit.number())),
                "{exit:?}"
            );
        }
    }
}

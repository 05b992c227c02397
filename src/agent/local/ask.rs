//! Asking the server for an elevation in the name of a local caller.
//!
//! Promises: the caller speaks for one of his own subjects only; the elevation is bound to what he
//! asked for, his process or his host, and to nothing that he could name otherwise.
//! Refuses: an elevation for many instances. Who needs that asks the server himself.

use crate::agent::holdings::{Holder, Holdings};
use crate::agent::refusal::Refusal;
use crate::client::routes;
use crate::identity::Subject;
use crate::proto::agent::{ElevateRequest, ElevateResponse};
use crate::scope::Scope;
use crate::wire::elevation::{ElevationRequest, ElevationView, Instances};

/// The subject that the caller speaks for: the one he names, or his default.
///
/// # Errors
/// [`Refusal::NoIdentity`], [`Refusal::Subject`] and [`Refusal::NotYours`].
pub(crate) fn subject_of<'a>(holdings: &'a Holdings, named: &str) -> Result<&'a Subject, Refusal> {
    let mut own = holdings
        .identities
        .iter()
        .map(|identity| &identity.entry.subject);
    let default = own.clone().next().ok_or(Refusal::NoIdentity)?;
    if named.is_empty() {
        return Ok(default);
    }
    let named: Subject = named.parse().map_err(Refusal::Subject)?;
    own.clone().find(|one| **one == named).ok_or_else(|| {
        let yours: Vec<_> = own
            .by_ref()
            .take(NAMED_MAX)
            .map(ToString::to_string)
            .collect();
        Refusal::NotYours {
            subject: named.to_string(),
            yours: yours.join(", "),
        }
    })
}

/// What is asked of the server.
pub(crate) fn request(
    asked: ElevateRequest,
    scope: &Scope,
    subject: &Subject,
    _holder: &Holder,
) -> ElevationRequest {
    let given = |text: String| (!text.is_empty()).then_some(text);
    ElevationRequest {
        scope: scope.as_str().to_owned(),
        reason: given(asked.reason),
        ticket: given(asked.ticket),
        duration: (asked.duration_s != 0).then(|| format!("{}s", asked.duration_s)),
        instances: Some(Instances::Word("one".to_owned())),
        break_glass: asked.break_glass,
        subject: Some(subject.to_string()),
        ..ElevationRequest::default()
    }
}

/// Whom an elevation serves: the calling process, or every process of the subject here.
pub(crate) fn holder(asked: &ElevateRequest, process: Holder) -> Holder {
    if asked.this_process {
        process
    } else {
        Holder::host()
    }
}

/// What the caller is told of an elevation.
pub(crate) fn answer(view: ElevationView) -> ElevateResponse {
    ElevateResponse {
        waits_for: routes(&view.waits_for),
        elevation: view.id,
        state: view.state,
        ended: view.ended.unwrap_or_default(),
        because: view.verdict.reason.unwrap_or_default(),
    }
}

const NAMED_MAX: usize = 8;

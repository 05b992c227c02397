//! Asking the server for an elevation in the name of a local caller.
//!
//! Promises: the caller speaks for one of his own subjects only; the elevation is bound to what he
//! asked for, his process or his host, and to nothing that he could name otherwise.
//! Refuses: an elevation for many instances. Who needs that asks the server himself.

use crate::agent::holdings::Holdings;
use crate::agent::refusal::{Refusal, Shows};
use crate::client::routes;
use crate::id::Holder;
use crate::identity::Subject;
use crate::proto::agent::{ElevateRequest, ElevateResponse};
use crate::scope::Scope;
use crate::time::Timestamp;
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
    let default = own
        .clone()
        .next()
        .ok_or_else(|| Refusal::NoIdentity(Shows::default()))?;
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
    holder: &Holder,
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
        holder: Some(holder.to_string()),
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
    let ends = view.ends_at.and_then(|text| text.parse().ok());
    ElevateResponse {
        waits_for: routes(&view.waits_for),
        elevation: view.id,
        state: view.state,
        ended: view.ended.unwrap_or_default(),
        because: view.verdict.reason.unwrap_or_default(),
        scope: view.scope,
        ends_ms: ends.map_or(0, Timestamp::unix_ms),
    }
}

const NAMED_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::stand::{Stand, identity};
    use crate::wire::verdict::{RouteView, VerdictView};

    #[tokio::test]
    async fn a_caller_speaks_for_his_own_subjects_the_default_first() {
        let stand = Stand::new();
        let subject = |named: &str| {
            let holdings = stand.holdings.borrow();
            let subject = subject_of(&holdings, named).map(ToString::to_string);
            subject.map_err(|refusal| refusal.to_string())
        };
        assert!(subject("").unwrap_err().starts_with("no identity issued"));
        stand.tell(|holdings| {
            holdings.identities = ["spiffe://td/b", "spiffe://td/a"]
                .map(|id| identity(id, None, None))
                .into();
        });
        assert_eq!(subject("").unwrap(), "spiffe://td/b");
        assert_eq!(subject("spiffe://td/a").unwrap(), "spiffe://td/a");
        assert_eq!(
            subject("spiffe://td/c").unwrap_err(),
            "`spiffe://td/c` is no identity of this process: name one of spiffe://td/b, \
             spiffe://td/a, or none"
        );
        assert!(
            subject("a")
                .unwrap_err()
                .starts_with("`subject` is refused")
        );
    }

    #[test]
    fn a_request_asks_for_one_instance_of_the_subject_and_leaves_out_what_is_empty() {
        let asked = ElevateRequest {
            reason: "fire".to_owned(),
            duration_s: 90,
            ..ElevateRequest::default()
        };
        let subject: Subject = "spiffe://td/a".parse().unwrap();
        let holder = holder(&asked, Holder::process(7, 1));
        assert_eq!(holder, Holder::host());
        let request = request(asked, &"db.read".parse().unwrap(), &subject, &holder);
        assert_eq!(request.scope, "db.read");
        assert_eq!(request.reason.as_deref(), Some("fire"));
        assert_eq!((request.ticket, request.on_demand), (None, false));
        assert_eq!(request.duration.as_deref(), Some("90s"));
        assert_eq!(request.subject.as_deref(), Some("spiffe://td/a"));
        assert_eq!(request.instances, Some(Instances::Word("one".to_owned())));
        let alone = ElevateRequest {
            this_process: true,
            ..ElevateRequest::default()
        };
        let process = Holder::process(7, 1);
        assert_eq!(super::holder(&alone, process.clone()), process);
    }

    #[test]
    fn an_answer_says_whom_it_waits_for_and_why_not() {
        let view = ElevationView {
            id: "el-1".to_owned(),
            state: "pending".to_owned(),
            ended: None,
            subject: "spiffe://td/a".to_owned(),
            scope: "db.read".to_owned(),
            duration: "5m".to_owned(),
            reason: None,
            ticket: None,
            instances: Instances::Count(1),
            bound: Vec::new(),
            requested_at: String::new(),
            requested_by: String::new(),
            decide_by: None,
            not_before: None,
            activate_by: None,
            activated_at: None,
            ends_at: None,
            first_used_at: None,
            last_used_at: None,
            waits_for: vec![RouteView {
                route: vec!["sre:2".to_owned()],
                needs: Vec::new(),
            }],
            verdict: VerdictView {
                decision: "pending".to_owned(),
                policies: Vec::new(),
                digest: String::new(),
                version: 1,
                reason: Some("people decide".to_owned()),
            },
        };
        let answer = answer(view);
        assert_eq!(answer.elevation, "el-1");
        assert_eq!(answer.waits_for, "2 approvals of sre");
        assert_eq!(
            (answer.ended.as_str(), answer.because.as_str()),
            ("", "people decide")
        );
    }
}

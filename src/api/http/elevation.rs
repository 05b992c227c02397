//! Elevations, as the wire shows them.
//!
//! Promises: a clock that has no meaning in a state is absent.
//! Refuses: nothing of its own.

pub(crate) mod cancel;
pub(crate) mod list;
pub(crate) mod open;
pub(crate) mod read;
pub(crate) mod revoke;
pub(crate) mod wait;

use crate::api::http::verdict;
use crate::elevation::{Elevation, Instances, State};
use crate::store::ElevationRow;
use crate::time::Timestamp;
use crate::wire;
use crate::wire::elevation::ElevationView;

pub(crate) fn view(row: &ElevationRow) -> ElevationView {
    let Elevation { request, state, .. } = &row.elevation;
    let shown = ElevationView {
        id: row.elevation.id.to_string(),
        state: state.name().as_str().to_owned(),
        ended: None,
        subject: request.subject.to_string(),
        scope: request.scope.to_string(),
        duration: request.duration.to_string(),
        reason: row.reason.clone(),
        ticket: request.ticket.as_ref().map(|id| id.as_str().to_owned()),
        instances: instances(request.instances),
        bound: Vec::new(),
        requested_at: request.asked_at.rfc3339(),
        requested_by: request.asked_by.to_string(),
        decide_by: None,
        not_before: request.not_before.map(Timestamp::rfc3339),
        activate_by: None,
        activated_at: None,
        ends_at: None,
        first_used_at: row.elevation.used().map(|used| used.first.rfc3339()),
        last_used_at: row.elevation.used().map(|used| used.last.rfc3339()),
        waits_for: Vec::new(),
        verdict: verdict::of_event(row.opened.event()),
    };
    match state {
        State::Active {
            activated_at,
            bound,
            ends_at,
            ..
        } => ElevationView {
            activated_at: Some(activated_at.rfc3339()),
            bound: bound.iter().map(ToString::to_string).collect(),
            ends_at: Some(ends_at.rfc3339()),
            ..shown
        },
        State::Approved { activate_by } => ElevationView {
            activate_by: Some(activate_by.rfc3339()),
            ..shown
        },
        State::Ended { at, how, .. } => ElevationView {
            ended: Some(how.as_str().to_owned()),
            ends_at: Some(at.rfc3339()),
            ..shown
        },
        State::Pending {
            decide_by,
            waits_for,
        } => ElevationView {
            decide_by: Some(decide_by.rfc3339()),
            waits_for: waits_for.iter().map(verdict::route).collect(),
            ..shown
        },
        State::Cancelled { .. } | State::Denied { .. } | State::Lapsed { .. } => shown,
    }
}

fn instances(instances: Instances) -> wire::elevation::Instances {
    match instances {
        Instances::All => wire::elevation::Instances::Word("all".to_owned()),
        Instances::Count(count) => wire::elevation::Instances::Count(count.into()),
        Instances::One(_) => wire::elevation::Instances::Word("one".to_owned()),
    }
}

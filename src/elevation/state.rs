//! The states of an elevation and the moves between them.
//!
//! Promises: four clocks in four fields (`decide_by`, `not_before`, `activate_by`, `ends_at`);
//! each state carries only the clocks that run in it; a move that is not listed does not exist.
//! Refuses: to bring an ended elevation back, to activate twice, to serve more instances than
//! were asked for.

use crate::elevation::{End, Instances, Request, StateName, Used};
use crate::id::{ElevationId, EventNumber, Instance};
use crate::time::{Seconds, Timestamp};

/// One elevation, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elevation {
    /// Its id.
    pub id: ElevationId,
    /// Rises by one with each move.
    pub version: u64,
    /// What was asked.
    pub request: Request,
    /// Where it stands.
    pub state: State,
}

/// Where an elevation stands, with the facts of that state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Minted from at least once; may be minted from again until `ends_at`.
    Active {
        /// When the first SVID was planned.
        activated_at: Timestamp,
        /// The intent of the first SVID.
        activation: EventNumber,
        /// The instances that hold or held an SVID of it.
        bound: Vec<Instance>,
        /// From this moment on nothing is minted from it.
        ends_at: Timestamp,
        /// What access logs show of its use; none: nothing yet.
        used: Option<Used>,
    },
    /// May be activated until `activate_by`.
    Approved {
        /// The first mint must come before this moment.
        activate_by: Timestamp,
    },
    /// Taken back by who asked, before activation.
    Cancelled {
        /// When.
        at: Timestamp,
    },
    /// Refused by policy or by a person.
    Denied {
        /// When.
        at: Timestamp,
    },
    /// Over.
    Ended {
        /// When.
        at: Timestamp,
        /// Why.
        how: End,
        /// What access logs showed of its use.
        used: Option<Used>,
    },
    /// Nobody decided in time.
    Lapsed {
        /// When.
        at: Timestamp,
    },
    /// Waits for people.
    Pending {
        /// Approvals must be there before this moment.
        decide_by: Timestamp,
        /// What would permit it; any one of these suffices.
        waits_for: Vec<WaitsFor>,
    },
}

/// One set of approvals that would permit a pending elevation, such as `sre:2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitsFor {
    /// Groups and counts of the permit's route.
    pub route: Vec<String>,
    /// Groups and counts that lift forbids.
    pub needs: Vec<String>,
}

/// What may happen to an elevation after it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Policy permits now: pending becomes approved.
    Approve,
    /// The requester takes it back before activation.
    Cancel,
    /// Access logs show no use of it for its scope's idle time.
    FallIdle,
    /// A signal that it rested on ended.
    LoseSignal,
    /// A permitted caller ends it at once.
    Revoke,
    /// A clock ran out.
    RunOut,
    /// Its subject gives it back.
    Withdraw,
}

/// Why a move is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoveError {
    /// All the places asked for are taken.
    #[error("the elevation serves {0} and all of them are bound; ask for another elevation")]
    InstancesTaken(Instances),
    /// The instance that asked is another one.
    #[error("the elevation belongs to another instance; elevate from this one")]
    OtherInstance,
    /// The scheduled start has not come.
    #[error("the elevation starts at {0}")]
    TooEarly(Timestamp),
    /// The state does not allow it.
    #[error("the elevation is {0}")]
    WrongState(StateName),
}

impl Elevation {
    /// Opens an elevation that policy permits as it stands.
    #[must_use]
    pub fn approved(id: ElevationId, request: Request) -> Self {
        let state = State::Approved {
            activate_by: activate_by(&request, request.asked_at),
        };
        Self {
            id,
            version: 1,
            request,
            state,
        }
    }

    /// Opens an elevation that waits for people.
    #[must_use]
    pub fn pending(id: ElevationId, request: Request, waits_for: Vec<WaitsFor>) -> Self {
        let decide_by = request.asked_at.plus(DECIDE_WITHIN);
        Self {
            id,
            version: 1,
            request,
            state: State::Pending {
                decide_by,
                waits_for,
            },
        }
    }

    /// Opens an elevation that is refused at once, so that the refusal has an id.
    #[must_use]
    pub fn denied(id: ElevationId, request: Request) -> Self {
        let state = State::Denied {
            at: request.asked_at,
        };
        Self {
            id,
            version: 1,
            request,
            state,
        }
    }

    /// The elevation after `step`, made at `now`.
    ///
    /// # Errors
    /// [`MoveError::WrongState`] where the diagram of this room has no such arrow.
    pub fn moved(self, step: Move, now: Timestamp) -> Result<Self, MoveError> {
        let ended = |how| State::Ended {
            at: now,
            how,
            used: self.used(),
        };
        let next = match (&self.state, step) {
            // Its clock binds also where no sweep has come by yet.
            (State::Pending { decide_by, .. }, Move::Approve) if now < *decide_by => {
                State::Approved {
                    activate_by: activate_by(&self.request, now),
                }
            }
            (State::Pending { .. } | State::Approved { .. }, Move::Cancel) => {
                State::Cancelled { at: now }
            }
            (State::Pending { .. }, Move::RunOut) => State::Lapsed { at: now },
            (State::Approved { .. }, Move::RunOut) | (State::Active { .. }, Move::FallIdle) => {
                ended(End::Unused)
            }
            (State::Active { .. }, Move::RunOut) => ended(End::Expired),
            (State::Active { .. }, Move::Withdraw) => ended(End::Withdrawn),
            (State::Active { .. } | State::Approved { .. }, Move::LoseSignal) => {
                ended(End::SignalLost)
            }
            (
                State::Active { .. } | State::Approved { .. } | State::Pending { .. },
                Move::Revoke,
            ) => ended(End::Revoked),
            (
                State::Active { .. }
                | State::Approved { .. }
                | State::Cancelled { .. }
                | State::Denied { .. }
                | State::Ended { .. }
                | State::Lapsed { .. }
                | State::Pending { .. },
                Move::Approve
                | Move::Cancel
                | Move::FallIdle
                | Move::LoseSignal
                | Move::RunOut
                | Move::Withdraw,
            )
            | (
                State::Cancelled { .. }
                | State::Denied { .. }
                | State::Ended { .. }
                | State::Lapsed { .. },
                Move::Revoke,
            ) => return Err(MoveError::WrongState(self.state.name())),
        };
        Ok(Self {
            version: self.version.saturating_add(1),
            state: next,
            ..self
        })
    }

    /// The moment up to which an SVID minted at `now` for `instance` may live, were it minted.
    ///
    /// # Errors
    /// Why nothing may be minted from this elevation now, or not for this instance.
    pub fn mintable(&self, instance: Instance, now: Timestamp) -> Result<Timestamp, MoveError> {
        let wrong = || MoveError::WrongState(self.state.name());
        if let Instances::One(asking) = self.request.instances
            && asking != instance
        {
            return Err(MoveError::OtherInstance);
        }
        match &self.state {
            State::Approved { activate_by } => {
                if let Some(start) = self.request.not_before
                    && now < start
                {
                    return Err(MoveError::TooEarly(start));
                }
                let ends_at = self.ends_if_activated(now);
                if now < (*activate_by).min(ends_at) {
                    Ok(ends_at)
                } else {
                    Err(wrong())
                }
            }
            State::Active { bound, ends_at, .. } => {
                if *ends_at <= now {
                    return Err(wrong());
                }
                let places = match self.request.instances {
                    Instances::All | Instances::One(_) => usize::MAX,
                    Instances::Count(count) => usize::from(count),
                };
                if bound.contains(&instance) || bound.len() < places.min(BOUND_MAX) {
                    Ok(*ends_at)
                } else {
                    Err(MoveError::InstancesTaken(self.request.instances))
                }
            }
            State::Cancelled { .. }
            | State::Denied { .. }
            | State::Ended { .. }
            | State::Lapsed { .. }
            | State::Pending { .. } => Err(wrong()),
        }
    }

    /// The elevation after a mint for `instance`, planned as event `intent`: the first mint
    /// activates it, a later one binds a new instance. The version rises only when something
    /// changed, so that renewals do not contend.
    ///
    /// # Errors
    /// As [`Self::mintable`].
    pub fn minted(
        self,
        instance: Instance,
        now: Timestamp,
        intent: EventNumber,
    ) -> Result<Self, MoveError> {
        let ends_at = self.mintable(instance, now)?;
        let mut state = self.state;
        if let State::Active { bound, .. } = &mut state {
            if bound.contains(&instance) {
                return Ok(Self { state, ..self });
            }
            bound.push(instance);
        } else {
            state = State::Active {
                activated_at: now,
                activation: intent,
                bound: vec![instance],
                ends_at,
                used: None,
            };
        }
        Ok(Self {
            version: self.version.saturating_add(1),
            state,
            ..self
        })
    }

    /// The moment at which the running clock of the state runs out; none in a final state. It binds
    /// by itself, as idle time does not: that needs somebody's word ([`Self::idle_since`]).
    #[must_use]
    pub const fn runs_out_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Active { ends_at, .. } => Some(ends_at),
            State::Approved { activate_by } => Some(activate_by),
            State::Pending { decide_by, .. } => Some(decide_by),
            State::Cancelled { .. }
            | State::Denied { .. }
            | State::Ended { .. }
            | State::Lapsed { .. } => None,
        }
    }

    /// The end that activation at `now` would fix: the scheduled window's end, or the duration.
    fn ends_if_activated(&self, now: Timestamp) -> Timestamp {
        self.request
            .not_before
            .unwrap_or(now)
            .plus(self.request.duration)
    }
}

impl State {
    /// The state's bare name.
    #[must_use]
    pub const fn name(&self) -> StateName {
        match self {
            Self::Active { .. } => StateName::Active,
            Self::Approved { .. } => StateName::Approved,
            Self::Cancelled { .. } => StateName::Cancelled,
            Self::Denied { .. } => StateName::Denied,
            Self::Ended { .. } => StateName::Ended,
            Self::Lapsed { .. } => StateName::Lapsed,
            Self::Pending { .. } => StateName::Pending,
        }
    }
}

/// A clock of the state `approved`: it starts at the later of approval and scheduled start.
fn activate_by(request: &Request, approved_at: Timestamp) -> Timestamp {
    let start = request
        .not_before
        .map_or(approved_at, |start| start.max(approved_at));
    start.plus(ACTIVATE_WITHIN)
}

/// How long an elevation waits for people.
pub const DECIDE_WITHIN: Seconds = Seconds::new(3_600);
/// How long an approved elevation waits for its first mint.
pub const ACTIVATE_WITHIN: Seconds = Seconds::new(900);
/// The most instances that one elevation remembers, `all` included.
const BOUND_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::elevation::Requester;

    fn at(unix_s: i64) -> Timestamp {
        Timestamp::from_unix_s(unix_s).unwrap()
    }

    fn opened(instances: Instances, not_before: Option<Timestamp>) -> Elevation {
        let request = Request {
            subject: "spiffe://td.example/web".parse().unwrap(),
            scope: "db.read".parse().unwrap(),
            duration: Seconds::new(600),
            not_before,
            instances,
            reason: None,
            ticket: None,
            asked_by: Requester("workload:spiffe://td.example/web".into()),
            asked_at: at(1_000),
            extends: None,
            on_demand: false,
            break_glass: false,
        };
        let id = "el-00000000000000000000000000000001".parse().unwrap();
        Elevation::approved(id, request)
    }

    const HERE: Instance = Instance::from_bytes([1; 32]);
    const THERE: Instance = Instance::from_bytes([2; 32]);

    fn event(number: u64) -> EventNumber {
        EventNumber::new(number).unwrap()
    }

    #[test]
    fn the_end_is_fixed_at_activation_and_never_moves() {
        let first = opened(Instances::All, None)
            .minted(HERE, at(1_100), event(5))
            .unwrap();
        assert_eq!(first.runs_out_at(), Some(at(1_700)));
        let renewed = first.clone().minted(HERE, at(1_400), event(9)).unwrap();
        assert_eq!(renewed, first, "a renewal changes nothing");
        let second = first.minted(THERE, at(1_500), event(10)).unwrap();
        assert_eq!(second.runs_out_at(), Some(at(1_700)));
        assert_eq!(second.version, 3);
        assert!(
            second.mintable(HERE, at(1_700)).is_err(),
            "the end itself is too late"
        );
    }

    #[test]
    fn an_elevation_serves_no_more_instances_than_asked() {
        let one = opened(Instances::One(HERE), None);
        assert_eq!(
            one.mintable(THERE, at(1_001)),
            Err(MoveError::OtherInstance)
        );
        let count = Instances::Count(1);
        let bound = opened(count, None)
            .minted(HERE, at(1_001), event(1))
            .unwrap();
        assert_eq!(
            bound.mintable(THERE, at(1_002)),
            Err(MoveError::InstancesTaken(count))
        );
        assert!(bound.mintable(HERE, at(1_002)).is_ok());
    }

    #[test]
    fn a_schedule_opens_at_its_start_and_shuts_at_its_end() {
        let scheduled = opened(Instances::All, Some(at(5_000)));
        assert_eq!(
            scheduled.mintable(HERE, at(4_999)),
            Err(MoveError::TooEarly(at(5_000)))
        );
        assert_eq!(scheduled.mintable(HERE, at(5_300)), Ok(at(5_600)));
        assert!(scheduled.mintable(HERE, at(5_600)).is_err());
        assert_eq!(scheduled.runs_out_at(), Some(at(5_900)));
    }

    #[test]
    fn the_arrows_are_those_of_the_diagram_and_no_others() {
        const MOVES: [Move; 7] = [
            Move::Approve,
            Move::Cancel,
            Move::FallIdle,
            Move::LoseSignal,
            Move::Revoke,
            Move::RunOut,
            Move::Withdraw,
        ];
        let approved = opened(Instances::All, None);
        let pending = Elevation::pending(approved.id, approved.request.clone(), Vec::new());
        let active = approved.clone().minted(HERE, at(1_001), event(1)).unwrap();
        let allowed = |from: &Elevation| -> Vec<Move> {
            let goes = |step: &Move| from.clone().moved(*step, at(1_100)).is_ok();
            MOVES.into_iter().filter(goes).collect()
        };
        assert_eq!(
            allowed(&pending),
            [Move::Approve, Move::Cancel, Move::Revoke, Move::RunOut]
        );
        assert_eq!(
            allowed(&approved),
            [Move::Cancel, Move::LoseSignal, Move::Revoke, Move::RunOut]
        );
        assert_eq!(
            allowed(&active),
            [
                Move::FallIdle,
                Move::LoseSignal,
                Move::Revoke,
                Move::RunOut,
                Move::Withdraw
            ]
        );
        for step in MOVES {
            for from in [&pending, &approved, &active] {
                let Ok(after) = from.clone().moved(step, at(1_100)) else {
                    continue;
                };
                assert!(from.version < after.version);
                let last = matches!(step, Move::Approve) || allowed(&after).is_empty();
                assert!(last, "{step:?} leads to a final state");
            }
        }
    }
}

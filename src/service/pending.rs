//! Judging anew what waits, when what it waits for may have come by itself.
//!
//! Promises: after a policy came into force, and after minting was released, every pending
//! elevation is asked about again in the background, a page at a time; what is permitted becomes
//! approved with its event, and who waits for it hears of that. A round that fails is made up for
//! by the next sweep. A start owes a round too: the last one may have been cut off.
//! Refuses: to deny: what is not permitted goes on waiting, and lapses by its own clock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::audit::{Event, EventKind, Key, Value};
use crate::elevation::{Elevation, Move, StateName};
use crate::id::EventNumber;
use crate::policy::{Act, Ask, Permit, Principal, Verdict, decide};
use crate::service::issue::elevate_act;
use crate::service::{SERVER, Service, ServiceError, is_stale};
use crate::store::{ElevationChange, ElevationFilter};
use crate::time::{Seconds, Timestamp};

/// How far the round has come, and who is to go on with it.
pub(crate) struct Anew {
    /// None: nothing is owed.
    owed: Mutex<Option<Rest>>,
    wake: Notify,
}

/// What is still to be looked at.
#[derive(Clone, Copy)]
enum Rest {
    All,
    After(EventNumber),
}

impl Default for Anew {
    fn default() -> Self {
        Self {
            owed: Mutex::new(Some(Rest::All)),
            wake: Notify::new(),
        }
    }
}

impl Anew {
    fn owed(&self) -> MutexGuard<'_, Option<Rest>> {
        // Poisoned or not, it is replaced as a whole.
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves the rest of a round, unless a new round has begun meanwhile.
    fn leave(&self, rest: Rest) {
        self.owed().get_or_insert(rest);
    }
}

impl Service {
    /// Ends when pending elevations are to be judged.
    pub async fn pending_is_due(&self) {
        self.anew.wake.notified().await;
    }

    /// Judges the next pending elevations that are owed it. Answers how many are approved now.
    ///
    /// # Errors
    /// When the clock is in doubt, or the store cannot be read or written; the next sweep sees to
    /// it that it is tried again.
    pub async fn judge_pending(&self) -> Result<u32, ServiceError> {
        let Some(rest) = self.anew.owed().take() else {
            return Ok(0);
        };
        let judged = self.judge_page(rest).await;
        match judged {
            Ok((approved, None)) => Ok(approved),
            Ok((approved, Some(last))) => {
                self.anew.leave(Rest::After(last));
                self.anew.wake.notify_one();
                Ok(approved)
            }
            Err(error) => {
                self.anew.leave(rest);
                Err(error)
            }
        }
    }

    /// Has everything that is pending judged anew.
    pub(crate) fn judge_all_pending(&self) {
        *self.anew.owed() = Some(Rest::All);
        self.anew.wake.notify_one();
    }

    /// Has a round that was cut off go on.
    pub(crate) fn go_on_judging(&self) {
        if self.anew.owed().is_some() {
            self.anew.wake.notify_one();
        }
    }

    /// Answers how many were approved, and where to go on.
    async fn judge_page(&self, rest: Rest) -> Result<(u32, Option<EventNumber>), ServiceError> {
        let after = match rest {
            Rest::All => None,
            Rest::After(last) => Some(last),
        };
        let filter = ElevationFilter {
            state: Some(StateName::Pending),
            ..ElevationFilter::default()
        };
        let page = self.store.elevations(filter, after, JUDGED_AT_ONCE).await?;
        let mut approved = 0_u32;
        let mut last = None;
        for row in page {
            last = Some(row.opened.number());
            match self.judge(row.elevation).await {
                Ok(true) => approved = approved.saturating_add(1),
                // It waits on, or moved by itself meanwhile.
                Ok(false) | Err(ServiceError::Move(_)) => {}
                Err(ServiceError::Store(error)) if is_stale(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((approved, last))
    }

    /// Asks policy the question of the opening again; whether it is permitted now.
    async fn judge(&self, pending: Elevation) -> Result<bool, ServiceError> {
        let now = self.clock.sure()?;
        let policy = self.in_force()?;
        let request = &pending.request;
        let ask = Ask {
            principal: Principal::Workload {
                subject: request.subject.clone(),
                elevated: false,
            },
            act: Act::Elevate(elevate_act(&pending)),
            // Nobody speaks, so there is no address that could help. A mint asks with its own.
            source: None,
        };
        let moment = request.not_before.unwrap_or(now);
        let (subject, id) = (request.subject.clone(), pending.id);
        let standing = self.store.standing(Some(subject), Some(id)).await?;
        let verdict = decide(
            &policy.bundle,
            ask,
            standing.facts,
            moment,
            Seconds::default(),
        );
        match verdict {
            Verdict::Permit(permit) => self.approve(pending, &permit, now).await.map(|()| true),
            Verdict::Denial(_) => Ok(false),
        }
    }

    async fn approve(
        &self,
        pending: Elevation,
        permit: &Permit,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let from_version = pending.version;
        let after = pending.moved(Move::Approve, now)?;
        let (id, subject) = (after.id, after.request.subject.clone());
        let event = Event::new(EventKind::ElevationApproved, now, SERVER)
            .with(Key::Elevation, id.to_string())
            .with(Key::Outcome, "approved")
            .with(Key::Policy, permit.digest().to_string())
            .with(Key::Scope, after.request.scope.as_str())
            .with(Key::Subject, subject.to_string())
            .and("verdict", Value::record(permit.record()));
        let change = ElevationChange {
            from_version,
            after,
            event,
            reason: None,
        };
        self.store.change_elevation(change).await?;
        self.elevation_moved(id, &subject);
        Ok(())
    }
}

/// How many are judged before others have their turn.
const JUDGED_AT_ONCE: u32 = 64;

//! What one caller may cost: requests, and refusals that are recorded one by one.
//!
//! Promises: who floods is answered 429 and not recorded line by line; what was not recorded is
//! counted by caller and reason, and the count is an event (`overflow.counted`), at most one for
//! each caller and round, one more round at the stop. Nothing is forgotten for want of room: past
//! the bounds callers are counted together, under one name. A caller who is refused too often is
//! only refused otherwise; what he is permitted is never held up by it.
//! Refuses: to forget a count that could not be recorded: it waits for the next round.

mod bucket;
mod tally;

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::attestation::{Caller, Neighbour};
use crate::audit::{Event, EventKind, Value};
use crate::service::allowance::bucket::{Buckets, Rate};
use crate::service::allowance::tally::{Counts, Tally};
use crate::service::{Service, ServiceError};
use crate::time::Seconds;

/// Who shares one bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Party {
    /// A caller who is proved, as the ledger names him.
    Caller(String),
    /// Somebody at this address who proved nothing.
    Neighbour(Neighbour),
    /// Proved callers for whom there was no room.
    OtherCallers,
    /// Neighbours for whom there was no room, or who have no address.
    OtherNeighbours,
}

/// The buckets and the counts of one service.
pub(crate) struct Allowance {
    // Each lock is taken for a few instructions, never across an await.
    requests: Mutex<Buckets<Party>>,
    refusals: Mutex<Buckets<Party>>,
    // Of their own, so that strangers from everywhere cannot take the room of callers.
    strangers: Mutex<Buckets<Party>>,
    tally: Mutex<Tally>,
    tally_of_strangers: Mutex<Tally>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            requests: Mutex::new(Buckets::new(REQUESTS, PARTIES_MAX)),
            refusals: Mutex::new(Buckets::new(REFUSALS, PARTIES_MAX)),
            strangers: Mutex::new(Buckets::new(REFUSALS, PARTIES_MAX)),
            tally: Mutex::new(Tally::new(COUNTED_PARTIES_MAX, Party::OtherCallers)),
            tally_of_strangers: Mutex::new(Tally::new(COUNTED_PARTIES_MAX, Party::OtherNeighbours)),
        }
    }
}

impl Service {
    /// Lets one request of a proved caller through his bucket.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] when it is empty; the refusal is counted.
    pub fn heed(&self, caller: &Caller) -> Result<(), ServiceError> {
        let party = Party::Caller(caller.to_string());
        self.take(&self.allowance.requests, &party, "too_many_requests")
    }

    /// Charges a request that asks for many things for those beyond the first, which [`heed`]
    /// charged.
    ///
    /// [`heed`]: Self::heed
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] when the bucket does not hold so much; the refusal is counted.
    pub fn heed_more(&self, caller: &Caller, things: usize) -> Result<(), ServiceError> {
        let party = Party::Caller(caller.to_string());
        let more = i64::try_from(things.saturating_sub(1)).unwrap_or(i64::MAX);
        let boot_ms = self.clock.boot_ms();
        let taken = lock(&self.allowance.requests).take_many(&party, boot_ms, more);
        taken.map_err(|wait| {
            let code = "too_many_requests";
            self.count(&party, code);
            ServiceError::TooMany { code, wait }
        })
    }

    /// The refusal of a proved caller who has too many of something; it is counted.
    pub(crate) fn too_many(
        &self,
        caller: &Caller,
        code: &'static str,
        wait: Seconds,
    ) -> ServiceError {
        self.count(&Party::Caller(caller.to_string()), code);
        ServiceError::TooMany { code, wait }
    }

    /// Counts a request that came without a valid proof, from an address if there is one.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] when too many came from there; else the caller may be told what
    /// is wrong.
    pub fn heed_unproved(
        &self,
        from: Option<Neighbour>,
        code: &'static str,
    ) -> Result<(), ServiceError> {
        let party = from.map_or(Party::OtherNeighbours, Party::Neighbour);
        // Nothing of a stranger is recorded one by one, so all of it is counted.
        self.count(&party, code);
        self.wait_of(&self.allowance.strangers, &party)
            .map_or(Ok(()), |wait| Err(ServiceError::TooMany { code, wait }))
    }

    /// Whether somebody who has proved nothing yet may be waited with; takes nothing.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] when too much came from there before; the refusal is counted.
    pub(crate) fn may_wait_unproved(
        &self,
        from: Option<Neighbour>,
        code: &'static str,
    ) -> Result<(), ServiceError> {
        let party = from.map_or(Party::OtherNeighbours, Party::Neighbour);
        let held = lock(&self.allowance.strangers).look(&party, self.clock.boot_ms());
        held.map_err(|wait| {
            self.count(&party, code);
            ServiceError::TooMany { code, wait }
        })
    }

    /// Lets one refusal of a proved caller be recorded on its own.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] when too many were; this one is counted instead.
    pub(crate) fn spare_ledger(
        &self,
        caller: &Caller,
        code: &'static str,
    ) -> Result<(), ServiceError> {
        let party = Party::Caller(caller.to_string());
        self.take(&self.allowance.refusals, &party, code)
    }

    /// Records what was only counted since the last round. Answers how many events that took.
    ///
    /// # Errors
    /// When the store cannot record; what is left is kept for the next round.
    pub async fn record_overflow(&self) -> Result<u32, ServiceError> {
        let of_callers = self.record_tally(&self.allowance.tally).await?;
        let of_strangers = self
            .record_tally(&self.allowance.tally_of_strangers)
            .await?;
        Ok(of_callers.saturating_add(of_strangers))
    }

    async fn record_tally(&self, tally: &Mutex<Tally>) -> Result<u32, ServiceError> {
        let mut recorded = 0_u32;
        let mut drained = lock(tally).drain().into_iter();
        while let Some((party, counts)) = drained.next() {
            if let Err(error) = self.store.append(self.counted(&party, &counts)).await {
                let mut tally = lock(tally);
                tally.add(party, counts);
                drained.for_each(|(party, counts)| tally.add(party, counts));
                return Err(error.into());
            }
            recorded = recorded.saturating_add(1);
        }
        Ok(recorded)
    }

    fn take(
        &self,
        buckets: &Mutex<Buckets<Party>>,
        party: &Party,
        code: &'static str,
    ) -> Result<(), ServiceError> {
        let Some(wait) = self.wait_of(buckets, party) else {
            return Ok(());
        };
        self.count(party, code);
        Err(ServiceError::TooMany { code, wait })
    }

    fn wait_of(&self, buckets: &Mutex<Buckets<Party>>, party: &Party) -> Option<Seconds> {
        let boot_ms = self.clock.boot_ms();
        lock(buckets).take(party, boot_ms).err()
    }

    fn count(&self, party: &Party, code: &'static str) {
        let (proved, tally) = match party {
            Party::Caller(_) | Party::OtherCallers => (true, &self.allowance.tally),
            Party::Neighbour(_) | Party::OtherNeighbours => {
                (false, &self.allowance.tally_of_strangers)
            }
        };
        self.metrics.overflowed(proved);
        lock(tally).count(party, code, self.now());
    }

    fn counted(&self, party: &Party, counts: &Counts) -> Event {
        let by_code = counts.by_code();
        Event::new(EventKind::OverflowCounted, self.now(), &party.to_string())
            .and("codes", Value::Map(by_code))
            .and("count", counts.count())
            .and("from", counts.from().rfc3339())
            .and("until", counts.until().rfc3339())
    }
}

/// As the ledger names them.
impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller(name) => f.write_str(name),
            Self::Neighbour(neighbour) => write!(f, "neighbour:{neighbour}"),
            Self::OtherCallers => f.write_str("other callers"),
            Self::OtherNeighbours => f.write_str("other neighbours"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing between the changes of these can panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests of one caller: an agent that renews 10,000 SVIDs at once is far from it.
const REQUESTS: Rate = Rate {
    every_us: 100,
    burst: 20_000,
};
/// Refusals of one caller that are recorded one by one: some 17,000 in a day, however he tries.
const REFUSALS: Rate = Rate {
    every_us: 5_000_000,
    burst: 256,
};
/// The most callers whose buckets are remembered; full buckets are as good as none.
const PARTIES_MAX: usize = 65_536;
/// The most callers, and the most neighbours, that one round counts by name.
const COUNTED_PARTIES_MAX: usize = 256;

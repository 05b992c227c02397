//! How many certificates of one elevation live at once for one running holder.
//!
//! Promises: no more than [`LIVING_MAX`] of one elevation and instance have not ended: were it
//! given back or revoked, each of them would be denied at every proxy until its end. A mint that
//! was recorded counts until then, whether or not its caller still listens. In memory alone: a
//! start counts anew. Refuses: nothing for long: a place is free when the first of them ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::{ElevationId, Instance};
use crate::service::{Call, Service, ServiceError};
use crate::time::{Seconds, Timestamp};

/// Whose certificates are counted together.
type Of = (ElevationId, Instance);

/// The last seconds of what lives, by elevation and instance.
#[derive(Default)]
pub(crate) struct Living(Mutex<HashMap<Of, Vec<Timestamp>>>);

impl Service {
    /// Takes a place for a certificate that is about to be recorded.
    ///
    /// # Errors
    /// [`ServiceError::TooMany`] when there is none; the refusal is counted.
    pub(super) fn take_living(
        &self,
        call: &Call,
        of: Of,
        last: Timestamp,
        now: Timestamp,
    ) -> Result<(), ServiceError> {
        let taken = self.living.take(of, last, now);
        taken.map_err(|wait| self.too_many(&call.caller, "too_many_living", wait))
    }
}

impl Living {
    /// Takes a place until `last`; or tells how long until there is one.
    fn take(&self, of: Of, last: Timestamp, now: Timestamp) -> Result<(), Seconds> {
        let mut living = self.lock();
        if OF_MAX <= living.len() {
            forget_ended(&mut living, now);
        }
        // Past the bound there is no count; what is minted is bounded by each caller's pace alone.
        if OF_MAX <= living.len() && !living.contains_key(&of) {
            return Ok(());
        }
        let lasts = living.entry(of).or_default();
        lasts.retain(|last| now <= *last);
        if LIVING_MAX <= lasts.len() {
            let first = lasts.iter().min().copied().unwrap_or(now);
            return Err(first.plus(Seconds::new(1)).since(now));
        }
        lasts.push(last);
        Ok(())
    }

    /// Gives back a place of what was not minted.
    pub(super) fn give_back(&self, of: Of, last: Timestamp) {
        let mut living = self.lock();
        if let Some(lasts) = living.get_mut(&of)
            && let Some(at) = lasts.iter().position(|one| *one == last)
        {
            lasts.swap_remove(at);
        }
    }

    /// Forgets what has ended.
    pub(crate) fn forget(&self, now: Timestamp) {
        forget_ended(&mut self.lock(), now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Of, Vec<Timestamp>>> {
        // Nothing between the changes of a list can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_ended(living: &mut HashMap<Of, Vec<Timestamp>>, now: Timestamp) {
    living.retain(|_, lasts| {
        lasts.retain(|last| now <= *last);
        !lasts.is_empty()
    });
}

/// Whoever renews at half of a life has two, and some more where he starts again and again.
const LIVING_MAX: usize = 64;
/// The most elevations and instances that are counted, some 600 bytes each at the very most.
const OF_MAX: usize = 131_072;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::entropy::Entropy;

    #[test]
    fn a_place_is_free_when_its_certificate_has_ended_or_was_not_minted() {
        let at = |s| Timestamp::from_unix_s(s).unwrap();
        let id = ElevationId::random(&Entropy::seeded(1));
        let of = |number| (id, Instance::from_bytes([number; 32]));
        let living = Living::default();
        for _ in 0..LIVING_MAX {
            living.take(of(1), at(100), at(10)).unwrap();
        }
        assert_eq!(living.take(of(1), at(110), at(20)), Err(Seconds::new(81)));
        living.take(of(2), at(110), at(20)).unwrap();
        living.give_back(of(1), at(100));
        living.take(of(1), at(110), at(20)).unwrap();
        living.take(of(1), at(200), at(100)).unwrap_err();
        living.take(of(1), at(200), at(101)).unwrap();
        living.forget(at(201));
        assert!(living.lock().is_empty());
    }
}

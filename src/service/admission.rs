//! Who goes first when more ask than can be served: whoever's certificate ends first.
//!
//! Promises: so many walks are under way at once and no more; when a place comes free it goes to
//! the waiting caller whose own certificate has the least time left. Who has none, such as the
//! holder of a join token, stands in the middle. Nobody holds more than his share while others
//! wait, so a caller whose end is near cannot keep everybody else out. Nobody waits long: where
//! there is no room or no place in time, he is told when to ask again, the later the more life he
//! has left.
//! Refuses: to stand before the admin plane: revoking, stopping and reading ask for no place.

mod desk;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::attestation::Caller;
use crate::service::admission::desk::{Bounds, Desk, Entered};
use crate::service::{Call, Service, ServiceError};
use crate::time::{Seconds, Timestamp};

/// The places of one service.
pub(crate) struct Admission {
    desk: Arc<Mutex<Desk<oneshot::Sender<Place>>>>,
}

/// A place among the walks that are under way; it is free again when this is dropped.
pub struct Place {
    desk: Arc<Mutex<Desk<oneshot::Sender<Self>>>>,
    caller: String,
}

/// One who waits; leaves the line when dropped.
struct InLine {
    desk: Arc<Mutex<Desk<oneshot::Sender<Place>>>>,
    number: desk::Number,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            desk: Arc::new(Mutex::new(Desk::new(Bounds::STANDARD))),
        }
    }
}

impl Service {
    /// A place for one walk of the caller, at once or when it is his turn.
    ///
    /// # Errors
    /// [`ServiceError::Crowded`] when there is no room to wait, or no place came free in time.
    pub async fn admitted(&self, call: &Call) -> Result<Place, ServiceError> {
        let now = self.now();
        let end = end_of(&call.caller, now);
        let desk = &self.admission.desk;
        let caller = party(&call.caller);
        let (turn, called) = oneshot::channel();
        let entered = lock(desk).enter(&caller, end, turn);
        let number = match entered {
            Entered::Served => {
                let desk = Arc::clone(desk);
                return Ok(Place { desk, caller });
            }
            // The one turned away hears it by the loss of his turn; it may be this very one.
            Entered::Waits(number) => number,
        };
        let _in_line = InLine {
            desk: Arc::clone(desk),
            number,
        };
        if let Ok(Ok(place)) = timeout(WAIT_MAX, called).await {
            return Ok(place);
        }
        self.metrics.turned_away();
        let wait = ask_again_in(end, now);
        Err(ServiceError::Crowded { wait })
    }

    /// How many walks are under way, and how many wait.
    pub(crate) fn crowd(&self) -> (usize, usize) {
        let desk = lock(&self.admission.desk);
        (desk.served(), desk.waiting())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut left = Some(self.caller.clone());
        while let Some(caller) = left.take() {
            let next = lock(&self.desk).leave(&caller);
            if let Some((caller, turn)) = next {
                if turn.is_closed() {
                    // He went away; his turn goes on.
                    left = Some(caller);
                } else {
                    let desk = Arc::clone(&self.desk);
                    // Where he goes away this very moment, the place comes back and frees itself.
                    let _ = turn.send(Self { desk, caller });
                }
            }
        }
    }
}

impl Drop for InLine {
    fn drop(&mut self) {
        lock(&self.desk).withdraw(self.number);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// Whose share a place counts into: the subject's, whichever of its SVIDs came, so that scopes are
/// no further shares; whom another authority vouches for apart, so that he takes nobody's.
fn party(caller: &Caller) -> String {
    match caller {
        Caller::Workload(workload) => match &workload.foreign {
            Some(foreign) => format!("foreign:{foreign}"),
            None => format!("workload:{}", workload.name.subject()),
        },
        Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) => caller.to_string(),
    }
}

/// When the caller's own certificate ends, by which he is ranked. An elevated SVID renews nothing
/// and a foreign one is renewed elsewhere: they stand in the middle, as those without do.
fn end_of(caller: &Caller, now: Timestamp) -> Timestamp {
    match caller {
        Caller::Workload(workload)
            if workload.foreign.is_none() && workload.name.scope().is_none() =>
        {
            workload.not_after
        }
        Caller::Claimant(_) | Caller::Operator(_) | Caller::Token(..) | Caller::Workload(_) => {
            now.plus(RANK_OF_STRANGERS)
        }
    }
}

/// A quarter of what is left, so that there is time for more than one further attempt.
fn ask_again_in(end: Timestamp, now: Timestamp) -> Seconds {
    let quarter = end.since(now).count() / 4;
    Seconds::new(quarter).clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX)
}

fn lock<T>(desk: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing between the changes of a desk can panic.
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a caller may wait for his turn; less than clients wait for an answer.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// As if a caller without certificate had one that ends so soon: half of an hour's life is when
/// workloads renew, and some minutes are when they must.
const RANK_OF_STRANGERS: Seconds = Seconds::new(900);
const ASK_AGAIN_MIN: Seconds = Seconds::new(1);
const ASK_AGAIN_MAX: Seconds = Seconds::new(300);

//! The connections of one socket as a stream, as tonic takes them.
//!
//! Promises: the stream never fails and never ends; where accepting fails it pauses and goes on.
//! Who is refused costs nothing that stays. It keeps watch over its socket by itself, and removes
//! it when it is dropped.

use std::convert::Infallible;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use nix::errno::Errno;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, Sleep};

use crate::agent::attestor::{AttestError, Attestor};
use crate::agent::rarely::Rarely;
use crate::agent::socket::SocketError;
use crate::agent::socket::local::Local;
use crate::agent::socket::place::{Bound, Found, Lock, Place};
use crate::agent::socket::seats::{Full, SeatLimits, Seats};

/// The connections of one socket.
pub(crate) struct Incoming {
    bound: Bound,
    // After the socket: it is removed while nobody else may make one.
    lock: Lock,
    place: Place,
    attestor: Arc<Attestor>,
    seats: Arc<Seats>,
    tally: Arc<Tally>,
    state: watch::Sender<SocketState>,
    watch: Interval,
    pause: Option<Pin<Box<Sleep>>>,
    /// Whether who comes next may have stood in line since before a pause.
    waited: bool,
    lines: Rarely,
}

/// Whether callers find the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketState {
    /// Somebody removed or replaced it, and it could not be made anew: no new caller comes in.
    Lost,
    /// It is where it belongs.
    Serving,
}

/// What has become of callers since the start; all numbers only rise.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    accepted: AtomicU64,
    refused_full: AtomicU64,
    refused_full_of_uid: AtomicU64,
    refused_unknown: AtomicU64,
    faults: AtomicU64,
    losses: AtomicU64,
}

impl Incoming {
    /// Makes the socket and listens. To be called where a runtime is.
    ///
    /// # Errors
    /// When the place is not safe, or taken.
    pub(crate) fn open(
        place: Place,
        limits: SeatLimits,
        attestor: Arc<Attestor>,
    ) -> Result<Self, SocketError> {
        let (lock, bound) = place.make()?;
        let mut watch = tokio::time::interval(LOOK_EVERY);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            bound,
            lock,
            place,
            attestor,
            seats: Seats::new(limits),
            tally: Arc::default(),
            state: watch::Sender::new(SocketState::Serving),
            watch,
            pause: None,
            waited: false,
            lines: Rarely::default(),
        })
    }

    /// Whether callers find the socket, and each change of that.
    pub(crate) fn state(&self) -> watch::Receiver<SocketState> {
        self.state.subscribe()
    }

    /// What becomes of callers.
    pub(crate) fn tally(&self) -> Arc<Tally> {
        Arc::clone(&self.tally)
    }

    /// Who may sit, and does.
    pub(crate) fn sitting(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let seats = Arc::clone(&self.seats);
        move || seats.sitting()
    }

    /// Sees whether the socket is where it belongs, and makes it anew where it is not.
    fn look(&mut self) {
        let found = self.bound.look();
        let lock = self.lock.is_in_place();
        if matches!(found, Ok(Found::Own)) && lock {
            self.state
                .send_if_modified(|state| set(state, SocketState::Serving));
            return;
        }
        let path = self.place.path.display();
        let first = self
            .state
            .send_if_modified(|state| set(state, SocketState::Lost));
        if first {
            self.tally.losses.fetch_add(1, Ordering::Relaxed);
            tracing::error!(
                socket = %path, ?found, lock, "somebody removed or replaced the socket"
            );
        }
        let made = match found {
            // Only the lock's file is gone: the socket stays as it is.
            Ok(Found::Own) => self.lock.renew(&self.place.path),
            Ok(Found::Missing | Found::Other) | Err(_) => self
                .place
                .make_again(&mut self.lock)
                .map(|bound| self.bound = bound),
        };
        match made {
            Ok(()) => {
                tracing::warn!(socket = %path, "the socket was made anew; find out who removed it");
                self.state.send_replace(SocketState::Serving);
            }
            Err(error) if first => {
                let error: &dyn Error = &error;
                tracing::error!(socket = %path, error, "the socket could not be made anew");
            }
            Err(_) => {}
        }
    }

    /// The seat of who has come, or none.
    fn seat(&mut self, stream: UnixStream) -> Option<Local> {
        let refused = match self.attestor.meet(&stream, self.waited) {
            Ok(peer) => match self.seats.take(peer.uid(), peer.is_root_of_host()) {
                Ok(seat) => {
                    self.tally.accepted.fetch_add(1, Ordering::Relaxed);
                    return Some(Local::new(stream, Arc::new(peer), seat));
                }
                Err(Full::All) => Refused::Full,
                Err(Full::OfUid) => Refused::FullOfUid(peer.uid()),
            },
            Err(AttestError::Files(fault)) => {
                self.rest(&fault.to_string());
                return None;
            }
            Err(error) => Refused::Unknown(error),
        };
        self.refuse(&refused);
        None
    }

    fn refuse(&mut self, refused: &Refused) {
        let (kind, counter) = match refused {
            Refused::Full => ("full", &self.tally.refused_full),
            Refused::FullOfUid(_) => ("full of one", &self.tally.refused_full_of_uid),
            // Everyday: somebody connected and left.
            Refused::Unknown(AttestError::Gone) => {
                self.tally.refused_unknown.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Refused::Unknown(_) => ("unknown", &self.tally.refused_unknown),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let Some(kept_back) = self.lines.due(kind, self.attestor.clock()) else {
            return;
        };
        let socket = self.place.path.display();
        match refused {
            Refused::Full => {
                let why = "all connections are taken";
                tracing::warn!(%socket, kept_back, why, "a caller is refused");
            }
            Refused::FullOfUid(uid) => {
                let why = "his user has too many connections";
                tracing::warn!(%socket, kept_back, uid, why, "a caller is refused");
            }
            Refused::Unknown(error) => {
                let error: &dyn Error = error;
                tracing::warn!(%socket, kept_back, error, "a caller is refused");
            }
        }
    }

    /// Accepting failed: goes on a moment later.
    pub(super) fn rest(&mut self, fault: &str) {
        self.tally.faults.fetch_add(1, Ordering::Relaxed);
        if let Some(kept_back) = self.lines.due("fault", self.attestor.clock()) {
            let socket = self.place.path.display();
            tracing::error!(%socket, kept_back, fault, "accepting a caller failed; trying again");
        }
        self.pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
    }
}

impl Stream for Incoming {
    type Item = Result<Local, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let own = self.get_mut();
        for _ in 0..REFUSALS_IN_A_ROW_MAX {
            while own.watch.poll_tick(cx).is_ready() {
                own.look();
            }
            if let Some(pause) = &mut own.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                own.pause = None;
                own.waited = true;
            }
            match own.bound.listener.poll_accept(cx) {
                Poll::Pending => {
                    own.waited = false;
                    return Poll::Pending;
                }
                Poll::Ready(Ok((stream, _))) => {
                    if let Some(local) = own.seat(stream) {
                        return Poll::Ready(Some(Ok(local)));
                    }
                }
                Poll::Ready(Err(fault)) if is_passing(&fault) => {}
                Poll::Ready(Err(fault)) => own.rest(&fault.to_string()),
            }
        }
        // Others are to have their turn on this thread too.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Why somebody who connected has no seat.
enum Refused {
    Full,
    FullOfUid(u32),
    Unknown(AttestError),
}

impl Tally {
    /// Connections that were given a seat.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Callers refused because all seats were taken.
    pub(crate) fn refused_full(&self) -> u64 {
        self.refused_full.load(Ordering::Relaxed)
    }

    /// Callers refused because their user's seats were taken.
    pub(crate) fn refused_full_of_uid(&self) -> u64 {
        self.refused_full_of_uid.load(Ordering::Relaxed)
    }

    /// Callers who were gone, or could not be told for certain.
    pub(crate) fn refused_unknown(&self) -> u64 {
        self.refused_unknown.load(Ordering::Relaxed)
    }

    /// How often accepting failed.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// How often the socket was found removed or replaced.
    pub(crate) fn losses(&self) -> u64 {
        self.losses.load(Ordering::Relaxed)
    }
}

fn set(state: &mut SocketState, to: SocketState) -> bool {
    std::mem::replace(state, to) != to
}

/// Whether only this one caller is lost.
fn is_passing(fault: &std::io::Error) -> bool {
    let errno = fault.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ECONNABORTED | Errno::EINTR))
}

/// How often the socket is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long accepting rests after it failed.
const PAUSE: Duration = Duration::from_millis(100);
const REFUSALS_IN_A_ROW_MAX: usize = 32;

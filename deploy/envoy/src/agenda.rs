//! Every live connection of the process: which ends when, and which certificates are denied.
//!
//! One thread waits for the next end and wakes the connections that are due, each on the worker
//! that serves it. Workers enter and leave connections; the main thread brings lists.
//!
//! Promises: a connection enters under the list as it stands or is cut by the one that comes: there
//! is no gap between. Who has left is not woken. The thread looks at the clock at least once in
//! [`LOOK`], so that a clock that was set is noticed.
//! Refuses: nothing; how many connections there are is Envoy's limit.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::clock;
use crate::peer::{Certificate, Digest};

/// Why a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its certificate is on the list.
    Denied,
    /// Its certificate ended.
    Ended,
    /// What Envoy knows of its peer could not be read.
    Unreadable,
}

/// A way to a connection, from any thread.
pub(crate) trait Wake: Send {
    /// The connection is to be cut, by its own worker.
    fn wake(&self, cut: Cut);
}

/// Names a connection among the live ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u64);

/// See the module.
#[derive(Debug)]
pub(crate) struct Agenda<W> {
    /// Workers, the main thread and the agenda's own take it; never while they wait.
    book: Mutex<Book<W>>,
    /// An end was entered that is earlier than all others.
    sooner: Condvar,
    /// Whether the thread runs.
    started: Mutex<bool>,
}

#[derive(Debug)]
struct Book<W> {
    entered: u64,
    live: BTreeMap<Key, Live<W>>,
    ends: BTreeSet<(u64, Key)>,
    denied: BTreeSet<Digest>,
}

#[derive(Debug)]
struct Live<W> {
    certificate: Certificate,
    wake: W,
}

impl<W: Wake> Agenda<W> {
    /// Nobody is live, nobody is denied.
    pub(crate) const fn new() -> Self {
        let book = Book {
            entered: 0,
            live: BTreeMap::new(),
            ends: BTreeSet::new(),
            denied: BTreeSet::new(),
        };
        Self {
            book: Mutex::new(book),
            sooner: Condvar::new(),
            started: Mutex::new(false),
        }
    }

    /// Enters a connection, unless its certificate is denied.
    pub(crate) fn enter(&self, certificate: Certificate, wake: W) -> Result<Key, Cut> {
        let mut book = self.book();
        if book.denied.contains(&certificate.digest) {
            return Err(Cut::Denied);
        }
        book.entered = book.entered.wrapping_add(1);
        let key = Key(book.entered);
        let end = (certificate.end_s, key);
        let is_sooner = book.ends.first().is_none_or(|first| end < *first);
        book.ends.insert(end);
        book.live.insert(key, Live { certificate, wake });
        drop(book);
        if is_sooner {
            self.sooner.notify_one();
        }
        Ok(key)
    }

    /// The connection is no more.
    pub(crate) fn leave(&self, key: Key) {
        let mut book = self.book();
        let left = book.live.remove(&key);
        if let Some(live) = &left {
            book.ends.remove(&(live.certificate.end_s, key));
        }
        drop(book);
        // Outside of the lock: it calls Envoy.
        drop(left);
    }

    /// Has a connection cut by its own worker, which is doing something else now.
    pub(crate) fn wake(&self, key: Key, cut: Cut) {
        if let Some(live) = self.book().live.get(&key) {
            live.wake.wake(cut);
        }
    }

    /// From now on these are denied, and no others.
    pub(crate) fn deny(&self, denied: BTreeSet<Digest>) {
        let mut book = self.book();
        book.denied = denied;
        for live in book.live.values() {
            if book.denied.contains(&live.certificate.digest) {
                live.wake.wake(Cut::Denied);
            }
        }
    }

    /// Wakes who is due at `now` and says how long until the next.
    fn round(book: &mut Book<W>, now: Duration) -> Duration {
        while let Some(&(end_s, key)) = book.ends.first() {
            let left = Duration::from_secs(end_s).saturating_sub(now);
            if !left.is_zero() {
                return left.min(LOOK);
            }
            book.ends.pop_first();
            if let Some(live) = book.live.get(&key) {
                live.wake.wake(Cut::Ended);
            }
        }
        LOOK
    }

    fn book(&self) -> MutexGuard<'_, Book<W>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Wake + 'static> Agenda<W> {
    /// Starts the thread, once in the life of the process.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub(crate) fn start(&'static self) -> std::io::Result<()> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if !*started {
            let thread = thread::Builder::new().name("protem".to_owned());
            // It ends with the process: nobody waits for it.
            let _ = thread.spawn(|| {
                loop {
                    let _ = catch_unwind(AssertUnwindSafe(|| self.wait()));
                }
            })?;
            *started = true;
        }
        Ok(())
    }

    fn wait(&self) {
        let mut book = self.book();
        let left = Self::round(&mut book, clock::now());
        drop(self.sooner.wait_timeout(book, left));
    }
}

/// How long a clock that was set can go unnoticed on an idle connection.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    struct To(&'static str, Sender<(&'static str, Cut)>);

    impl Wake for To {
        fn wake(&self, cut: Cut) {
            self.1.send((self.0, cut)).unwrap();
        }
    }

    fn certificate(end_s: u64, digit: &str) -> Certificate {
        let text = format!("{end_s} {}", digit.repeat(64));
        Certificate::parse(text.as_bytes()).unwrap()
    }

    fn woken(all: &Receiver<(&'static str, Cut)>) -> Vec<(&'static str, Cut)> {
        all.try_iter().collect()
    }

    #[test]
    fn each_is_woken_at_its_end_and_who_has_left_is_not() {
        let (to, all) = channel();
        let agenda = Agenda::new();
        let enter = |name, end_s| {
            let wake = To(name, to.clone());
            agenda.enter(certificate(end_s, "a"), wake).unwrap()
        };
        let left = enter("left", 100);
        enter("first", 100);
        enter("also first", 100);
        enter("last", 101);
        agenda.leave(left);
        agenda.leave(left);
        let round = |ms| Agenda::round(&mut agenda.book(), Duration::from_millis(ms));
        assert_eq!(
            round(90_000),
            LOOK,
            "looks at the clock again, whatever is left"
        );
        assert_eq!(round(99_999), Duration::from_millis(1));
        assert_eq!(woken(&all), []);
        assert_eq!(round(100_000), LOOK);
        let both = [("first", Cut::Ended), ("also first", Cut::Ended)];
        assert_eq!(woken(&all), both);
        // A clock that was set back wakes nobody, one that was set forward does.
        assert_eq!(round(50_000), LOOK);
        assert_eq!(woken(&all), []);
        round(500_000);
        assert_eq!(woken(&all), [("last", Cut::Ended)]);
    }

    #[test]
    fn a_list_cuts_whom_it_names_and_lets_in_whom_it_does_not() {
        let (to, all) = channel();
        let agenda = Agenda::new();
        let enter = |name, digit| agenda.enter(certificate(9, digit), To(name, to.clone()));
        enter("good", "a").unwrap();
        let bad = enter("bad", "b").unwrap();
        let list = |digits: &[&str]| {
            let digests = digits.iter().map(|digit| certificate(9, digit).digest);
            agenda.deny(digests.collect());
        };
        list(&["b", "c"]);
        assert_eq!(woken(&all), [("bad", Cut::Denied)]);
        assert_eq!(enter("again", "b"), Err(Cut::Denied));
        assert_eq!(enter("other", "c"), Err(Cut::Denied));
        agenda.leave(bad);
        list(&["b", "c"]);
        assert_eq!(woken(&all), []);
        list(&[]);
        enter("again", "b").unwrap();
    }
}

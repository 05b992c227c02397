//! One look at a process for all who ask for it meanwhile.
//!
//! When a right is opened, each of ten thousand streams of one Envoy attests its caller before it
//! is told. Who asks while a look is under way waits for the next one, and shares it with all who
//! came by then: so there are two looks, not ten thousand.
//!
//! Promises: an answer comes from a look that began after it was asked for. Where a look shows what
//! the one before it showed, all keep the same copy. What is remembered is as large as what is
//! connected.
//! Refuses: an answer of before to who asks afterwards.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::agent::attestor::AttestError;
use crate::identity::Selector;

/// What a look shows, for everybody who asked.
pub(crate) type Shown = Result<Arc<BTreeSet<Selector>>, Arc<AttestError>>;

/// The lines of all processes that are connected.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Held for a few instructions, never across an await.
    lines: Mutex<HashMap<Who, Weak<Line>>>,
}

/// One process as it connected. Who connects again after it has become another user stands in
/// another line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Who {
    pub(super) pid: u32,
    pub(super) began: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Those who ask for one process.
#[derive(Debug, Default)]
pub(super) struct Line {
    asked: AtomicU64,
    newest: tokio::sync::Mutex<Newest>,
}

#[derive(Debug, Default)]
struct Newest {
    /// All up to this one had asked when the look began.
    for_asks: u64,
    shown: Option<Shown>,
}

impl Lines {
    /// The line for a process, the same for all of its connections.
    pub(super) fn of(&self, who: Who) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get(&who).and_then(Weak::upgrade) {
            return line;
        }
        // As often as the table is full, so that no single caller pays for it each time.
        if lines.capacity() <= lines.len() {
            lines.retain(|_, line| 0 < line.strong_count());
        }
        let line = Arc::default();
        lines.insert(who, Arc::downgrade(&line));
        line
    }
}

impl Line {
    /// What `look` shows, made here or by somebody who asked at the same time.
    pub(super) async fn ask(
        &self,
        look: impl Future<Output = Result<Arc<BTreeSet<Selector>>, AttestError>>,
    ) -> Shown {
        let place = self.asked.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        let mut newest = self.newest.lock().await;
        if let Some(shown) = &newest.shown
            && place <= newest.for_asks
        {
            return shown.clone();
        }
        let for_asks = self.asked.load(Ordering::SeqCst);
        let shown = look.await.map_err(Arc::new);
        let shown = match (&newest.shown, shown) {
            (Some(Ok(before)), Ok(now)) if *before == now => Ok(Arc::clone(before)),
            (_, shown) => shown,
        };
        let kept = shown.clone();
        *newest = Newest {
            for_asks,
            shown: Some(kept),
        };
        shown
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    fn shows(uid: usize) -> Arc<BTreeSet<Selector>> {
        Arc::new([format!("unix:uid:{uid}").parse().unwrap()].into())
    }

    #[tokio::test]
    async fn who_comes_during_a_look_shares_the_next_one_and_never_that_one() {
        let (line, go, looks) = (Line::default(), Notify::new(), AtomicUsize::new(0));
        let ask = || {
            line.ask(async {
                let number = looks.fetch_add(1, Ordering::Relaxed);
                go.notified().await;
                Ok(shows(number))
            })
        };
        let mut first = Box::pin(ask());
        assert!(first.as_mut().now_or_never().is_none());
        let mut late = Box::pin(join_all((0..1_000).map(|_| ask())));
        assert!(late.as_mut().now_or_never().is_none());
        go.notify_one();
        assert_eq!(first.await.unwrap(), shows(0));
        go.notify_one();
        for shown in late.await {
            assert_eq!(shown.unwrap(), shows(1));
        }
        go.notify_one();
        assert_eq!(ask().await.unwrap(), shows(2));
        assert_eq!(looks.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_look_that_is_given_up_is_made_by_the_next() {
        let line = Line::default();
        let mut first = Box::pin(line.ask(std::future::pending()));
        assert!(first.as_mut().now_or_never().is_none());
        let second = line.ask(async { Err(AttestError::Gone) });
        drop(first);
        assert!(matches!(*second.await.unwrap_err(), AttestError::Gone));
        assert_eq!(line.ask(async { Ok(shows(1)) }).await.unwrap(), shows(1));
    }

    #[tokio::test]
    async fn the_same_is_kept_once() {
        let line = Line::default();
        let before = line.ask(async { Ok(shows(1)) }).await.unwrap();
        let after = line.ask(async { Ok(shows(1)) }).await.unwrap();
        assert!(Arc::ptr_eq(&before, &after));
    }

    #[test]
    fn connections_of_one_process_share_a_line_and_the_table_does_not_grow() {
        let lines = Lines::default();
        let who = |pid, uid| Who {
            pid,
            began: 7,
            uid,
            gid: 0,
        };
        let line = lines.of(who(1, 0));
        assert!(Arc::ptr_eq(&line, &lines.of(who(1, 0))));
        assert!(!Arc::ptr_eq(&line, &lines.of(who(1, 1))));
        for pid in 2..10_000 {
            drop(lines.of(who(pid, 0)));
        }
        assert!(lines.lines.lock().unwrap().len() < 100);
        assert!(Arc::ptr_eq(&line, &lines.of(who(1, 0))));
    }
}

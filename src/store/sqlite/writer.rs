//! The one thread that writes.
//!
//! Promises: what waits goes into one commit, each act in its own savepoint, so that a refusal
//! takes back that act alone; an answer is given after the commit. There is no linger: a lone
//! caller commits at once, many callers share.
//! Refuses: to go on with a connection whose commit failed. All acts of that commit hear
//! [`StoreError::Unavailable`], and the next one opens the file anew (assurance D3): what the
//! failed commit left behind is read from the file, never assumed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::failpoint::{Point, reach};
use crate::store::sqlite::fault::cannot;
use crate::store::sqlite::ledger::{self, Turn};
use crate::store::sqlite::place;
use crate::store::{LedgerHead, StoreError};

/// The way to the writing thread. Dropping it ends the thread after what waits.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Act>>>,
    thread: Option<JoinHandle<()>>,
}

/// The thread's own side.
struct Desk {
    path: PathBuf,
    /// None after a fault.
    open: Option<Open>,
}

/// An open file, and the ledger's end as this connection committed or read it.
struct Open {
    connection: Connection,
    head: Option<LedgerHead>,
}

/// One verb on its way through a commit.
trait Act: Send {
    /// Does it, and keeps its result until the commit.
    fn attempt(&mut self, turn: &mut Turn<'_>) -> Attempt;
    /// Answers; with the words of the fault when the commit failed.
    fn answer(self: Box<Self>, fault: Option<&str>);
}

/// How an act came out before its commit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// The database failed it: its savepoint goes, and so does the connection afterwards.
    Failed,
    /// Its savepoint stays.
    Kept,
    /// It does not fit what is stored: its savepoint goes.
    Refused,
}

struct Waiting<T, F> {
    verb: Option<F>,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl Writer {
    /// Starts the thread on a file that is a store.
    pub(super) fn start(path: &Path, connection: Connection) -> Result<Self, StoreError> {
        let desk = Desk {
            path: path.to_owned(),
            open: Some(Open::on(connection)?),
        };
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || desk.serve(waiting))
            .map_err(cannot("start its thread"))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Has a verb done; the answer is durable. A caller who goes away does not stop the verb.
    pub(super) async fn act<T, F>(&self, verb: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let act = Box::new(Waiting {
            verb: Some(verb),
            result: None,
            answer,
        });
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(act).await.map_err(|_| ended())?;
        answered.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn serve(mut self, mut waiting: mpsc::Receiver<Box<dyn Act>>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while 0 < waiting.blocking_recv_many(&mut group, GROUP_MAX) {
            // A panic is a fault like others: the connection is gone, the thread stays.
            let committed = catch_unwind(AssertUnwindSafe(|| self.commit(&mut group)));
            let committed = committed.unwrap_or_else(|_| Err(cannot(RECORD)("a panic")));
            let fault = committed.err().map(|fault| words(&fault));
            for act in group.drain(..) {
                act.answer(fault.as_deref());
            }
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Act>]) -> Result<(), StoreError> {
        // Taken out: whatever goes wrong below, the connection does not come back.
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::on(place::writing(&self.path)?)?,
        };
        let healthy = open.commit(group)?;
        self.open = healthy.then_some(open);
        Ok(())
    }
}

impl Open {
    fn on(connection: Connection) -> Result<Self, StoreError> {
        let head = ledger::head(&connection)?;
        Ok(Self { connection, head })
    }

    /// Whether no act met a fault of the database.
    fn commit(&mut self, group: &mut [Box<dyn Act>]) -> Result<bool, StoreError> {
        let run = |sql| -> Result<(), StoreError> {
            self.connection.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        run(BEGIN)?;
        let mut turn = Turn::new(&self.connection, self.head);
        let mut healthy = true;
        for act in group {
            let before = turn.head();
            run(SAVEPOINT)?;
            let attempt = act.attempt(&mut turn);
            if attempt != Attempt::Kept {
                // Fails when the database took the whole transaction back, and so does the group.
                run(ROLLBACK_TO)?;
                turn = Turn::new(&self.connection, before);
            }
            run(RELEASE)?;
            healthy &= attempt != Attempt::Failed;
        }
        let head = turn.head();
        reach(Point::StoreActed)?;
        run(COMMIT)?;
        reach(Point::StoreCommitted)?;
        self.head = head;
        Ok(healthy)
    }
}

impl<T, F> Act for Waiting<T, F>
where
    T: Send,
    F: FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send,
{
    fn attempt(&mut self, turn: &mut Turn<'_>) -> Attempt {
        let result = match self.verb.take() {
            Some(verb) => verb(turn),
            None => Err(ended()),
        };
        let attempt = match &result {
            Ok(_) => Attempt::Kept,
            Err(StoreError::Unavailable { .. }) => Attempt::Failed,
            Err(_) => Attempt::Refused,
        };
        self.result = Some(result);
        attempt
    }

    fn answer(self: Box<Self>, fault: Option<&str>) {
        let result = match (fault, self.result) {
            (Some(fault), _) => Err(cannot(RECORD)(fault)),
            (None, Some(result)) => result,
            (None, None) => Err(ended()),
        };
        // The caller may have gone; the act stands all the same.
        let _ = self.answer.send(result);
    }
}

fn ended() -> StoreError {
    cannot(RECORD)("the writing thread has ended")
}

/// The fault with its causes, for the log of each act that it failed.
fn words(fault: &StoreError) -> String {
    let mut words = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(deeper) = cause {
        words.push_str(": ");
        words.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    words
}

const BEGIN: &str = "BEGIN IMMEDIATE";
const SAVEPOINT: &str = "SAVEPOINT act";
const ROLLBACK_TO: &str = "ROLLBACK TO act";
const RELEASE: &str = "RELEASE act";
const COMMIT: &str = "COMMIT";
const RECORD: &str = "record";
const THREAD: &str = "protem-store";
/// The most acts that wait for the writer; more wait at the door of the queue.
const WAITING_MAX: usize = 1_024;
/// The most acts of one commit: enough to share a disk's flush, few enough to answer soon.
const GROUP_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Event, EventKind};
    use crate::time::Timestamp;

    #[tokio::test]
    async fn a_full_disk_refuses_and_is_forgotten_when_space_returns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        place::create(&path).unwrap();
        let connection = place::writing(&path).unwrap();
        // Not one page more than there are; the next connection knows nothing of it.
        connection.pragma_update(None, "max_page_count", 1).unwrap();
        let writer = Writer::start(&path, connection).unwrap();
        let append = || {
            let at = Timestamp::from_unix_s(1).unwrap();
            let event = Event::new(EventKind::SvidDenied, at, "tester");
            let event = event.and("long", "x".repeat(60_000));
            writer.act(|turn| turn.record(event))
        };
        let refused = append().await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable { .. })),
            "{refused:?}"
        );
        assert_eq!(append().await.unwrap().value(), 1);
        assert_eq!(append().await.unwrap().value(), 2);
    }
}

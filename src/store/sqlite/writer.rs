//! The one thread that writes.
//!
//! Promises: what waits goes into one commit, and a refusal takes back its own act alone: acts
//! that look before they write have nothing to take back, the others have a savepoint each. An
//! answer is given after the commit. A few callers never wait for others; where many wait anyway,
//! a moment's patience lets more of them share a commit.
//! Refuses: to go on with a connection whose commit failed. All acts of that commit hear
//! [`StoreError::Unavailable`], and the next one opens the file anew (assurance D3): what the
//! failed commit left behind is read from the file, never assumed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::failpoint::{Point, reach};
use crate::store::sqlite::fault::cannot;
use crate::store::sqlite::guards::Guarded;
use crate::store::sqlite::ledger::{self, Turn};
use crate::store::sqlite::meters::Meters;
use crate::store::sqlite::place;
use crate::store::sqlite::remembered::Remembered;
use crate::store::{LedgerHead, StoreError};

/// The way to the writing thread. Dropping it ends the thread after what waits.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Act>>>,
    thread: Option<JoinHandle<()>>,
    /// What the thread measures.
    pub(super) meters: Meters,
}

/// The thread's own side.
struct Desk {
    path: PathBuf,
    /// What readers remember; forgotten when a commit changed it.
    remembered: Arc<Remembered>,
    /// None after a fault.
    open: Option<Open>,
    /// The newest event that anybody was answered for.
    head: Option<LedgerHead>,
    meters: Meters,
}

/// An open file, the ledger's end and the facts as this connection committed or read them.
struct Open {
    connection: Connection,
    guarded: Guarded,
    head: Option<LedgerHead>,
}

/// Whether an act can still refuse after its first write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// It has looked at everything before it writes; to refuse later is a fault.
    LooksFirst,
    /// It may refuse at any time, and is given a savepoint.
    MayTakeBack,
}

/// One verb on its way through a commit.
trait Act: Send {
    /// Whether it needs a savepoint.
    fn care(&self) -> Care;
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
    care: Care,
    verb: Option<F>,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl Writer {
    /// Starts the thread on a file that is a store.
    pub(super) fn start(
        path: &Path,
        connection: Connection,
        remembered: Arc<Remembered>,
    ) -> Result<Self, StoreError> {
        let meters = Meters::default();
        let open = Open::on(connection)?;
        let desk = Desk {
            path: path.to_owned(),
            remembered,
            head: open.head,
            open: Some(open),
            meters: meters.clone(),
        };
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        let thread = thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || desk.serve(waiting))
            .map_err(cannot("start its thread"))?;
        Ok(Self {
            queue: Some(queue),
            thread: Some(thread),
            meters,
        })
    }

    /// Has a verb done; the answer is durable. A caller who goes away does not stop the verb.
    pub(super) async fn act<T, F>(&self, care: Care, verb: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Turn<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let act = Box::new(Waiting {
            care,
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
        let mut busy = false;
        while 0 < waiting.blocking_recv_many(&mut group, GROUP_MAX) {
            if busy {
                linger();
                while group.len() < GROUP_MAX
                    && let Ok(act) = waiting.try_recv()
                {
                    group.push(act);
                }
            }
            busy = LINGER_FROM <= group.len();
            let commit = self.meters.commit(group.len(), waiting.len());
            let fault = self.commit(&mut group).err().map(|fault| words(&fault));
            self.meters.committed(commit, fault.is_none());
            for act in group.drain(..) {
                act.answer(fault.as_deref());
            }
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Act>]) -> Result<(), StoreError> {
        // Taken out: whatever goes wrong below, the connection does not come back.
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.reopened()?,
        };
        // A panic is a fault like others: the connection goes, the thread stays.
        let committed = catch_unwind(AssertUnwindSafe(|| open.commit(group)));
        let committed = committed.unwrap_or_else(|_| Err(cannot(RECORD)("a panic")));
        // Also when nobody knows what became of the commit.
        if committed.is_err() || open.guarded.take_changed() {
            self.remembered.forget();
        }
        self.head = open.head;
        self.open = committed?.then_some(open);
        Ok(())
    }

    /// The file, opened anew after a fault: never one that knows less than was answered for.
    fn reopened(&self) -> Result<Open, StoreError> {
        let open = Open::on(place::writing(&self.path)?)?;
        let number = |head: Option<LedgerHead>| head.map(|head| head.number);
        if number(open.head) < number(self.head) {
            return Err(cannot(RECORD)(
                "the file was replaced by an older one; stop the server and bring back the newest",
            ));
        }
        Ok(open)
    }
}

impl Open {
    fn on(connection: Connection) -> Result<Self, StoreError> {
        let head = ledger::head(&connection)?;
        Ok(Self {
            connection,
            guarded: Guarded::default(),
            head,
        })
    }

    /// Whether no act met a fault of the database.
    fn commit(&mut self, group: &mut [Box<dyn Act>]) -> Result<bool, StoreError> {
        let run = |sql| -> Result<(), StoreError> {
            self.connection.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        run(BEGIN)?;
        let mut turn = Turn::new(&self.connection, &self.guarded, self.head);
        let mut healthy = true;
        for act in group {
            let before = turn.head();
            let attempt = match act.care() {
                Care::LooksFirst => match act.attempt(&mut turn) {
                    // What it wrote cannot be taken back alone, so the whole group goes.
                    Attempt::Refused if before != turn.head() => return Err(torn()),
                    attempt => attempt,
                },
                Care::MayTakeBack => {
                    run(SAVEPOINT)?;
                    let attempt = act.attempt(&mut turn);
                    if attempt != Attempt::Kept {
                        // Fails when the database took the whole transaction back, and so does
                        // the group.
                        run(ROLLBACK_TO)?;
                        self.guarded.doubt();
                        turn = Turn::new(&self.connection, &self.guarded, before);
                    }
                    run(RELEASE)?;
                    attempt
                }
            };
            if attempt == Attempt::Failed && act.care() == Care::LooksFirst {
                return Err(torn());
            }
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
    fn care(&self) -> Care {
        self.care
    }

    fn attempt(&mut self, turn: &mut Turn<'_>) -> Attempt {
        let result = match self.verb.take() {
            Some(verb) => verb(turn),
            None => Err(ended()),
        };
        let attempt = match &result {
            Ok(_) => Attempt::Kept,
            // A damaged page may have been met half way through a statement.
            Err(StoreError::Damaged { .. } | StoreError::Unavailable { .. }) => Attempt::Failed,
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

#[expect(
    clippy::disallowed_methods,
    reason = "this thread is the writer's own, and what it waits for is that more come"
)]
fn linger() {
    thread::sleep(LINGER);
}

fn torn() -> StoreError {
    cannot(RECORD)("an act failed half way; nothing of its group was recorded")
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
/// The acts of one commit from which on the next one is worth waiting for.
const LINGER_FROM: usize = 12;
/// How long: the pages that every commit writes are then written for more acts.
const LINGER: Duration = Duration::from_millis(2);
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
        let writer = Writer::start(&path, connection, Arc::default()).unwrap();
        let append = || {
            let at = Timestamp::from_unix_s(1).unwrap();
            let event = Event::new(EventKind::SvidDenied, at, "tester");
            let event = event.and("long", "x".repeat(60_000));
            writer.act(Care::LooksFirst, |turn| turn.record(event))
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

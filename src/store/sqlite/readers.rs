//! The connections that read.
//!
//! Promises: each question sees the store at one moment; at most so many questions run at once,
//! the others wait; readers never hold up the writer.
//! Refuses: questions that take more than a bounded number of steps, so that no filter can keep
//! a connection for ever.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task;

use crate::store::StoreError;
use crate::store::sqlite::fault::cannot;
use crate::store::sqlite::place;

/// A bounded number of reading connections, opened when first needed.
pub(super) struct Readers {
    path: PathBuf,
    permits: Arc<Semaphore>,
    /// Connections that nobody uses; held for a push or a pop only.
    idle: Mutex<Vec<Reader>>,
}

struct Reader {
    connection: Connection,
    /// How often the question's progress was asked for.
    steps: Arc<AtomicU32>,
}

impl Readers {
    /// At most `count` connections to the store.
    pub(super) fn new(path: &Path, count: usize) -> Arc<Self> {
        Arc::new(Self {
            path: path.to_owned(),
            permits: Arc::new(Semaphore::new(count)),
            idle: Mutex::default(),
        })
    }

    /// Has a question answered.
    pub(super) async fn ask<T, F>(self: &Arc<Self>, question: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(cannot(READ))?;
        let readers = Arc::clone(self);
        let answered = task::spawn_blocking(move || {
            let answer = readers.answer(question);
            drop(permit);
            answer
        });
        answered.await.map_err(cannot(READ))?
    }

    /// Answers on the thread that asks: for a few rows by their keys.
    pub(super) fn answer<T>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let reader = match idle {
            Some(reader) => reader,
            None => Reader::open(&self.path)?,
        };
        reader.steps.store(0, Ordering::Relaxed);
        let moment = reader.connection.unchecked_transaction()?;
        let answer = question(&moment);
        // Rolled back: nothing was written. A connection that cannot end a read is not kept.
        moment.rollback()?;
        self.idle().push(reader);
        answer
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Reader>> {
        // A push or a pop leaves the list whole, also in a thread that panics.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = place::reading(path)?;
        let steps = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&steps);
        let too_long = move || QUESTION_STRIDES_MAX < counted.fetch_add(1, Ordering::Relaxed);
        connection.progress_handler(STRIDE_STEPS, Some(too_long))?;
        Ok(Self { connection, steps })
    }
}

const READ: &str = "read";
/// How often the database asks whether to go on, in steps of its machine.
const STRIDE_STEPS: i32 = 10_000;
/// The most strides of one question: seconds, on the machines of today.
const QUESTION_STRIDES_MAX: u32 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::Sqlite;
    use crate::store::{ElevationFilter, Store as _};
    use crate::time::Timestamp;

    #[test]
    fn a_question_without_end_is_refused_and_the_next_one_answered() {
        const ENDLESS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
            SELECT count(*) FROM n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        place::create(&path).unwrap();
        let readers = Readers::new(&path, 1);
        let ask = |sql| readers.answer(|on| Ok(on.query_row(sql, [], |row| row.get::<_, i64>(0))?));
        let refused = ask(ENDLESS);
        assert!(
            matches!(refused, Err(StoreError::Unavailable { .. })),
            "{refused:?}"
        );
        assert_eq!(ask("SELECT 1").unwrap(), 1);
    }

    #[tokio::test]
    async fn what_ends_elevations_asks_for_no_place_among_the_lists() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("store.db")).unwrap();
        store.searchers.permits.close();
        let listed = store.elevations(ElevationFilter::default(), None, 9).await;
        assert!(listed.is_err(), "{listed:?}");
        let filter = ElevationFilter::default();
        assert!(store.elevations_to_end(filter, None, 9).await.is_ok());
        let now = Timestamp::from_unix_ms(1_000_000_000_000).unwrap();
        assert!(store.due_elevations(now, 9).await.is_ok());
    }
}
